"""Cost of one workload in full: each operation, what they share, and every component of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from hw._arrays import FloatArray
from hw._cost import ComponentCost, Cost, OperatorCost, critical_path
from hw._popularity import Popularity
from hw._workload import Operation, Workload
from hw.files import Technology
from hw.reram._kinds import columns_of, kind_of, parts_of
from hw.reram._parts import COMPONENTS, UM2_PER_MM2, Parts, Totals
from hw.reram._shared import Shared, leakage_mw, shared_areas_um2


def operation_parts(
    operations: Sequence[Operation],
    kinds: Sequence[int],
    t: Technology,
    popularity: Popularity | None,
) -> Parts:
    """Parts of operations of all kinds, in their order."""
    parts = Parts.none(len(operations))
    for kind, columns in columns_of(operations, kinds).items():
        if columns.shape[1]:
            some = parts_of(kind, columns, t, popularity)
            parts.put(np.flatnonzero(np.equal(kinds, kind)), some)
    return parts


def cost_workload(workload: Workload, t: Technology, popularity: Popularity | None = None) -> Cost:
    """Cost of one sample, with a part for each operation and for what they share."""
    operations = workload.operations
    kinds = [kind_of(o) for o in operations]
    parts = operation_parts(operations, kinds, t, popularity)
    totals = Totals.of(parts, np.array(kinds, dtype=np.int64))
    latency = dict(zip((o.name for o in operations), totals.latency_ns.tolist(), strict=True))
    path = critical_path(operations, latency)
    on_path = np.array([o.name in path for o in operations], dtype=bool)
    breakdown = _breakdown(operations, parts, totals, on_path)
    latency_ns = 0.0
    for part in breakdown:
        latency_ns += part.latency_ns
    alone = np.zeros(len(operations), dtype=np.int64)
    summed = Shared.of(totals, alone, 1, t)
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


def _breakdown(
    operations: Sequence[Operation],
    parts: Parts,
    totals: Totals,
    on_path: npt.NDArray[np.bool_],
) -> list[OperatorCost]:
    latency_ns = np.where(on_path, parts.latency_ns, 0.0)
    area_mm2 = parts.area_um2 / UM2_PER_MM2
    columns = (np.where(on_path, totals.latency_ns, 0.0), totals.energy_pj, totals.area_mm2)
    tables = np.stack([latency_ns, parts.energy_pj, area_mm2])  # [3, components, operations]
    return [
        OperatorCost(
            name=operation.name,
            operator=operation.operator,
            latency_ns=latency,
            energy_pj=energy,
            area_mm2=area,
            components=Components(tables, number),
        )
        for number, (operation, latency, energy, area) in enumerate(
            zip(operations, *(column.tolist() for column in columns), strict=True)
        )
    ]


class Components(Sequence[ComponentCost]):
    """Components of one operation, computed when they are read; equal to a tuple of them.

    Args:
        tables: Latency, energy and area of all operations, `[3, components, operations]`.
        number: The operation's number.
    """

    __slots__ = ("_number", "_tables")

    def __init__(self, tables: FloatArray, number: int) -> None:
        self._tables = tables
        self._number = number

    def _made(self) -> tuple[ComponentCost, ...]:
        rows = self._tables[:, :, self._number].T.tolist()
        return tuple(
            ComponentCost(name, *row)
            for name, row in zip(COMPONENTS, rows, strict=True)
            if any(row)
        )

    def __iter__(self) -> Iterator[ComponentCost]:
        return iter(self._made())

    def __len__(self) -> int:
        return len(self._made())

    @overload
    def __getitem__(self, index: int) -> ComponentCost: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ComponentCost, ...]: ...
    def __getitem__(self, index: int | slice) -> ComponentCost | tuple[ComponentCost, ...]:
        return self._made()[index]

    def __eq__(self, other: object) -> bool:
        return self._made() == (other._made() if isinstance(other, Components) else other)

    def __hash__(self) -> int:
        return hash(self._made())

    def __repr__(self) -> str:
        return repr(self._made())
