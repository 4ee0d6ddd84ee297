"""The ledgers of a ranking study, joined: truths, and the supernets' scores of the subnets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from studies._statistics import FloatArray
from studies._techniques import DEFAULT, DEFAULT_SCORING, TECHNIQUES

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Scores of the subnets by the supernets of one technique, with one way of scoring.

    Args:
        technique: How they were trained.
        scoring: How they were asked.
        repeats: Numbers of the supernets; those of one number have one seed in all techniques.
        subnets: Numbers of the subnets that are trained from scratch and scored by all of them.
        truth: Log losses of those trained from scratch, means over their seeds, `[subnets]`.
        seeds: Over how many, `[subnets]`.
        scores: Log losses that the supernets say, `[supernets, subnets]`.
        rows: What the ledger has of each score.
    """

    technique: str
    scoring: str
    repeats: tuple[int, ...]
    subnets: npt.NDArray[np.int64]
    truth: FloatArray
    seeds: npt.NDArray[np.int64]
    scores: FloatArray
    rows: Rows

    @property
    def is_default(self) -> bool:
        """Whether this is how a study file trains and asks by default."""
        return (self.technique, self.scoring) == (DEFAULT, DEFAULT_SCORING)

    @property
    def mean_scores(self) -> FloatArray:
        """Over the supernets, `[subnets]`."""
        return np.asarray(self.scores.mean(axis=0))


def scored_subnets(truth: Rows, scores: Rows) -> list[Scored]:
    """A result for each technique and scoring, in the order of the ledger."""
    asked: dict[tuple[str, str], dict[int, dict[int, float]]] = {}
    rows_of: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in scores:
        way = row["technique"], row["scoring"]
        asked.setdefault(way, {}).setdefault(row["repeat"], {})[row["subnet"]] = row["log_loss"]
        rows_of[way].append(row)
    results = []
    for (technique, scoring), by_repeat in asked.items():
        losses = losses_by_seed(truth, balance=TECHNIQUES[technique].balance)
        common = sorted(losses.keys() & set.intersection(*(set(of) for of in by_repeat.values())))
        results.append(
            Scored(
                technique=technique,
                scoring=scoring,
                repeats=tuple(sorted(by_repeat)),
                subnets=np.array(common, dtype=np.int64),
                truth=np.array([np.mean(losses[i]) for i in common]),
                seeds=np.array([len(losses[i]) for i in common]),
                scores=np.array([[of[i] for i in common] for _, of in sorted(by_repeat.items())]),
                rows=rows_of[technique, scoring],
            )
        )
    return results


def losses_by_seed(truth: Rows, *, balance: bool = True) -> dict[int, list[float]]:
    """Log losses of each subnet trained from scratch, one for each seed.

    Without balancing, subnets without a dot product are what they are with it.
    """
    found: dict[int, list[float]] = defaultdict(list)
    for row in truth:
        if row["balance"]:
            found[row["subnet"]].append(loss_of(row))
    if not balance:
        found |= {row["subnet"]: [loss_of(row)] for row in truth if not row["balance"]}
    return dict(found)


def repeated_truths(truth: Rows) -> tuple[FloatArray, FloatArray]:
    """Log losses of subnets trained with two seeds, `[subnets]` with the first and the second."""
    first, second = (
        {row["subnet"]: loss_of(row) for row in truth if row["balance"] and row["repeat"] == repeat}
        for repeat in (0, 1)
    )
    both = sorted(first.keys() & second.keys())
    return np.array([first[i] for i in both]), np.array([second[i] for i in both])


def loss_of(row: Mapping[str, Any]) -> float:
    """Log loss of a truth: under the true click probabilities where they are known."""
    expected = row["expected_log_loss"]
    return float(row["test_log_loss"] if expected is None else expected)
