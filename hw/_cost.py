"""What an accelerator costs: totals, and the parts that add up to them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from hw._workload import Operation, Workload
from hw.errors import DescriptionError


class ComponentCost(NamedTuple):
    """The share of one kind of component: converters, buffers, the digital unit, leakage."""

    name: str
    latency_ns: float
    energy_pj: float
    area_mm2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCost:
    """The share of one operation.

    Args:
        name: The operation's name.
        operator: What it belongs to.
        latency_ns: Time of one sample where the operation lies on the critical path, otherwise 0.
        energy_pj: Energy of one sample.
        area_mm2: Area of its own.
        components: The same by component, those that are 0 left out; a model may leave it empty.
            `ReRAM` makes them when they are asked for: a search asks for none.
    """

    name: str
    operator: str
    latency_ns: float
    energy_pj: float
    area_mm2: float
    components: Sequence[ComponentCost] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Cost of one sample; the parts sum to the totals.

    Args:
        latency_ns: From the embedding lookup to the logit, one sample alone.
        energy_pj: Dynamic energy, and leakage during the latency.
        area_mm2: Area of the whole accelerator.
        leakage_mw: Leakage power.
        breakdown: A part for each operation, and for what they share.
        interval_ns: Time from one sample's result to the next one's where samples follow each other
            through the layers; None means that they do not overlap.
        write_energy_pj: Energy of writing all weights once, in no other figure.
        write_latency_ns: Time of it, all crossbars at once, in no other figure.
    """

    latency_ns: float
    energy_pj: float
    area_mm2: float
    leakage_mw: float
    breakdown: tuple[OperatorCost, ...]
    interval_ns: float | None = None
    write_energy_pj: float = 0.0
    write_latency_ns: float = 0.0

    @classmethod
    def of(
        cls,
        parts: Iterable[OperatorCost],
        *,
        leakage_mw: float,
        interval_ns: float | None = None,
        write_energy_pj: float = 0.0,
        write_latency_ns: float = 0.0,
    ) -> Cost:
        """A cost from its parts."""
        parts = tuple(parts)
        latency_ns = energy_pj = area_mm2 = 0.0
        for part in parts:  # in order: `sum` rounds otherwise in newer versions of Python
            latency_ns += part.latency_ns
            energy_pj += part.energy_pj
            area_mm2 += part.area_mm2
        return cls(
            latency_ns=latency_ns,
            energy_pj=energy_pj,
            area_mm2=area_mm2,
            leakage_mw=leakage_mw,
            breakdown=parts,
            interval_ns=interval_ns,
            write_energy_pj=write_energy_pj,
            write_latency_ns=write_latency_ns,
        )

    @property
    def power_mw(self) -> float:
        """Mean power while one sample is worked on."""
        return self.energy_pj / self.latency_ns if self.latency_ns else self.leakage_mw  # pJ / ns

    @property
    def samples_per_s(self) -> float:
        """Throughput of a long batch."""
        interval_ns = self.latency_ns if self.interval_ns is None else self.interval_ns
        return 1e9 / interval_ns if interval_ns else math.inf  # 1/ns -> 1/s

    @property
    def components(self) -> tuple[ComponentCost, ...]:
        """Totals by component, of the parts that know theirs."""
        sums: dict[str, tuple[float, float, float]] = {}
        for component in (c for part in self.breakdown for c in part.components):
            one, two, three = sums.get(component.name, (0.0, 0.0, 0.0))
            sums[component.name] = (
                one + component.latency_ns,
                two + component.energy_pj,
                three + component.area_mm2,
            )
        return tuple(
            ComponentCost(name=name, latency_ns=latency, energy_pj=energy, area_mm2=area)
            for name, (latency, energy, area) in sums.items()
        )

    def batch_latency_ns(self, batch: int) -> float:
        """Time of `batch` samples that follow each other."""
        _check_batch(batch)
        interval_ns = self.latency_ns if self.interval_ns is None else self.interval_ns
        return self.latency_ns + (batch - 1) * interval_ns

    def batch_energy_pj(self, batch: int) -> float:
        """Energy of `batch` samples that follow each other: leakage is shared between them."""
        dynamic_pj = self.energy_pj - self.leakage_mw * self.latency_ns  # mW x ns = pJ
        return batch * dynamic_pj + self.leakage_mw * self.batch_latency_ns(batch)


def _check_batch(batch: int) -> None:
    if batch < 1:
        raise DescriptionError(f"batch: expected 1 or more, got {batch}")


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
