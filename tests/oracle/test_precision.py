"""Answers in bfloat16 rank as those in float32 do, and are as independent of what was asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.models import SPACE, SPACES, draw, family, oracle_of
from scipy.stats import kendalltau

from nasrec_opt.errors import StudyError

CHUNK_ROWS = 64


@pytest.mark.parametrize("fidelity", ["supernet", "last_layer"])
@pytest.mark.parametrize("name", sorted(SPACES))
def test_rankings_agree(supernets, dataset, name, fidelity):
    options = {"fidelity": fidelity, "fit_rows": 700}
    genotypes = [draw(SPACES[name], seed) for seed in range(16)]
    exact, short = (
        oracle_of(supernets[name], dataset, precision=precision, **options)
        for precision in ("float32", "bfloat16")
    )
    one, other = ([e.log_loss for e in o.evaluate_many(genotypes)] for o in (exact, short))
    # Rounding to few bits turns small differences into whole levels.
    assert kendalltau(one, other).statistic >= (0.75 if name == "bits" else 0.93)
    np.testing.assert_allclose(other, one, atol=0.01)


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(SPACES)))
def test_reuse_changes_no_answer(supernets, dataset, seed, name):
    genotypes = family(SPACES[name], seed)

    def fresh():
        return oracle_of(
            supernets[name], dataset, precision="bfloat16", chunk_rows=CHUNK_ROWS, rows=100
        )

    together = fresh()
    for genotype in genotypes:
        assert together.evaluate(genotype) == fresh().evaluate(genotype)


def test_outputs_take_half_the_memory(supernet, dataset):
    kept = []
    for precision in ("float32", "bfloat16"):
        oracle = oracle_of(supernet, dataset, precision=precision)
        oracle.evaluate(draw(SPACE, 1))
        kept.append(oracle.cached_bytes)
    assert kept[0] == 2 * kept[1] > 0


def test_an_unknown_precision_is_refused(supernet, dataset):
    with pytest.raises(StudyError, match="expected one of auto, float32, bfloat16, got '"):
        oracle_of(supernet, dataset, precision="int8")
