"""What an accelerator costs: totals, and the parts that add up to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hw._workload import Operation, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCost:
    """The share of one operation.

    Args:
        name: The operation's name.
        operator: What it belongs to.
        latency_ns: Time of one sample where the operation lies on the critical path, otherwise 0.
        energy_pj: Energy of one sample.
        area_mm2: Area of its own.
    """

    name: str
    operator: str
    latency_ns: float
    energy_pj: float
    area_mm2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Cost of one sample; the parts sum to the totals.

    Args:
        latency_ns: From the embedding lookup to the logit, one sample alone.
        energy_pj: Dynamic energy, and leakage during the latency.
        area_mm2: Area of the whole accelerator.
        leakage_mw: Leakage power.
        breakdown: A part for each operation, and for what they share.
    """

    latency_ns: float
    energy_pj: float
    area_mm2: float
    leakage_mw: float
    breakdown: tuple[OperatorCost, ...]

    @classmethod
    def of(cls, parts: Iterable[OperatorCost], *, leakage_mw: float) -> Cost:
        """A cost from its parts."""
        parts = tuple(parts)
        return cls(
            latency_ns=sum(part.latency_ns for part in parts),
            energy_pj=sum(part.energy_pj for part in parts),
            area_mm2=sum(part.area_mm2 for part in parts),
            leakage_mw=leakage_mw,
            breakdown=parts,
        )


class CostModel(Protocol):
    """An accelerator: ReRAM, a CPU, a user's own."""

    def cost(self, workload: Workload) -> Cost:
        """Cost of one sample."""


def critical_path(
    operations: Sequence[Operation], latency_ns: Mapping[str, float]
) -> frozenset[str]:
    """Names of the operations on the longest chain of needs.

    Args:
        operations: In an order in which they could run.
        latency_ns: Time of each.
    """
    finish: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for operation in operations:
        last = max(operation.after, key=lambda name: finish[name], default=None)
        start = 0.0 if last is None else finish[last]
        before[operation.name] = last
        finish[operation.name] = start + latency_ns[operation.name]
    path = set()
    name = max(finish, key=lambda n: finish[n], default=None)
    while name is not None:
        path.add(name)
        name = before[name]
    return frozenset(path)
