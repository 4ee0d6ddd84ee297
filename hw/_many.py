"""Costs of one workload in full, and of thousands by their totals: the same lines for both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from hw._cost import ComponentCost, Cost, OperatorCost, critical_path
from hw._parts import (
    COMPONENTS,
    Digitals,
    FloatArray,
    IntArray,
    Lookups,
    Parts,
    Products,
    total,
)
from hw._product import product_parts
from hw._shared import (
    DIGITAL,
    MEMORY,
    PRODUCT,
    UM2_PER_MM2,
    Shared,
    leakage_mw,
    shared_areas_um2,
)
from hw._technology import Technology
from hw._unit import digital_parts, lookup_parts
from hw._workload import Digital, MatrixVector, Operation, Workload


@dataclass(frozen=True, slots=True, eq=False)
class Costs(Sequence[Cost]):
    """Costs of several workloads: totals as arrays, each in full where it is asked for.

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


def operation_parts(operations: Sequence[Operation], t: Technology) -> Parts:
    """Parts of operations of all kinds, in their order."""
    parts = Parts.none(len(operations))
    products: list[tuple[int, MatrixVector]] = []
    digitals: list[tuple[int, Digital]] = []
    lookups = []
    for number, operation in enumerate(operations):
        if isinstance(operation, MatrixVector):
            products.append((number, operation))
        elif isinstance(operation, Digital):
            digitals.append((number, operation))
        else:
            lookups.append((number, operation))
    if products:
        where, some = zip(*products, strict=True)
        parts.put(np.array(where), product_parts(Products.of(some), t))
    if digitals:
        where, work = zip(*digitals, strict=True)
        parts.put(np.array(where), digital_parts(Digitals.of(work), t.digital))
    if lookups:
        where, rows = zip(*lookups, strict=True)
        parts.put(np.array(where), lookup_parts(Lookups.of(rows), t.dram))
    return parts


def cost_workload(workload: Workload, t: Technology) -> Cost:
    """Cost of one sample, with a part for each operation and for what they share."""
    operations = workload.operations
    parts = operation_parts(operations, t)
    latency = dict(zip((o.name for o in operations), total(parts.latency_ns).tolist(), strict=True))
    path = critical_path(operations, latency)
    on_path = np.array([o.name in path for o in operations], dtype=bool)
    breakdown = _breakdown(operations, parts, on_path)
    latency_ns = 0.0
    for part in breakdown:
        latency_ns += part.latency_ns
    kinds = np.array([kind_of(o) for o in operations], dtype=np.int64)
    alone = np.zeros(len(operations), dtype=np.int64)
    summed = Shared.of(parts, kinds, alone, 1, t)
    leak_mw = float(leakage_mw(summed, t)[0])
    areas_um2 = {name: float(area[0]) for name, area in shared_areas_um2(summed, t).items()}
    leaked_pj = leak_mw * latency_ns  # mW x ns = pJ
    area_mm2 = 0.0
    for area in areas_um2.values():
        area_mm2 += area / UM2_PER_MM2
    shared = OperatorCost(
        name="shared",
        operator="shared",
        latency_ns=0.0,
        energy_pj=leaked_pj,
        area_mm2=area_mm2,
        components=tuple(
            component
            for component in (
                *(ComponentCost(n, 0.0, 0.0, a / UM2_PER_MM2) for n, a in areas_um2.items()),
                ComponentCost("leakage", 0.0, leaked_pj, 0.0),
            )
            if any(component[1:])
        ),
    )
    return Cost.of(
        [*breakdown, shared],
        leakage_mw=leak_mw,
        interval_ns=min(float(summed.interval_ns[0]), latency_ns),
        write_energy_pj=float(summed.write_energy_pj[0]),
        write_latency_ns=float(summed.write_ns[0]),
    )


def kind_of(operation: Operation) -> int:
    """What keeps samples apart: a product's own crossbars, the digital unit, or the memory."""
    if isinstance(operation, MatrixVector):
        return PRODUCT
    return DIGITAL if isinstance(operation, Digital) else MEMORY


