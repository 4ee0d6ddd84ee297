"""Log loss and AUC of the true probabilities: summed up while a log is written, and found again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nasrec_opt._files import read_json
from nasrec_opt.data._schema import Schema
from nasrec_opt.data._sources import Log
from nasrec_opt.data._split import SPLITS

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

TRUTH = "truth.json"  # beside a generated log
BINS = 1 << 16  # of the log odds
FARTHEST = 16.0  # log odds of the outer bins


class BayesMetrics:
    """What the best possible model reaches on the rows that were added."""

    def __init__(self) -> None:
        self.shows = 0
        self.clicks = 0
        self._loss = 0.0
        self._counts = np.zeros((2, BINS), np.int64)  # not clicked, clicked

    def add(self, odds: FloatArray, clicks: IntArray, shows: IntArray | None = None) -> None:
        """Add rows.

        Args:
            odds: True log odds of a click, `[rows]`.
            clicks: Clicks of each row, `[rows]`.
            shows: How often each row was shown, `[rows]`; None: once.
        """
        if not len(odds):
            return
        others = (1 if shows is None else shows) - clicks
        self.clicks += int(clicks.sum())
        self.shows += int(clicks.sum() + others.sum())
        self._loss += float(clicks @ np.logaddexp(0, -odds) + others @ np.logaddexp(0, odds))
        bins = ((odds / FARTHEST + 1) * (BINS / 2)).astype(np.int64).clip(0, BINS - 1)
        for counts, weights in zip(self._counts, (others, clicks), strict=True):
            counts += np.bincount(bins, weights, BINS).astype(np.int64)

    def merge(self, other: BayesMetrics) -> None:
        """Add the rows of another one."""
        self.shows += other.shows
        self.clicks += other.clicks
        self._loss += other._loss
        self._counts += other._counts

    def to_dict(self) -> dict[str, float | None]:
        """Clicks, log loss and AUC as JSON values; None where there are no rows of both classes."""
        rate = self.clicks / self.shows if self.shows else 0.0
        negatives, positives = self._counts
        pairs = float(self.clicks) * float(self.shows - self.clicks)
        below = np.cumsum(negatives) - negatives / 2  # a tie counts half
        return {
            "shows": self.shows,
            "clicks": self.clicks,
            "click_rate": rate if self.shows else None,
            "bayes_log_loss": self._loss / self.shows if self.shows else None,
            "bayes_auc": float(positives @ below) / pairs if pairs else None,
            "constant_log_loss": (
                float(-rate * np.log(rate) - (1 - rate) * np.log1p(-rate)) if pairs else None
            ),
        }


def bayes_log_loss(log: Log, schema: Schema, meta: Mapping[str, Any]) -> dict[str, float] | None:
    """Find what `generate_log` has left beside its log.

    Args:
        log: The log that is prepared.
        schema: Its columns, resolved.
        meta: Description of the dataset: `seed`, and `rows` and `clicks` of each split.

    Returns:
        Log loss of the true probabilities on the rows of each split, or None where it is not known:
        the log is another one, or has other splits.
    """
    file = log.files[0]
    try:
        truth = read_json(file.path.parent / TRUTH)
        lines = truth["line_metrics"] if schema.count == "line" else None
        metrics = {name: (lines or truth["metrics"])[name] for name in SPLITS}
        is_same = len(log.files) == 1 and truth["file"] == file.path.name and "time" not in meta
        is_same = is_same and truth["split_seed"] == meta["seed"]
        if schema.count != "weight":  # whose rows are others
            shows = [[m["shows"], m["clicks"]] for m in metrics.values()]
            is_same = is_same and shows == [[meta["rows"][n], meta["clicks"][n]] for n in SPLITS]
        found = {name: float(values["bayes_log_loss"]) for name, values in metrics.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return found if is_same else None
