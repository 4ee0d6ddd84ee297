"""Predictions of a genotype's model on the validation rows, at any fidelity."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nasrec_opt.oracle._plan import Key, Plan
from nasrec_opt.oracle._protocol import Report

Logits = npt.NDArray[np.float32]  # one each row, `[rows]`


@dataclass(frozen=True, slots=True)
class Prediction:
    """Logits of one model.

    Args:
        logits: float32 `[rows]`.
        intermediate: Intermediate `(step, log loss)`, the last at the end; empty without training.
    """

    logits: Logits
    intermediate: tuple[tuple[int, float], ...] = ()


class Predictor(Protocol):
    """A fidelity: models with the supernet's weights, or models that are trained first."""

    group_size: int  # number of genotypes that are best predicted together

    @property
    def labels(self) -> npt.NDArray[np.float32]:
        """Of the validation rows, 0 or 1, `[rows]`."""

    @property
    def row_weights(self) -> npt.NDArray[np.float32] | None:
        """Of the validation rows, `[rows]`, or None where each counts once."""

    @property
    def cached_bytes(self) -> int:
        """Bytes of block outputs kept now."""

    def predict(self, plans: Sequence[Plan], report: Report | None) -> list[Prediction]:
        """Logits of each genotype on the validation rows."""


class RecentLogits:
    """Logits of the latest models, for comparisons: always two, more if they are small.

    Args:
        capacity_bytes: Maximum number of bytes, if more than two are kept.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._entries: OrderedDict[Key, Logits] = OrderedDict()

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def get(self, key: Key) -> Logits:
        """The logits of a model, if they are kept."""
        return self._entries[key]

    def put(self, key: Key, logits: Logits) -> None:
        """Keep logits, and drop the oldest."""
        self._entries[key] = logits
        self._entries.move_to_end(key)
        while len(self._entries) > max(2, self._capacity_bytes // logits.nbytes):
            self._entries.popitem(last=False)
