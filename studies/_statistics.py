"""How well scores rank models, and by how much one contender is better than another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

FloatArray = npt.NDArray[np.float64]
RESAMPLES = 1000
LEVEL = 0.95


def rank_quality(truth: npt.ArrayLike, scores: npt.ArrayLike, *, seed: int = 0) -> dict[str, float]:
    """Pearson's rho and Kendall's tau between true losses and scores, lower being better in both.

    Args:
        truth: Log loss of each model trained from scratch, `[models]`.
        scores: What the oracle says, `[models]`.
        seed: Seed of the bootstrap.

    Returns:
        `rho`, `tau` and `tau_better_half` (over the models whose truth is not above the median),
        each with `_low` and `_high`, a 95 % interval over resampled models; `regret`, by how much
        the model with the best score is worse than the best.

    References:
        Efron and Tibshirani 1993, chapter 13: the percentile interval.
    """
    true, score = np.asarray(truth, np.float64), np.asarray(scores, np.float64)
    better = true <= np.median(true)
    found: dict[str, float] = {}
    for name, measure, subset in (
        ("rho", _pearson, np.ones_like(better)),
        ("tau", _kendall, np.ones_like(better)),
        ("tau_better_half", _kendall, better),
    ):
        a, b = true[subset], score[subset]
        found[name] = measure(a, b)
        rng = np.random.default_rng(seed)
        drawn = [measure(a[i], b[i]) for i in rng.integers(len(a), size=(RESAMPLES, len(a)))]
        tail = (1 - LEVEL) / 2
        found[f"{name}_low"], found[f"{name}_high"] = (
            float(value) for value in np.nanquantile(drawn, [tail, 1 - tail])
        )
    found["regret"] = float(true[np.argmin(score)] - true.min())
    return found


def _pearson(a: FloatArray, b: FloatArray) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _kendall(a: FloatArray, b: FloatArray) -> float:
    return float(stats.kendalltau(a, b).statistic)


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
