"""How well scores rank models, and by how much one contender is better than another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

FloatArray = npt.NDArray[np.float64]
Measure = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]
RESAMPLES = 1000
LEVEL = 0.95


def rank_quality(
    truth: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    reference: npt.ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Pearson's rho and Kendall's tau between true losses and scores, lower being better in both.

    Args:
        truth: Log loss of each model trained from scratch, `[models]`.
        scores: What the oracle says, `[models]`; or of several oracles, `[oracles, models]`; all
            figures are then means over these.
        reference: Scores to compare with, likewise; None means none.
        seed: Seed of the bootstrap.

    Returns:
        `rho`, `tau` and `tau_better_half` (over the models whose truth is not above the median),
        each with `_low` and `_high`, a 95 % interval over resampled models; `regret`, by how much
        the model with the best score is worse than the best; and with a reference `tau_difference`,
        by how much tau is above that of the reference, with its interval over the same models.

    References:
        Efron and Tibshirani 1993, chapter 13: the percentile interval.
    """
    true, score = np.asarray(truth, np.float64), np.atleast_2d(np.asarray(scores, np.float64))
    better = true <= np.median(true)
    everyone = np.ones_like(better)
    found: dict[str, float] = {}

    def drawn(measure: Measure, values: FloatArray, subset: npt.NDArray[np.bool_]) -> FloatArray:
        counts = _resamples(int(subset.sum()), seed)
        of_each = [measure(true[subset], one[subset], counts) for one in values]
        return np.asarray(np.mean(of_each, axis=0))

    for name, measure, subset in (
        ("rho", _pearson, everyone),
        ("tau", _kendall, everyone),
        ("tau_better_half", _kendall, better),
    ):
        found |= _interval(name, drawn(measure, score, subset))
    if reference is not None:
        other = np.atleast_2d(np.asarray(reference, np.float64))
        difference = drawn(_kendall, score, everyone) - drawn(_kendall, other, everyone)
        found |= _interval("tau_difference", difference)
    found["regret"] = float(np.mean(true[score.argmin(axis=1)] - true.min()))
    return found


def tau_between(a: npt.ArrayLike, b: npt.ArrayLike, *, seed: int = 0) -> dict[str, float]:
    """Kendall's tau where not every model has both values.

    Args:
        a: A value of each model, `[models]`; or several, `[pairings, models]`, of which everything
            is the mean, a pairing counting by its models. NaN where there is none.
        b: What each is paired with, of the same shape.
        seed: Seed of the bootstrap.

    Returns:
        `tau` with `tau_low` and `tau_high`, a 95 % interval over resampled models, and `models`,
        how many have both values in some pairing; NaN where no pairing has three, or one of
        its sides does not vary.
    """
    one, other = (np.atleast_2d(np.asarray(values, np.float64)) for values in (a, b))
    known = np.isfinite(one) & np.isfinite(other)
    models = {"models": float(known.any(axis=0).sum())}
    none = dict.fromkeys(("tau", "tau_low", "tau_high"), math.nan)
    usable = known.sum(axis=1) >= 3
    if not usable.any():
        return none | models
    counts = _resamples(one.shape[1], seed)
    taus = [
        _kendall(x[k], y[k], counts[:, k])
        for x, y, k in zip(one[usable], other[usable], known[usable], strict=True)
    ]
    drawn = np.average(taus, axis=0, weights=known[usable].sum(axis=1))
    return (_interval("tau", drawn) if math.isfinite(drawn[0]) else none) | models


def _resamples(models: int, seed: int) -> FloatArray:
    """How often each resample has each model, `[1 + resamples, models]`; the first has all once."""
    drawn = np.random.default_rng(seed).integers(models, size=(RESAMPLES, models))
    counts = [np.bincount(indices, minlength=models) for indices in drawn]
    return np.array([np.ones(models), *counts])


def _interval(name: str, drawn: FloatArray) -> dict[str, float]:
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(drawn[1:], [tail, 1 - tail])
    return {name: float(drawn[0]), f"{name}_low": float(low), f"{name}_high": float(high)}


def _pearson(a: FloatArray, b: FloatArray, counts: FloatArray) -> FloatArray:
    """Correlation in each resample, `[resamples]`; NaN where one side does not vary."""
    share = counts / counts.sum(axis=1, keepdims=True)
    a, b = a - a.mean(), b - b.mean()
    mean_a, mean_b = share @ a, share @ b
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt((share @ a**2 - mean_a**2) * (share @ b**2 - mean_b**2))
        return np.asarray((share @ (a * b) - mean_a * mean_b) / spread)


