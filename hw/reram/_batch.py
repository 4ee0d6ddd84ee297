"""Many similar workloads as columns: a slot holds the same operation of all of them.

A program that lowers thousands of models writes them slot by slot, without an object for each
operation. Costs come from the same formulas as those of a `Workload`, once for each shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hw._arrays import FloatArray, IntArray
from hw._workload import Workload
from hw.reram._parts import DIGITAL, MEMORY, PRODUCT

JOIN = -1  # a slot that takes no time: it collects slots that others wait for


@dataclass(frozen=True, slots=True)
class Slot:
    """One operation of some workloads.

    Args:
        kind: Kind of the operation.
        where: Numbers of the workloads that have it, ascending, `[n]`.
        columns: The fields that enter its cost, `[fields, n]`.
        after: Slots that it needs; a workload ignores those that it does not have.
    """

    kind: int
    where: IntArray
    columns: IntArray
    after: tuple[int, ...]


class Batch:
    """Workloads as columns, for `ReRAM.cost_many`.

    Slots are added in an order in which they could run. Each method returns the number of its slot,
    for the `after` of later ones. Fields are integers, or arrays with an entry for each workload of
    `where`. They mean the same as in `MatrixVector`, `Digital` and `Lookup`.

    Args:
        count: Number of workloads.
        in_full: Builds the same workload with its operations, from its number.
    """

    def __init__(self, count: int, in_full: Callable[[int], Workload]) -> None:
        self.count = count
        self.in_full = in_full
        self.slots: list[Slot] = []

    def add_product(
        self,
        where: IntArray,
        *,
        inputs: Any,
        outputs: Any,
        repeats: Any,
        weight_bits: Any,
        activation_bits: Any,
        after: Sequence[int] = (),
    ) -> int:
        """Add a product of stationary weights with vectors.

        Args:
            where: Numbers of the workloads that have it, ascending, `[n]`.
            inputs: Length of a vector.
            outputs: Length of a result.
            repeats: Vectors of one sample that are multiplied by these weights, one after another.
            weight_bits: Bits of a weight.
            activation_bits: Bits of an input.
            after: Numbers of the slots whose results it needs.

        Returns:
            Number of the new slot.
        """
        fields = (inputs, outputs, repeats, weight_bits, activation_bits)
        return self._add(PRODUCT, where, fields, after)

    def add_digital(
        self,
        where: IntArray,
        *,
        multiplications: Any,
        additions: Any,
        special_functions: Any,
        bits: Any,
        after: Sequence[int] = (),
    ) -> int:
        """Add work of the digital unit.

        Args:
            where: Numbers of the workloads that have it, ascending, `[n]`.
            multiplications: Multiply-accumulates that the unit does, as `unit_macs` of `Digital`.
            additions: Additions, comparisons and subtractions.
            special_functions: Exponentials, sigmoids, reciprocals and square roots.
            bits: Bits of the operands.
            after: Numbers of the slots whose results it needs.

        Returns:
            Number of the new slot.
        """
        fields = (multiplications, additions, special_functions, bits)
        return self._add(DIGITAL, where, fields, after)

    def add_lookup(
        self, where: IntArray, *, vectors: Any, dim: Any, value_bits: Any, after: Sequence[int] = ()
    ) -> int:
        """Add reads of embedding vectors.

        Args:
            where: Numbers of the workloads that have it, ascending, `[n]`.
            vectors: Number of vectors read for one sample.
            dim: Values of a vector.
            value_bits: Bits of a stored value.
            after: Numbers of the slots whose results it needs.

        Returns:
            Number of the new slot.
        """
        return self._add(MEMORY, where, (vectors, dim, value_bits), after)

    def add_join(self, where: IntArray, after: Sequence[int]) -> int:
        """Add a slot that takes no time, for what some workloads wait for, such as a chosen input.

        Args:
            where: Numbers of the workloads that have it, ascending, `[n]`.
            after: Numbers of the slots that it waits for.

        Returns:
            Number of the new slot.
        """
        return self._add(JOIN, where, (), after)

    def _add(
        self, kind: int, where: IntArray, fields: tuple[Any, ...], after: Sequence[int]
    ) -> int:
        columns = np.empty((len(fields), len(where)), dtype=np.int64)
        for row, field in zip(columns, fields, strict=True):
            row[:] = field
        self.slots.append(Slot(kind, where, columns, tuple(dict.fromkeys(after))))
        return len(self.slots) - 1

    def latency_ns(self, times: Sequence[FloatArray]) -> FloatArray:
        """Compute the length of each workload's longest chain of operations.

        Args:
            times: For each slot the times of its workloads, ns, `[n]`.

        Returns:
            Latencies, ns, `[count]`.
        """
        finish = np.zeros((len(self.slots), self.count))
        for number, (slot, time_ns) in enumerate(zip(self.slots, times, strict=True)):
            start = np.zeros(self.count)
            for earlier in slot.after:
                np.maximum(start, finish[earlier], out=start)
            finish[number, slot.where] = start[slot.where] + time_ns
        longest: FloatArray = finish.max(axis=0, initial=0.0)
        return longest


def distinct(columns: IntArray) -> tuple[IntArray, IntArray]:
    """Distinct columns of `[fields, n]`, n at least 1, and each column's place there, `[n]`."""
    radix = columns.max(axis=1) + 1
    if np.log2(radix.astype(np.float64)).sum() > 62:  # too large for one number a column
        unique, which = np.unique(columns, axis=1, return_inverse=True)
        return unique, which.reshape(-1)
    keys = np.zeros(columns.shape[1], dtype=np.int64)
    for column, base in zip(columns, radix, strict=True):
        keys = keys * base + column
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    return columns[:, first], which
