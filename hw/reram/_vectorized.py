"""Total costs of thousands of workloads at once.

Each distinct operation is computed once, with the formulas that also cost a single workload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from hw._arrays import FloatArray, IntArray
from hw._cost import Cost, finish_times
from hw._costs import Costs
from hw._popularity import Popularity
from hw._workload import Workload
from hw.files import Technology
from hw.reram._batch import JOIN, Batch, distinct
from hw.reram._breakdown import cost_workload
from hw.reram._kinds import FIELDS, columns_of, kind_of, parts_of
from hw.reram._parts import UM2_PER_MM2, Totals
from hw.reram._shared import Shared, leakage_mw, shared_areas_um2

NONE = np.zeros(0, dtype=np.int64)


def cost_workloads(
    workloads: Iterable[Workload], t: Technology, popularity: Popularity | None = None
) -> Costs:
    """Costs of workloads at once."""
    several = tuple(workloads)
    owner = np.repeat(np.arange(len(several)), [len(w.operations) for w in several])
    operations = [o for workload in several for o in workload.operations]
    kinds = [kind_of(operation) for operation in operations]
    table, indices = _distinct_totals(columns_of(operations, kinds), t, popularity)
    which = np.zeros(len(owner), dtype=np.int64)
    for kind, index in indices.items():
        which[np.array(kinds) == kind] = index
    totals = table.taken(which)
    times = totals.latency_ns.tolist()
    latency_ns, first = np.zeros(len(several)), 0
    for number, workload in enumerate(several):
        last = first + len(workload.operations)
        finish_ns = finish_times(workload.operations, times[first:last])
        latency_ns[number] = max(finish_ns.values(), default=0.0)
        first = last
    return _combine(
        totals, owner, latency_ns, t, lambda n: cost_workload(several[n], t, popularity)
    )


def cost_batch(batch: Batch, t: Technology, popularity: Popularity | None = None) -> Costs:
    """Costs of workloads given as columns."""
    columns = {}
    for kind in FIELDS:
        some = [slot.columns for slot in batch.slots if slot.kind == kind]
        columns[kind] = np.concatenate(some, axis=1) if some else np.zeros((1, 0), dtype=np.int64)
    table, indices = _distinct_totals(columns, t, popularity)
    taken = dict.fromkeys(columns, 0)
    which, times = [NONE], []
    for slot in batch.slots:
        if slot.kind == JOIN:
            times.append(np.zeros(len(slot.where)))
            continue
        start = taken[slot.kind]
        taken[slot.kind] = start + len(slot.where)
        which.append(indices[slot.kind][start : taken[slot.kind]])
        times.append(table.latency_ns[which[-1]])
    owner = np.concatenate([NONE, *(s.where for s in batch.slots if s.kind != JOIN)])
    return _combine(
        table.taken(np.concatenate(which)),
        owner,
        batch.latency_ns(times),
        t,
        lambda number: cost_workload(batch.in_full(number), t, popularity),
    )


def _distinct_totals(
    columns: Mapping[int, IntArray], t: Technology, popularity: Popularity | None
) -> tuple[Totals, dict[int, IntArray]]:
    """Totals of distinct operations, and which of them each column of each kind is."""
    tables, indices, shift = [], {}, 0
    for kind, some in columns.items():
        if not some.shape[1]:
            continue
        unique, index = distinct(some)
        kinds = np.full(unique.shape[1], kind)
        tables.append(Totals.of(parts_of(kind, unique, t, popularity), kinds))
        indices[kind] = index + shift
        shift += unique.shape[1]
    return Totals.joined(tables), indices


def _combine(
    totals: Totals,
    owner: IntArray,
    latency_ns: FloatArray,
    t: Technology,
    in_full: Callable[[int], Cost],
) -> Costs:
    """Totals of workloads from those of all their operations.

    Args:
        totals: Totals of all operations; those of one workload are in its order.
        owner: Number of the workload of each operation, `[operations]`.
        latency_ns: Latency of each workload, `[workloads]`.
        t: The accelerator.
        in_full: Cost of a workload with its breakdown, by its number.
    """
    count = len(latency_ns)
    summed = Shared.of(totals, owner, count, t)
    leak_mw = leakage_mw(summed, t)
    area_mm2 = np.zeros(count)
    for area_um2 in shared_areas_um2(summed, t).values():
        area_mm2 += area_um2 / UM2_PER_MM2
    # bincount adds in the order of the operations, as `Cost.of` does.
    energy_pj = np.bincount(owner, totals.energy_pj, count)
    own_mm2 = np.bincount(owner, totals.area_mm2, count)
    return Costs(
        latency_ns=latency_ns,
        energy_pj=energy_pj + leak_mw * latency_ns,  # mW x ns = pJ
        area_mm2=own_mm2 + area_mm2,
        leakage_mw=leak_mw,
        # Branches may use a shared stage for longer than the critical path: nothing overlaps then.
        interval_ns=np.minimum(summed.interval_ns, latency_ns),
        write_energy_pj=summed.write_energy_pj,
        write_latency_ns=summed.write_ns,
        in_full=in_full,
    )
