"""Draws and steps stay within what a distribution has."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import create_trial

from nasrec_opt.samplers._draw import draw
from nasrec_opt.samplers._population import proposed_before
from nasrec_opt.samplers._step import step
from nasrec_opt.samplers._streams import PROPOSAL
from nasrec_opt.samplers._values import contains

NUMBERS = [IntDistribution(0, 31), IntDistribution(1, 1024, log=True), FloatDistribution(-2.0, 3.0)]
DISTRIBUTIONS = [
    *NUMBERS,
    IntDistribution(-10, 11, step=7),
    FloatDistribution(0.0, 1.0, step=0.25),
    FloatDistribution(1e-4, 1.0, log=True),
    CategoricalDistribution(["a", "b", None]),
]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=str)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_drawn_or_stepped_to_is_one_of_its_values(distribution, seed):
    rng = np.random.default_rng(seed)
    value = draw(distribution, rng)
    for found in (value, step(distribution, value, rng)):
        assert contains(distribution, found)
        if getattr(distribution, "step", None):
            steps = (found - distribution.low) / distribution.step
            assert steps == pytest.approx(round(steps))


@pytest.mark.parametrize("distribution", NUMBERS, ids=str)
def test_a_step_is_nearer_than_a_draw(distribution):
    rng = np.random.default_rng(0)
    scale = np.log if distribution.log else np.asarray
    start = draw(distribution, rng)
    drawn = [draw(distribution, rng) for _ in range(300)]
    stepped = [step(distribution, start, rng) for _ in range(300)]
    far, near = (np.mean(np.abs(scale(found) - scale(start))) for found in (drawn, stepped))
    assert 0 < near < far / 2


@pytest.mark.parametrize(
    ("proposal", "expected"),
    [
        ({"x": 3, "kind": "a"}, {"x": 3, "kind": "a"}),
        ({"x": 3, "gone": 1}, {"x": 3}),
        ({"x": 99, "kind": "a"}, {}),
        ({"x": 3, "kind": "z"}, {}),
        ({}, {}),
    ],
)
def test_a_proposal_is_made_again_where_it_still_fits(proposal, expected):
    space = {"x": IntDistribution(0, 31), "kind": CategoricalDistribution(["a", "b"])}
    trial = create_trial(value=0.0, system_attrs={PROPOSAL: proposal})
    assert proposed_before(optuna.create_study(), trial, space) == expected