def _kendall(a: FloatArray, b: FloatArray, counts: FloatArray) -> FloatArray:
    """Kendall's tau-b in each resample, `[resamples]`; NaN where one side does not vary."""
    one, other = (np.sign(x[:, None] - x[None, :]) for x in (a, b))
    agreed, untied_a, untied_b = (
        np.einsum("ri,ij,rj->r", counts, pairs, counts, optimize=True)
        for pairs in (one * other, np.abs(one), np.abs(other))
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(agreed / np.sqrt(untied_a * untied_b))


def tau_of_a_perfect_score(agreement: float, seeds: Sequence[int]) -> float:
    """Kendall's tau between models' expected log losses and their truths, means over some seeds.

    Expected log losses and what a seed adds are taken to be normal. The tau between two seeds then
    says how much a seed adds, and that says how often a mean over seeds orders two models as their
    expected log losses do.

    Args:
        agreement: Kendall's tau between two seeds.
        seeds: Of how many each model's truth is the mean, `[models]`.

    References:
        Greiner 1909: tau = 2 / pi asin(rho) of two normal variables.
    """
    if agreement <= 0:
        return 0.0
    reliability = math.sin(math.pi / 2 * min(agreement, 1.0))  # of a single seed
    added = (1 - reliability) / reliability / np.asarray(seeds, np.float64)
    of_pairs = np.sqrt(2 / (2 + added[:, None] + added[None, :]))
    pairs = ~np.eye(len(added), dtype=bool)
    return float(np.mean(2 / np.pi * np.arcsin(of_pairs[pairs])))


@dataclass(frozen=True)
class Fit:
    """Least squares.

    Args:
        slopes: Of each feature, `[features]`.
        errors: Their standard errors, `[features]`.
    """

    slopes: FloatArray
    errors: FloatArray


def least_squares(features: npt.ArrayLike, values: npt.ArrayLike) -> Fit:
    """Regression with an intercept.

    Features that say nothing new (all the same, or the sum of others) have a slope of NaN, if they
    come after what they repeat.

    Args:
        features: `[models, features]`, or `[models]` of a single one.
        values: `[models]`.
    """
    y = np.asarray(values, np.float64)
    x = np.asarray(features, np.float64).reshape(len(y), -1)
    kept: list[int] = []
    design = np.ones((len(y), 1))
    for column in range(x.shape[1]):
        wider = np.column_stack([design, x[:, column] - x[:, column].mean()])
        if np.linalg.matrix_rank(wider) == wider.shape[1]:
            design, kept = wider, [*kept, column]
    slopes, errors = np.full(x.shape[1], np.nan), np.full(x.shape[1], np.nan)
    inverse = np.linalg.inv(design.T @ design)
    found = inverse @ design.T @ y
    left, freedom = y - design @ found, len(y) - design.shape[1]
    variance = left @ left / freedom if freedom > 0 else np.nan
    slopes[kept] = found[1:]
    errors[kept] = np.sqrt(variance * np.diag(inverse))[1:]
    return Fit(slopes, errors)


@dataclass(frozen=True)
class PairedDifference:
    """By how much one side of pairs is above the other.

    Args:
        mean: Over the pairs.
        half_width: Of its 95 % interval; None where one pair says nothing of the spread.
        pairs: How many.
    """

    mean: float
    half_width: float | None
    pairs: int

    @property
    def verdict(self) -> str:
        """`better` or `worse` where the interval leaves out 0, lower being better, or nothing."""
        if self.half_width is None or abs(self.mean) <= self.half_width:
            return ""
        return "better" if self.mean < 0 else "worse"

    def in_words(self) -> str:
        """The difference with its interval and the verdict."""
        if self.half_width is None:
            return f"{self.mean:+.4f}"
        return f"{self.mean:+.4f} ± {self.half_width:.4f} {self.verdict}".rstrip()


def paired_difference(own: npt.ArrayLike, others: npt.ArrayLike) -> PairedDifference:
    """The mean of paired differences with Student's 95 % interval.

    Args:
        own: One side of each pair, `[pairs]`.
        others: The other side, `[pairs]`.
    """
    differences = np.asarray(own, np.float64) - np.asarray(others, np.float64)
    pairs = len(differences)
    if pairs < 2:
        return PairedDifference(float(differences.mean()), None, pairs)
    error = float(differences.std(ddof=1)) / pairs**0.5
    quantile = float(stats.t.ppf(0.5 + LEVEL / 2, pairs - 1))
    return PairedDifference(float(differences.mean()), quantile * error, pairs)
