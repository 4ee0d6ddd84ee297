"""A small search whose trials cost nothing."""

from __future__ import annotations

import math
from typing import Any

from hw import ReRAM
from nasrec_opt import FeatureSpec, Genotype, Objective, SearchSpace
from nasrec_opt.ax import genotype_of

SPACE = SearchSpace.nasrec_full(2)
FEATURES = FeatureSpec(num_dense=13, cardinalities=(1000,) * 26)
GOALS = ("log_loss", "latency_us")
CONSTRAINTS = {"area_mm2": 1.0}  # some genotypes keep it, some do not


def log_loss(genotype: Genotype) -> float:
    return 0.44 + 1 / math.log(sum(block.dense_width for block in genotype.blocks))


def objective(space: SearchSpace = SPACE, **options: Any) -> Objective:
    options = {"objectives": GOALS, "constraints": CONSTRAINTS} | options
    return Objective(space, log_loss, ReRAM(), features=FEATURES, **options)


def advance(client: Any, goal: Objective, trials: int) -> list[Any]:
    """Ask, evaluate and tell; the parameters that were asked."""
    asked = []
    for _ in range(trials):
        [(index, parameters)] = client.get_next_trials(max_trials=1).items()
        metrics = goal.metrics(genotype_of(goal.space, parameters))
        wanted = dict.fromkeys((*goal.metric_names, *goal.constraints))
        client.complete_trial(index, {name: metrics[name] for name in wanted})
        asked.append(parameters)
    return asked
