"""Costs of many workloads: totals as arrays, and each cost in full when it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from hw._arrays import FloatArray
from hw._cost import Cost

TOTALS = (
    "latency_ns", "energy_pj", "area_mm2", "leakage_mw", "write_energy_pj", "write_latency_ns",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Costs(Sequence[Cost]):
    """Costs of several workloads: totals as arrays, and each cost in full when it is read.

    Args:
        latency_ns: As in `Cost`, `[workloads]`.
        energy_pj: As in `Cost`, `[workloads]`.
        area_mm2: As in `Cost`, `[workloads]`.
        leakage_mw: As in `Cost`, `[workloads]`.
        interval_ns: As in `Cost`, `[workloads]`.
        write_energy_pj: As in `Cost`, `[workloads]`.
        write_latency_ns: As in `Cost`, `[workloads]`.
        in_full: The cost of one workload with its breakdown, by its number.
    """

    latency_ns: FloatArray
    energy_pj: FloatArray
    area_mm2: FloatArray
    leakage_mw: FloatArray
    interval_ns: FloatArray
    write_energy_pj: FloatArray
    write_latency_ns: FloatArray
    in_full: Callable[[int], Cost]

    def __len__(self) -> int:
        return len(self.latency_ns)

    @overload
    def __getitem__(self, index: int) -> Cost: ...
    @overload
    def __getitem__(self, index: slice) -> list[Cost]: ...
    def __getitem__(self, index: int | slice) -> Cost | list[Cost]:
        """The cost of one workload, or of a slice of them, with breakdowns."""
        numbers = range(len(self))[index]
        if isinstance(numbers, int):
            return self.in_full(numbers)
        return [self.in_full(number) for number in numbers]

    def __iter__(self) -> Iterator[Cost]:
        return map(self.in_full, range(len(self)))

    @classmethod
    def of(cls, costs: Sequence[Cost]) -> Costs:
        """Collect the totals of costs.

        Args:
            costs: Costs of single workloads.

        Returns:
            Their totals as columns, in the same order.
        """
        costs = tuple(costs)
        intervals = [c.latency_ns if c.interval_ns is None else c.interval_ns for c in costs]
        rows = [tuple(getattr(cost, name) for name in TOTALS) for cost in costs]
        columns = np.array(rows, dtype=np.float64).reshape(len(costs), len(TOTALS)).T
        totals: dict[str, FloatArray] = dict(zip(TOTALS, columns, strict=True))
        return cls(
            **totals, interval_ns=np.array(intervals, dtype=np.float64), in_full=costs.__getitem__
        )

    @classmethod
    def placed(
        cls,
        parts: Iterable[tuple[Sequence[int], Costs]],
        count: int,
        in_full: Callable[[int], Cost],
    ) -> Costs:
        """Combine the costs of groups of workloads.

        Args:
            parts: For each group the numbers of its workloads, and their costs in that order.
            count: Number of all workloads.
            in_full: Computes the cost of a workload with its breakdown, from its number.

        Returns:
            Columns of `count` entries.
        """
        names = (*TOTALS, "interval_ns")
        totals: dict[str, FloatArray] = {name: np.zeros(count) for name in names}
        for numbers, costs in parts:
            for name, column in totals.items():
                column[list(numbers)] = getattr(costs, name)
        return cls(**totals, in_full=in_full)
