"""One pass over the rows of a dataset, in pieces: everything that is counted.

Memory holds a piece, the clicks of each value, and a hash of each row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nasrec_opt.data import Batch, Dataset, Split, evenly_spaced
from nasrec_opt.errors import DataError
from nasrec_opt.inspection._copies import Copies, Hashes, keys_of
from nasrec_opt.inspection._figures import Signal
from nasrec_opt.inspection._numbers import SAMPLE_ROWS, Numbers, upper_halves
from nasrec_opt.inspection._signal import Judge, overall_rate, shrunk_rates

RARE, MISSING, FIRST = 0, 1, 2  # ids, as docs/howto/your_own_log.md has them
SPLITS = ("train", "validation", "test")
PIECE_ROWS = 1 << 14
RUN_ROWS = 64  # neighbouring rows that are read together: single ones would cost a page each
COMMON = 1 << 12  # first ids of a column that are counted one by one in validation and test rows

IntArray = npt.NDArray[np.integer[Any]]
Progress = Callable[[int, int | None], None]


class Tally:
    """What was counted.

    Args:
        dataset: The dataset; its view says which values are rare.
        progress: Called with (rows done, all rows).
        most_rows: Of more rows of a split only as many are read, or None for all.
    """

    def __init__(
        self, dataset: Dataset, progress: Progress | None = None, *, most_rows: int | None = None
    ) -> None:
        # With the bins of dense columns, which alone tell missing from the smallest number.
        full = Dataset.open(dataset.path, min_count=dataset.view["min_count"], binned_dense=True)
        splits = {name: full.split(name) for name in SPLITS}
        self.splits: dict[str, Split | Part] = {
            name: split
            if most_rows is None or split.num_rows <= most_rows
            else Part(split, most_rows)
            for name, split in splits.items()
        }
        self.rows = {name: split.num_rows for name, split in self.splits.items()}
        self.clicks = dict.fromkeys(SPLITS, 0)
        self.is_weighted = full.is_weighted
        # Sums of weights without and with a click, of splits, and below of values and ranges.
        self.weights = {name: np.zeros(2) for name in SPLITS}
        self.num_sparse = int(full.meta["num_sparse"])
        self._cardinalities = np.array(full.features.cardinalities)
        # Whether the dataset says which dense values are missing.
        self.has_missing = len(self._cardinalities) == self.num_sparse + full.meta["num_dense"]
        self._progress, self._done = progress, 0
        if not self.rows["train"]:
            raise DataError(f"{dataset.path}: expected training rows, got none")
        self.numbers = self._sampled(full)
        self._prepare(full)
        self.copies: dict[str, Copies] = {}
        self.signals: list[Signal] = []
        self.dense_signals: list[Signal] = []
        self._count()

    def _sampled(self, dataset: Dataset) -> list[Numbers]:
        """Dense columns, as evenly spread training rows show them."""
        train = self.splits["train"]
        some = train.rows(evenly_spaced(train.num_rows, SAMPLE_ROWS))
        self._check(some, "train")
        is_there = ~self._is_missing(some)
        return [
            Numbers(some.dense[is_there[:, column], column], partial(dataset.restore, column))
            for column in range(some.dense.shape[1])
        ]

    def _prepare(self, dataset: Dataset) -> None:
        sparse, dense = range(self.num_sparse), range(int(dataset.meta["num_dense"]))
        cardinalities = self._cardinalities.tolist()
        common = [min(cardinalities[column], COMMON) for column in sparse]
        groups = [numbers.num_groups + 1 for numbers in self.numbers]  # the last is missing
        self.value_rows = [np.zeros(cardinalities[column], np.int32) for column in sparse]
        self.value_clicks = [np.zeros_like(rows) for rows in self.value_rows]
        sizes = cardinalities if self.is_weighted else [0] * len(cardinalities)
        self.value_weights = [np.zeros((sizes[column], 2)) for column in sparse]
        self.group_weights = [np.zeros((size, 2)) for size in groups]
        self.common = {name: [np.zeros(size, np.int64) for size in common] for name in SPLITS[1:]}
        self.groups = {name: [np.zeros((size, 2), np.int64) for size in groups] for name in SPLITS}
        self.least = np.full(len(dense), np.inf)
        self.most = np.full(len(dense), -np.inf)

    def _count(self) -> None:
        hashes = Hashes(sum(self.rows.values()))
        self._add_split("train", hashes)
        rate = overall_rate(self.rows["train"], self.clicks["train"])
        judges = [Judge(rate) for _ in range(self.num_sparse)]
        rates = [
            shrunk_rates(rows, clicks)
            for rows, clicks in zip(self.value_rows, self.value_clicks, strict=True)
        ]
        self._add_split("validation", hashes, lambda rows: _judge(judges, rates, rows))
        self._add_split("test", hashes)
        self.signals = [judge.finish() for judge in judges]
        self.dense_signals = [self._dense_signal(column, rate) for column in range(len(self.least))]
        self.hashed_share = hashes.share
        self.copies = hashes.finish()

    def _add_split(
        self, name: str, hashes: Hashes, judge: Callable[[Batch], None] | None = None
    ) -> None:
        for rows in self._pieces(self.splits[name]):
            self._check(rows, name)
            hashes.add(name, keys_of(rows.dense, rows.sparse, rows.labels))
            self.clicks[name] += int(rows.labels.sum())
            if rows.weights is not None:
                labels = rows.labels.astype(np.intp)
                self.weights[name] += np.bincount(labels, rows.weights, minlength=2)
            self._add_sparse(name, rows)
            self._add_dense(name, rows)
            if judge is not None:
                judge(rows)
        if not self.rows[name]:
            hashes.add(name, np.empty(0, np.uint64))

    def _add_sparse(self, name: str, rows: Batch) -> None:
        clicked = rows.sparse[rows.labels > 0]
        for column in range(self.num_sparse):
            ids = rows.sparse[:, column].astype(np.intp)
            if name == "train":
                _add(self.value_rows[column], ids)
                _add(self.value_clicks[column], clicked[:, column].astype(np.intp))
                if rows.weights is not None:
                    labels = rows.labels.astype(np.intp)
                    np.add.at(self.value_weights[column], (ids, labels), rows.weights)
            else:
                common = self.common[name][column]
                found = np.bincount(np.minimum(ids, len(common)), minlength=len(common) + 1)
                common += found[: len(common)]

    def _add_dense(self, name: str, rows: Batch) -> None:
        upper, labels = upper_halves(rows.dense), rows.labels.astype(np.intp)
        is_missing = self._is_missing(rows)
        for column, numbers in enumerate(self.numbers):
            group = numbers.groups_of(upper[:, column])
            group[is_missing[:, column]] = numbers.num_groups
            size = 2 * (numbers.num_groups + 1)
            counts = np.bincount(2 * group + labels, minlength=size)
            self.groups[name][column] += counts.reshape(-1, 2)
            if name == "train" and rows.weights is not None:
                weights = np.bincount(2 * group + labels, rows.weights, minlength=size)
                self.group_weights[column] += weights.reshape(-1, 2)
        if name == "train":
            for ends, beyond, combine in (
                (self.least, np.float32(np.inf), np.minimum),
                (self.most, np.float32(-np.inf), np.maximum),
            ):
                combine(ends, combine.reduce(np.where(is_missing, beyond, rows.dense)), out=ends)

    def _dense_signal(self, column: int, rate: float) -> Signal:
        train, validation = (self.groups[name][column] for name in SPLITS[:2])
        rates = shrunk_rates(train.sum(axis=1), train[:, 1]).astype(np.float64)
        judge = Judge(rate)
        for label in (0, 1):
            judge.add(rates, np.full(len(rates), label, float), validation[:, label].astype(float))
        return judge.finish()

    def _is_missing(self, rows: Batch) -> npt.NDArray[np.bool_]:
        """Whether dense values are missing, `[rows, num_dense]`."""
        if not self.has_missing:
            return np.zeros(rows.dense.shape, np.bool_)
        return np.equal(rows.sparse[:, self.num_sparse :], MISSING)

    def _pieces(self, split: Split | Part) -> Iterator[Batch]:
        total = sum(self.rows.values())
        for first in range(0, split.num_rows, PIECE_ROWS):
            rows = split.rows(slice(first, first + PIECE_ROWS))
            yield rows
            self._done += len(rows.labels)
            if self._progress is not None:
                self._progress(self._done, total)

    def _check(self, rows: Batch, split: str) -> None:
        """Refuse what `prepare` never writes."""
        wrong = ""
        if (rows.sparse.view(np.uint32) >= self._cardinalities).any():  # negative ones as well
            wrong = "an id that no vocabulary has"
        elif not np.isfinite(rows.dense).all():
            wrong = "a dense value that is no finite number"
        elif rows.labels.max(initial=0) > 1:
            wrong = "a label that is neither 0 nor 1"
        if wrong:
            raise DataError(
                f"{split}: expected a whole dataset, got {wrong}: prepare the log again"
            )


class Part:
    """Some rows of a split, in short runs that are evenly spread over it.

    Args:
        split: The split.
        most_rows: About how many.
    """

    def __init__(self, split: Split, most_rows: int) -> None:
        runs = evenly_spaced(split.num_rows // RUN_ROWS, most_rows // RUN_ROWS)
        self._index = (runs[:, None] * RUN_ROWS + np.arange(RUN_ROWS)).ravel()
        self._split = split

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return len(self._index)

    def rows(self, index: slice | npt.NDArray[np.integer[Any]]) -> Batch:
        """Read some of the rows."""
        return self._split.rows(self._index[index])


def _judge(judges: list[Judge], rates: list[npt.NDArray[np.float32]], rows: Batch) -> None:
    for column, (judge, rate) in enumerate(zip(judges, rates, strict=True)):
        judge.add(rate[rows.sparse[:, column]], rows.labels)


def _add(counts: IntArray, ids: npt.NDArray[np.intp]) -> None:
    """Count ids; where there are many, without an array of all of them for a piece."""
    if len(counts) <= PIECE_ROWS:
        counts += np.bincount(ids, minlength=len(counts)).astype(counts.dtype)
    else:
        np.add.at(counts, ids, counts.dtype.type(1))
