"""Motifs against random models: the interval holds what it says, and finds a planted motif."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nasrec_opt import SearchSpace
from nasrec_opt.errors import GenotypeError
from nasrec_opt.motifs import MOTIFS, compare_with_random
from nasrec_opt.space import published_model

SPACE = SearchSpace.nasrec_full(num_blocks=4, max_inputs=4)


def sampled(count, seed):
    rng = np.random.default_rng(seed)
    return [SPACE.sample(rng) for _ in range(count)]


def test_random_models_are_within_the_interval():
    """Figures of random groups fall outside as often as the interval says: 5 % of 25 · 20."""
    groups = [compare_with_random(sampled(10, seed), SPACE, samples=300) for seed in range(1, 21)]
    outside = sum(bool(row.side) for rows in groups for row in rows)
    assert outside <= 0.12 * len(groups) * len(MOTIFS)


def test_a_planted_motif_is_found():
    gated = []
    for genotype in sampled(12, 1):
        last = genotype.blocks[-1]
        gate = replace(last, dense_ops=("gate",), left_input=0, right_input=0)
        gated.append(replace(genotype, blocks=(*genotype.blocks[:-1], gate)))
    sides = {row.name: row.side for row in compare_with_random(gated, SPACE, samples=300)}
    assert sides["raw_self_gating"] == "more"
    assert sides["gate"] == "more"
    assert sides["dense_width"] == ""


def test_more_models_make_a_narrower_interval():
    few, many = (
        {row.name: row.high - row.low for row in compare_with_random(sampled(count, 2), SPACE)}
        for count in (3, 48)
    )
    assert many["attention_blocks"] < 0.5 * few["attention_blocks"]


def test_the_draws_are_those_of_the_seed():
    models = sampled(3, 3)
    first, again, other = (
        compare_with_random(models, SPACE, samples=100, seed=seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_the_full_models_have_fewer_live_blocks_than_random_ones():
    """Section 6.1 leaves deeper models to future work; random models are deeper."""
    models = [published_model(f"{log}-full").genotype for log in ("criteo", "avazu", "kdd")]
    rows = compare_with_random(models, SearchSpace.nasrec_full(max_inputs=4))
    sides = {row.name: row.side for row in rows}
    assert (sides["live_blocks"], sides["connections"]) == ("less", "less")
    # The motifs that the section names are as frequent in three random models.
    for name in ("attention_blocks", "first_block_attends", "stacked_attention", "self_gating"):
        assert sides[name] == ""


def test_no_model_and_no_samples_are_refused():
    with pytest.raises(GenotypeError, match="at least one model"):
        compare_with_random([], SPACE)
    with pytest.raises(GenotypeError, match="samples: expected a positive integer, got 0"):
        compare_with_random(sampled(1, 0), SPACE, samples=0)
