"""What an accelerator costs: totals, and the parts that add up to them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from hw._workload import Operation, Workload
from hw.errors import DescriptionError


class ComponentCost(NamedTuple):
    """The share of one kind of component: converters, buffers, the digital unit, leakage.

    Args:
        name: Name of the kind, such as `adc` or `dram`.
        latency_ns: Its share of the latency, ns; 0 off the critical path.
        energy_pj: Its energy for one sample, pJ.
        area_mm2: Its area, mm2.
    """

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
        components: The same by component, without those that are 0; a model may leave it empty.
            `ReRAM` computes them only when they are read, which a search never does.
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
        interval_ns: Time from one sample's result to the next one's, if samples follow each other
            through the layers; None means that they do not overlap.
        write_energy_pj: Energy of writing all weights once; no other figure includes it.
        write_latency_ns: Time of writing them, all crossbars at once; no other figure includes it.
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
        """Add up a cost from its parts.

        Args:
            parts: Costs of the operations; those off the critical path have a latency of 0.
            leakage_mw: Leakage power of everything, mW.
            interval_ns: Time between two samples of a stream, ns, or None for the latency.
            write_energy_pj: Energy to write all weights once, pJ.
            write_latency_ns: Time to write all weights once, ns.

        Returns:
            The cost; `parts` become its breakdown.
        """
        parts = tuple(parts)
        latency_ns = energy_pj = area_mm2 = 0.0
        for part in parts:  # one by one: `sum` rounds differently in newer versions of Python
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
        """Mean power while one sample is computed."""
        return self.energy_pj / self.latency_ns if self.latency_ns else self.leakage_mw  # pJ / ns

    @property
    def samples_per_s(self) -> float:
        """Throughput of a long batch."""
        interval_ns = self.latency_ns if self.interval_ns is None else self.interval_ns
        return 1e9 / interval_ns if interval_ns else math.inf  # 1/ns -> 1/s

    @property
    def components(self) -> tuple[ComponentCost, ...]:
        """Totals by component, over the parts that state their components."""
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
        """Compute the time of samples that follow each other in a pipeline.

        Args:
            batch: Number of samples, 1 or more.

        Returns:
            `latency_ns + (batch - 1) * interval_ns`, ns.

        Raises:
            DescriptionError: `batch` is below 1.
        """
        _check_batch(batch)
        interval_ns = self.latency_ns if self.interval_ns is None else self.interval_ns
        return self.latency_ns + (batch - 1) * interval_ns

    def batch_energy_pj(self, batch: int) -> float:
        """Compute the energy of samples that follow each other; they share the leakage.

        Args:
            batch: Number of samples, 1 or more.

        Returns:
            Energy of all of them, pJ.

        Raises:
            DescriptionError: `batch` is below 1.
        """
        dynamic_pj = self.energy_pj - self.leakage_mw * self.latency_ns  # mW x ns = pJ
        return batch * dynamic_pj + self.leakage_mw * self.batch_latency_ns(batch)


def _check_batch(batch: int) -> None:
    if batch < 1:
        raise DescriptionError(f"batch: expected 1 or more, got {batch}")


@runtime_checkable
class CostModel(Protocol):
    """An accelerator: ReRAM, a CPU, a user's own."""

    def cost(self, workload: Workload) -> Cost:
        """Compute the cost of one sample.

        Args:
            workload: The operations of one sample.

        Returns:
            Latency in ns, energy in pJ and area in mm2, with a breakdown by operation.
        """


def critical_path(
    operations: Sequence[Operation], latency_ns: Mapping[str, float]
) -> frozenset[str]:
    """Find the operations on the longest chain.

    Args:
        operations: Operations in an order in which they could run.
        latency_ns: Time of each operation, ns, by name.

    Returns:
        Names of the operations on that chain.
    """
    finish = finish_times(operations, [latency_ns[o.name] for o in operations])
    needs = {operation.name: operation.after for operation in operations}
    path = set()
    name = max(finish, key=finish.__getitem__, default=None)
    while name is not None:
        path.add(name)
        name = max(needs[name], key=finish.__getitem__, default=None)
    return frozenset(path)


def finish_times(operations: Sequence[Operation], latency_ns: Iterable[float]) -> dict[str, float]:
    """Compute when each operation ends; it begins when all that it needs have ended.

    Args:
        operations: Operations in an order in which they could run.
        latency_ns: Time of each operation, ns.

    Returns:
        Time from the beginning, ns, by name; the largest is the length of the longest chain.
    """
    finish: dict[str, float] = {}
    for operation, own_ns in zip(operations, latency_ns, strict=True):
        start = 0.0
        for name in operation.after:
            if finish[name] > start:
                start = finish[name]
        finish[operation.name] = start + own_ns
    return finish
