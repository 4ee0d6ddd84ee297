"""Models whose logits are averaged: who is chosen, what it answers, and how it is kept."""

from __future__ import annotations

import itertools
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import log_loss as sklearn_log_loss

from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.retrain import Ensemble, choose_members, refer_to
from nasrec_opt.space import SearchSpace
from nasrec_opt.supernet import Subnet

FEATURES = FeatureSpec(3, (20, 30, 40, 50))
SPACE = SearchSpace.nasrec_small(num_blocks=2, wide=(False, True))

answers = st.integers(1, 5).flatmap(
    lambda models: hnp.arrays(
        np.float64, (models, 12), elements=st.floats(-4, 4, allow_nan=False, width=32)
    )
)
labels = hnp.arrays(np.int8, 12, elements=st.integers(0, 1)).filter(lambda y: 0 < y.sum() < 12)


def loss(logits, y):
    return sklearn_log_loss(y, 1 / (1 + np.exp(-logits)))


@given(answers, labels, st.integers(1, 5))
def test_each_member_is_the_one_that_lowers_the_log_loss_most(logits, y, most):
    chosen = choose_members(logits, y, most, least_gain=0.0)
    assert 1 <= len(chosen) <= most
    assert len(set(chosen)) == len(chosen)
    for count in range(1, len(chosen) + 1):
        kept = chosen[: count - 1]
        others = [i for i in range(len(logits)) if i not in kept]
        possible = [loss(logits[[*kept, i]].mean(axis=0), y) for i in others]
        now = loss(logits[chosen[:count]].mean(axis=0), y)
        assert now == pytest.approx(min(possible), abs=1e-9)
        if kept:
            assert now < loss(logits[kept].mean(axis=0), y)


@given(answers, labels, st.floats(0, 0.2))
def test_a_member_that_gains_too_little_is_left_out(logits, y, least):
    chosen = choose_members(logits, y, 5, least_gain=least)
    losses = [loss(logits[chosen[:n]].mean(axis=0), y) for n in range(1, len(chosen) + 1)]
    assert all(b < a - least + 1e-9 for a, b in itertools.pairwise(losses))


@given(answers, labels)
def test_what_is_not_allowed_together_is_not_chosen_together(logits, y):
    chosen = choose_members(
        logits, y, 5, least_gain=0.0, is_allowed=lambda members: sum(members) <= 2
    )
    assert sum(chosen) <= 2
    assert choose_members(logits, y, 5, is_allowed=lambda members: False) == []


@pytest.fixture(scope="module")
def members():
    rng = np.random.default_rng(0)
    return [Subnet(SPACE.sample(rng), FEATURES, seed) for seed in range(3)]


def batch():
    generator = torch.Generator().manual_seed(1)
    sparse = torch.stack([torch.randint(0, n, (8,), generator=generator) for n in (20, 30, 40, 50)])
    return torch.rand(8, 3, generator=generator), sparse.T.contiguous()


def test_it_answers_the_mean_of_its_members(members):
    dense, sparse = batch()
    own = np.stack([member(dense, sparse).detach().numpy() for member in members])
    found = Ensemble(members)(dense, sparse).detach().numpy()
    np.testing.assert_allclose(found, own.mean(axis=0), rtol=1e-6)


def test_a_saved_ensemble_is_whole_by_itself(members, tmp_path):
    Ensemble(members).save(tmp_path / "saved")
    shutil.move(tmp_path / "saved", tmp_path / "moved")
    found, dense_sparse = Ensemble.load(tmp_path / "moved"), batch()
    assert torch.equal(found(*dense_sparse), Ensemble(members)(*dense_sparse))


def test_an_ensemble_that_refers_to_its_members_moves_with_them(members, tmp_path):
    run = tmp_path / "run"
    for number, member in enumerate(members):
        member.save(run / "models" / str(number))
    refer_to([run / "models" / str(number) for number in range(3)], run / "ensemble")
    shutil.move(run, tmp_path / "elsewhere")
    found = Ensemble.load(tmp_path / "elsewhere" / "ensemble")
    assert torch.equal(found(*batch()), Ensemble(members)(*batch()))


def test_what_is_no_ensemble_is_refused_by_name(members, tmp_path):
    with pytest.raises(StudyError, match="expected models, got none"):
        Ensemble([])
    other = Subnet(members[0].genotype, FeatureSpec(3, (20, 30, 40, 51)), 0)
    with pytest.raises(StudyError, match="same columns"):
        Ensemble([members[0], other])
    with pytest.raises(StudyError, match=r"ensemble\.json: expected the members"):
        Ensemble.load(tmp_path)
    (tmp_path / "ensemble.json").write_text('{"members": 3}')
    with pytest.raises(StudyError, match=r"ensemble\.json: expected the members"):
        Ensemble.load(tmp_path)
