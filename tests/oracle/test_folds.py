"""Final layers by folds: no row decides what is predicted of it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.models import oracle_of

from nasrec_opt.data import evenly_spaced
from nasrec_opt.errors import StudyError
from nasrec_opt.oracle import NoisyOracle
from nasrec_opt.oracle._folds import FOLDS, fit_folds, folds_of

seeds = st.integers(0, 2**32 - 1)


@given(st.integers(0, 300), st.integers(1, 300))
def test_every_row_is_in_one_fold_and_stays_there_when_only_some_are_meant(num_rows, wanted):
    positions = evenly_spaced(num_rows, wanted)
    folds = folds_of(num_rows, positions)
    assert len(folds) == FOLDS
    members = [positions[own] for own in folds]
    assert np.concatenate(members).tolist() == positions.tolist()
    for whole, some in zip(folds_of(num_rows), members, strict=True):
        assert set(some.tolist()) <= set(range(whole.start, whole.stop))
    sizes = [own.stop - own.start for own in folds_of(num_rows)]
    assert max(sizes) - min(sizes) <= 1


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(0, FOLDS - 1), st.integers(8, 60))
def test_labels_of_a_fold_do_not_change_what_is_predicted_of_it(seed, fold, num_rows):
    rng = np.random.default_rng(seed)
    features = torch.from_numpy(rng.normal(size=(num_rows, 5)).astype(np.float32))
    labels = torch.from_numpy((rng.random(num_rows) < 0.4).astype(np.float32))
    weight, bias, folds = torch.zeros(5), torch.zeros(1), folds_of(num_rows)
    others = labels.clone()
    others[folds[fold]] = 1 - others[folds[fold]]
    before, after = (fit_folds(features, y, weight, bias, folds=folds) for y in (labels, others))
    torch.testing.assert_close(before[fold].weight, after[fold].weight, rtol=0, atol=0)
    torch.testing.assert_close(before[fold].bias, after[fold].bias, rtol=0, atol=0)
    another = (fold + 1) % FOLDS
    assert not torch.equal(before[another].weight, after[another].weight)


def test_a_feature_that_only_remembers_its_rows_is_worth_nothing():
    """Noise that a fit of all rows would use to the full, and that folds see through."""
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(size=(80, 60)).astype(np.float32))
    labels = torch.from_numpy((rng.random(80) < 0.5).astype(np.float32))
    folds = folds_of(80)
    layers = fit_folds(features, labels, torch.zeros(60), torch.zeros(1), folds=folds)
    logits = torch.cat(
        [features[own] @ fit.weight + fit.bias for own, fit in zip(folds, layers, strict=True)]
    )
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
    assert float(loss) > np.log(2)


def test_a_model_with_a_layer_for_each_fold_cannot_be_written_into_cells(supernet, dataset):
    oracle = oracle_of(supernet, dataset, fidelity="last_layer", last_layer="folds", rows=80)
    with pytest.raises(StudyError, match="expected an oracle whose models have one final layer"):
        NoisyOracle(oracle, None)
