"""A prepared log: memory-mapped columns, opened under the thresholds that its reader wants."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from nasrec_opt._files import read_json
from nasrec_opt._weights import mean_weight
from nasrec_opt.data._encoding import restored
from nasrec_opt.data._loader import Loader
from nasrec_opt.data._split import SPLITS, evenly_spaced
from nasrec_opt.data._statistics import Statistics
from nasrec_opt.data._vocabulary import FIRST, RARE
from nasrec_opt.errors import DataError
from nasrec_opt.features import FeatureSpec

META = "dataset.json"
VERSION = 1
ARRAYS = {"dense": np.float32, "sparse": np.int32, "labels": np.uint8}
COUNTED_AT_ONCE = 1 << 18  # rows whose ids are counted together
WEIGHTS = "weights"  # a further array, where rows have weights
FIELDS = (  # keys of the description that are needed to read a dataset
    "rows", "num_dense", "num_sparse", "dense_columns", "sparse_columns", "cardinalities",
    "checksums",
)  # fmt: skip


class Batch(NamedTuple):
    """Rows as arrays.

    Args:
        dense: float32 `[rows, num_dense]`.
        sparse: Ids, int32 `[rows, num_sparse]`.
        labels: float32 `[rows]`, 0 or 1.
        weights: float32 `[rows]`, or None where each row counts once.
    """

    dense: npt.NDArray[np.float32]
    sparse: npt.NDArray[np.int32]
    labels: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32] | None = None


class Dataset:
    """A dataset folder as one reader sees it; make it with `Dataset.open` or `prepare`.

    Args:
        path: The folder.
        meta: Its description.
        min_count: Values that occur in fewer training rows are read as rare.
        binned_dense: Whether dense columns are read as binned sparse columns as well.
    """

    def __init__(
        self, path: Path, meta: dict[str, Any], *, min_count: int, binned_dense: bool
    ) -> None:
        self.path = path
        self.meta = meta
        self.view = {"min_count": min_count, "binned_dense": binned_dense}

    @classmethod
    def open(cls, path: Path | str, *, min_count: int = 1, binned_dense: bool = False) -> Dataset:
        """Open a dataset folder.

        Args:
            path: The folder that `prepare` wrote.
            min_count: Values that occur in fewer training rows are read as id 0 (rare).
            binned_dense: Whether each dense column is also read as a sparse column of its bins
                floor(log(x + 1)^2).

        Returns:
            The dataset; its arrays are memory-mapped, not loaded.

        Raises:
            DataError: The folder holds no dataset or a damaged one, or `min_count` is below 1.
        """
        path = Path(path)
        meta = _description(path)
        if min_count < 1:
            raise DataError(f"min_count: expected 1 or more, got {min_count}")
        return cls(path, meta, min_count=min_count, binned_dense=binned_dense)

    @cached_property
    def features(self) -> FeatureSpec:
        """Shape of the rows under this reader's thresholds.

        Raises:
            DataError: The file of counts is damaged.
        """
        return FeatureSpec(self.meta["num_dense"], tuple(self._cutoffs.tolist()))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content and of how it is read."""
        text = json.dumps([self.meta["checksums"], self.view], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def column_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the dense and of the sparse columns."""
        sparse = self.meta["sparse_columns"][: self._num_sparse]
        return tuple(self.meta["dense_columns"]), tuple(sparse)

    @property
    def is_weighted(self) -> bool:
        """Whether rows have weights."""
        return bool(self.meta.get("is_weighted", False))

    def restore(self, column: int, numbers: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Turn what models read of a dense column back into numbers of the log.

        Args:
            column: Place of the column among the dense ones.
            numbers: As models read them, `[rows]`.

        Returns:
            Numbers as in the log, `[rows]`; a missing one is what 0 stands for.
        """
        name = self.meta["dense_columns"][column]
        options = {option["name"]: option for option in self.meta["schema"].get("options", ())}
        kind = options.get(name, {}).get("transform") or "log"
        return restored(kind, Statistics.from_dict(self.meta), column, numbers)

    @property
    def bayes_log_loss(self) -> dict[str, float] | None:
        """Log loss of the true probabilities, by split; only for a synthetic or generated log."""
        return self.meta.get("bayes_log_loss")

    def split(self, name: str) -> Split:
        """Open the rows of a split.

        Args:
            name: `train`, `validation` or `test`.

        Returns:
            The split, memory-mapped.

        Raises:
            DataError: There is no such split, or its files are damaged.
        """
        if name not in SPLITS:
            raise DataError(f"split: expected one of {', '.join(SPLITS)}, got {name!r}")
        rows = int(self.meta["rows"][name])
        widths = {
            "dense": (self.meta["num_dense"],),
            "sparse": (len(self.meta["cardinalities"]),),
            "labels": (),
        }
        arrays = {
            array: _load(self.path / name / f"{array}.npy", dtype, (rows, *widths[array]))
            for array, dtype in ARRAYS.items()
        }
        if self.is_weighted:
            arrays[WEIGHTS] = _load(self.path / name / f"{WEIGHTS}.npy", np.float32, (rows,))
        return Split(name, arrays, self._num_sparse, self._cutoffs, self._is_cut)

    def row_counts(self) -> npt.NDArray[np.int64]:
        """Count how often each embedding row is read by the training rows, each counted once.

        Returns:
            Counts of the rows of all tables, the table of the first column first.

        Raises:
            DataError: The files of the training rows are damaged.
        """
        train, sizes = self.split("train"), self.features.cardinalities
        counts = [np.zeros(size, np.int64) for size in sizes]
        for first in range(0, train.num_rows, COUNTED_AT_ONCE):
            sparse = train.rows(slice(first, first + COUNTED_AT_ONCE)).sparse
            for column, count in enumerate(counts):
                np.add(count, np.bincount(sparse[:, column], minlength=len(count)), out=count)
        return np.concatenate(counts)

    @property
    def _num_sparse(self) -> int:
        total = len(self.meta["cardinalities"])
        return total if self.view["binned_dense"] else int(self.meta["num_sparse"])

    @cached_property
    def _cutoffs(self) -> npt.NDArray[np.int32]:
        """First id of each column that is read as rare: its cardinality for this reader."""
        fixed = set(self.meta.get("fixed_columns", ()))  # whose ids are not by count
        is_fixed = np.array([name in fixed for name in self.meta["sparse_columns"]])
        cardinalities = np.array(self.meta["cardinalities"])
        values = np.where(is_fixed, 0, cardinalities - FIRST)
        counts = _load(self.path / "counts.npy", np.int64, (int(values.sum()),))
        columns = np.split(counts, np.cumsum(values)[:-1])
        least = self.view["min_count"]
        frequent = np.array([FIRST + int((c >= least).sum()) for c in columns], np.int32)
        found = np.where(is_fixed, cardinalities, frequent).astype(np.int32)
        return found[: self._num_sparse]

    @property
    def _is_cut(self) -> bool:
        return bool((self._cutoffs < self.meta["cardinalities"][: self._num_sparse]).any())


class Batched(ABC):
    """Rows that are read in batches."""

    @property
    @abstractmethod
    def num_rows(self) -> int:
        """Number of rows."""

    @abstractmethod
    def rows(self, index: slice | npt.NDArray[np.integer[Any]]) -> Batch:
        """Read some rows, in the order asked for.

        Args:
            index: A slice, or row numbers `[rows]`.

        Returns:
            Dense features `[rows, num_dense]`, sparse ids `[rows, num_sparse]`, labels `[rows]`,
            and weights `[rows]` where there are some.
        """

    def batches(
        self,
        batch_size: int,
        *,
        seed: int | None = None,
        start_step: int = 0,
        drop_last: bool = False,
    ) -> Loader:
        """Iterate over one epoch in batches.

        Args:
            batch_size: Rows of a batch, 1 or more.
            seed: Seed of the order of the rows, or None for the order of the split.
            start_step: Number of the first batch; the ones before it are skipped without being
                read.
            drop_last: Whether a last batch of fewer rows is left out.

        Returns:
            An iterable of `Batch`.

        Raises:
            DataError: `batch_size`, `seed` or `start_step` is out of range.
        """
        return Loader(self, batch_size, seed=seed, start_step=start_step, drop_last=drop_last)


class Split(Batched):
    """Rows of one split, memory-mapped.

    Args:
        name: Its name.
        arrays: `dense`, `sparse`, `labels` and, where rows have weights, `weights`.
        num_sparse: How many of the stored sparse columns are read.
        cutoffs: First rare id of each.
        is_cut: Whether any id is read as rare.
    """

    def __init__(
        self,
        name: str,
        arrays: dict[str, npt.NDArray[Any]],
        num_sparse: int,
        cutoffs: npt.NDArray[np.int32],
        is_cut: bool,
    ) -> None:
        self.name = name
        self._arrays = arrays
        self._num_sparse = num_sparse
        self._cutoffs = cutoffs
        self._is_cut = is_cut

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return len(self._arrays["labels"])

    @property
    def labels(self) -> npt.NDArray[np.uint8]:
        """All labels, 0 or 1, memory-mapped, `[rows]`."""
        return self._arrays["labels"]

    @property
    def weights(self) -> npt.NDArray[np.float32] | None:
        """Weights of all rows, memory-mapped, `[rows]`, or None where each row counts once."""
        return self._arrays.get(WEIGHTS)

    @cached_property
    def mean_weight(self) -> float | None:
        """Mean weight of the rows, or None where each counts once.

        Raises:
            DataError: No weight is above 0.
        """
        return None if self.weights is None else mean_weight(self.weights)

    def weights_of(self, rows: int | None) -> npt.NDArray[np.float32] | None:
        """Weights of evenly spread rows.

        Args:
            rows: Number of rows, or None for all of them.

        Returns:
            Weights `[rows]`, or None where each counts once.
        """
        if self.weights is None or rows is None:
            return self.weights
        return self.weights[evenly_spaced(self.num_rows, rows)]

    def rows(self, index: slice | npt.NDArray[np.integer[Any]]) -> Batch:
        """Read some rows, in the order asked for.

        Args:
            index: A slice, or row numbers `[rows]`.

        Returns:
            Dense features `[rows, num_dense]`, sparse ids `[rows, num_sparse]`, labels `[rows]`,
            and weights `[rows]` where there are some.
        """
        dense = np.array(self._arrays["dense"][index])
        sparse = np.array(self._arrays["sparse"][index][:, : self._num_sparse])
        if self._is_cut:
            sparse[sparse >= self._cutoffs] = RARE
        labels = self._arrays["labels"][index].astype(np.float32)
        weights = None if self.weights is None else np.array(self.weights[index])
        return Batch(dense, sparse, labels, weights)


class JoinedSplit(Batched):
    """Rows of several splits as those of one, one split after the other.

    Args:
        splits: The splits, of one dataset.
    """

    def __init__(self, *splits: Split) -> None:
        self._splits = splits
        self._ends = np.cumsum([split.num_rows for split in splits])

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return int(self._ends[-1])

    def rows(self, index: slice | npt.NDArray[np.integer[Any]]) -> Batch:
        """Read some rows, in the order asked for.

        Args:
            index: As for `Split.rows`, counted from the first row of the first split.

        Returns:
            As for `Split.rows`.
        """
        wanted = np.arange(self.num_rows)[index] if isinstance(index, slice) else index
        whose = np.searchsorted(self._ends, wanted, side="right")
        parts = [
            split.rows(wanted[whose == number] - (end - split.num_rows))
            for number, (split, end) in enumerate(zip(self._splits, self._ends, strict=True))
        ]
        place = np.argsort(np.argsort(whose, kind="stable"))  # of each wanted row among the parts
        joined: list[Any] = [
            None if arrays[0] is None else np.concatenate(arrays)[place]  # rows without weights
            for arrays in zip(*parts, strict=True)
        ]
        return Batch(*joined)


def _description(path: Path) -> dict[str, Any]:
    file = path / META
    try:
        meta = read_json(file)
    except FileNotFoundError:
        raise DataError(f"{path}: expected a dataset, found no {META}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: expected a dataset's description, got: {error}") from error
    version = meta.get("version") if isinstance(meta, dict) else None
    if version != VERSION:
        raise DataError(f"{file}: expected version {VERSION}, got {version!r}")
    missing = [name for name in FIELDS if name not in meta]
    if missing:
        raise DataError(f"{file}: expected a key {missing[0]!r}, got none")
    return cast("dict[str, Any]", meta)


def _load(file: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """An array of known shape, memory-mapped."""
    try:
        array = np.asarray(np.load(file, mmap_mode="r"))
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{file}: expected an array, got: {error}") from error
    if array.dtype != dtype or array.shape != shape:
        raise DataError(
            f"{file}: expected {np.dtype(dtype)} {list(shape)}, got {array.dtype} "
            f"{list(array.shape)}"
        )
    return array
