"""Proposals of explicit sizes stay as they were: whoever resumes an old study goes on with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import optuna
import pytest

from nasrec_opt.samplers import RegularizedEvolutionSampler
from nasrec_opt.space import SearchSpace

optuna.logging.set_verbosity(optuna.logging.ERROR)
SPACE = SearchSpace.nasrec_full(4)


def genotypes(trial: optuna.Trial) -> tuple[float, float]:
    blocks = SPACE.suggest(trial).blocks
    work = sum(block.dense_width * (1 + len(block.all_inputs)) for block in blocks)
    return float(work), -float(sum(block.sparse_width for block in blocks))


def flat(trial: optuna.Trial) -> tuple[float, float]:
    x, n = trial.suggest_int("x", -50, 50), trial.suggest_int("n", 1, 100, step=3)
    kind = trial.suggest_categorical("kind", ["a", "b", None])
    return float((x - 10) ** 2 + abs(n - 7) + (kind is not None)), float(n)


def digest(objective: Callable, options: dict[str, Any]) -> str:
    space = SPACE if objective is genotypes else None
    sampler = RegularizedEvolutionSampler(space, seed=3, **options)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    study.optimize(objective, n_trials=80)
    params = json.dumps([trial.params for trial in study.trials], sort_keys=True)
    return hashlib.sha256(params.encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("options", "of_genotypes", "of_numbers"),
    [
        (
            {"population_size": 12, "tournament_size": 5, "children_per_round": 3},
            "53bf461620505e77",
            "20913fa06c4eecf6",
        ),
        ({"population_size": 16}, "57a5b3854ba8362c", "e1960d867fdec77a"),
        (
            {
                "population_size": 24,
                "tournament_size": 8,
                "archive": True,
                "tie_break": "crowding",
                "mutations": 3,
                "decay_rounds": 9,
            },
            "08c3d8bcd261682c",
            "bc7be05c5686826f",
        ),
    ],
)
def test_explicit_sizes_propose_what_they_always_did(options, of_genotypes, of_numbers):
    assert digest(genotypes, options) == of_genotypes
    assert digest(flat, options) == of_numbers
