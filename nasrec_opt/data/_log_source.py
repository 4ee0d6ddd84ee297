"""The rows of a generated log with their clicks, in chunks that are ready to be written."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from nasrec_opt.data._bayes_metrics import BayesMetrics
from nasrec_opt.data._counter_random import key_of, uniform
from nasrec_opt.data._log_layout import Draw, GeneratedRows, Layout
from nasrec_opt.data._planted import Planted
from nasrec_opt.data._split import SPLITS, split_of
from nasrec_opt.errors import DataError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
LogOdds = Callable[[GeneratedRows], npt.NDArray[Any]]

CALIBRATION_ROWS = 65_536
LEAST_SPREAD = 1e-9
MANY_SHOWS = 32  # above, clicks are drawn at once


class Chunk(NamedTuple):
    """Rows that are ready to be written."""

    data: bytes | pa.Table
    probabilities: FloatArray
    metrics: list[BayesMetrics]  # of each split
    lines: list[BayesMetrics]
    users: IntArray | None
    rows: int


class Source:
    """The rows of a log, with clicks."""

    def __init__(
        self,
        layout: Layout,
        *,
        rows: int,
        seed: int,
        drift: float,
        is_small: bool,
        log_odds: LogOdds | None,
        signal: float,
        split_seed: int,
    ) -> None:
        self.layout, self.rows = layout, rows
        self._seed, self._split_seed = seed, split_seed
        self.draw = Draw(layout, seed=seed, rows=rows, drift=drift, is_small=is_small)
        # The same rows for a log of any length, spread over all of its time.
        whole = Draw(layout, seed=seed, rows=CALIBRATION_ROWS, drift=drift, is_small=is_small)
        sample = whole.rows(np.arange(CALIBRATION_ROWS))
        self._log_odds: LogOdds = log_odds or Planted(layout, self.draw, seed=seed, drift=drift)
        odds = self._raw(sample)
        spread = float(odds.std())
        if log_odds is not None and spread < LEAST_SPREAD:
            raise DataError("log_odds: expected numbers that differ, got the same for all rows")
        self._scale = 1.0 if log_odds is None else signal / spread
        self._bias = _bias(odds * self._scale, layout.click_rate)

    def chunk(self, first: int, count: int, *, is_text: bool) -> Chunk:
        """Draw and write rows."""
        layout = self.layout
        rows = self.draw.rows(np.arange(first, first + count))
        odds = self._raw(rows) * self._scale + self._bias
        probabilities = 1 / (1 + np.exp(-odds))
        shows = None if layout.shows is None else layout.shows(rows)
        clicks = self._clicks(rows.numbers, probabilities, shows)
        split = split_of(first, count, self._split_seed)
        metrics = [BayesMetrics() for _ in SPLITS]
        lines = [BayesMetrics() for _ in SPLITS]
        for i, of_split in enumerate(metrics):
            own = split == i
            of_split.add(odds[own], clicks[own], None if shows is None else shows[own])
        if shows is not None:
            none = shows * np.log1p(-probabilities)  # log of the probability of no click at all
            any_odds = np.log(-np.expm1(none)) - none
            for i, of_split in enumerate(lines):
                of_split.add(any_odds[split == i], (clicks[split == i] > 0).astype(np.int64))
        of_users = layout.users
        users = None if of_users is None else rows.sparse[layout.index[of_users.column]]
        frame = layout.frame(self._seed, rows, clicks)
        data = _text(frame, layout) if is_text else frame.to_arrow()
        return Chunk(data, probabilities, metrics, lines, users, count)

    def _raw(self, rows: GeneratedRows) -> FloatArray:
        odds = np.asarray(self._log_odds(rows), np.float64)
        if odds.shape != rows.numbers.shape or not np.isfinite(odds).all():
            raise DataError(
                f"log_odds: expected {len(rows.numbers)} finite numbers, got an array of the shape "
                f"{odds.shape} with {int((~np.isfinite(odds)).sum())} others"
            )
        return odds

    def _clicks(
        self, numbers: IntArray, probabilities: FloatArray, shows: IntArray | None
    ) -> IntArray:
        key = key_of(self._seed, "click")
        clicks = (uniform(key, numbers) < probabilities).astype(np.int64)
        if shows is None:
            return clicks
        for show in range(2, MANY_SHOWS + 1):
            more = np.flatnonzero((shows >= show) & (shows <= MANY_SHOWS))
            key = key_of(self._seed, "click", str(show))
            clicks[more] += uniform(key, numbers[more]) < probabilities[more]
        for row in np.flatnonzero(shows > MANY_SHOWS).tolist():
            rng = np.random.default_rng([self._seed, int(numbers[row])])
            clicks[row] = rng.binomial(shows[row], probabilities[row])
        return clicks


def _text(frame: pl.DataFrame, layout: Layout) -> bytes:
    stream = io.BytesIO()
    frame.write_csv(stream, separator=layout.separator, include_header=False, quote_style="never")
    return stream.getvalue()


def _bias(odds: FloatArray, click_rate: float) -> float:
    """What to add to log odds for a click rate, by bisection."""
    low, high = -50.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        rate = (1 / (1 + np.exp(-odds - middle))).mean()
        low, high = (middle, high) if rate < click_rate else (low, middle)
    return (low + high) / 2