def _breakdown(
    operations: Sequence[Operation], parts: Parts, on_path: np.ndarray
) -> list[OperatorCost]:
    latency_ns = np.where(on_path, parts.latency_ns, 0.0)
    area_mm2 = parts.area_um2 / UM2_PER_MM2
    totals = (total(latency_ns), total(parts.energy_pj), total(parts.area_um2) / UM2_PER_MM2)
    tables = np.stack([latency_ns, parts.energy_pj, area_mm2])  # [3, components, n]
    where, which = np.nonzero(tables.any(axis=0).T)  # by operation, then by component
    rows = tables[:, which, where].tolist()
    names = [COMPONENTS[index] for index in which.tolist()]
    components = list(map(ComponentCost, names, *rows))
    ends = np.cumsum(np.bincount(where, minlength=len(operations))).tolist()
    return [
        OperatorCost(
            name=operation.name,
            operator=operation.operator,
            latency_ns=latency,
            energy_pj=energy,
            area_mm2=area,
            components=tuple(components[start:end]),
        )
        for operation, latency, energy, area, start, end in zip(
            operations, *(c.tolist() for c in totals), [0, *ends], ends, strict=False
        )
    ]


def cost_workloads(workloads: Iterable[Workload], t: Technology) -> Costs:
    """Costs of workloads at once."""
    several = tuple(workloads)
    operations = [o for workload in several for o in workload.operations]
    parts = operation_parts(operations, t)
    owner = np.repeat(np.arange(len(several)), [len(w.operations) for w in several])
    times = total(parts.latency_ns).tolist()
    latency_ns, first = np.zeros(len(several)), 0
    for number, workload in enumerate(several):
        latency_ns[number] = _latency_ns(workload.operations, times, first)
        first += len(workload.operations)
    kinds = np.array([kind_of(o) for o in operations], dtype=np.int64)
    return combine(
        parts, kinds, owner, latency_ns, t, lambda number: cost_workload(several[number], t)
    )


def _latency_ns(operations: Sequence[Operation], times: Sequence[float], first: int) -> float:
    """Length of the longest chain of needs; `first` is the number of the first operation's time."""
    finish: dict[str, float] = {}
    for number, operation in enumerate(operations, start=first):
        start = 0.0
        for name in operation.after:
            if finish[name] > start:
                start = finish[name]
        finish[operation.name] = start + times[number]
    return max(finish.values(), default=0.0)


def combine(
    parts: Parts,
    kinds: IntArray,
    owner: IntArray,
    latency_ns: FloatArray,
    t: Technology,
    in_full: Callable[[int], Cost],
) -> Costs:
    """Totals of workloads from the parts of all their operations.

    Args:
        parts: Parts of the operations, those of one workload in its order.
        kinds: What keeps samples apart, see `kind_of`, `[operations]`.
        owner: Number of the workload of each operation, `[operations]`.
        latency_ns: Latency of each workload, `[workloads]`.
        t: The accelerator.
        in_full: Cost of a workload with its breakdown, by its number.
    """
    count = len(latency_ns)
    summed = Shared.of(parts, kinds, owner, count, t)
    leak_mw = leakage_mw(summed, t)
    area_mm2 = np.zeros(count)
    for area_um2 in shared_areas_um2(summed, t).values():
        area_mm2 += area_um2 / UM2_PER_MM2
    # bincount adds in the order of the operations, as `Cost.of` does.
    energy_pj = np.bincount(owner, total(parts.energy_pj), count)
    own_mm2 = np.bincount(owner, total(parts.area_um2) / UM2_PER_MM2, count)
    return Costs(
        latency_ns=latency_ns,
        energy_pj=energy_pj + leak_mw * latency_ns,  # mW x ns = pJ
        area_mm2=own_mm2 + area_mm2,
        leakage_mw=leak_mw,
        # Stages that branches share may be busy for longer than the path: then nothing overlaps.
        interval_ns=np.minimum(summed.interval_ns, latency_ns),
        write_energy_pj=summed.write_energy_pj,
        write_latency_ns=summed.write_ns,
        in_full=in_full,
    )
