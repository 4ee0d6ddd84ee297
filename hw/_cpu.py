"""References: a CPU by its roofline, and RecNMP's near-memory lookups in front of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hw._cost import Cost, OperatorCost, critical_path
from hw._memory import lookup_energy_pj, lookup_latency_ns
from hw._technology import Technology, default_technology
from hw._workload import Lookup, MatrixVector, Workload
from hw.errors import DescriptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class CPU:
    """A CPU whose weights stay in its last-level cache: time is work over peak, plus calls.

    Args:
        peak_gflops: Peak fp32 rate that one sample reaches (Xeon Gold 6254: 3,570 at its nominal
            clock over 18 cores; one sample uses one core).
        call_overhead_ns: Time of calling one operator.
        flop_pj: Energy of a floating-point operation: 200 W over the peak of all cores.
        technology: Figures of the DRAM that holds the tables.
        near_memory_cache_hit: Share of rows that a cache in the memory holds (`RecNMP`).

    Raises:
        DescriptionError: A figure is out of range.
    """

    peak_gflops: float = 198.0
    call_overhead_ns: float = 1000.0
    flop_pj: float = 56.0
    technology: Technology = field(default_factory=default_technology)
    near_memory_cache_hit: float = 0.0

    def __post_init__(self) -> None:
        if not self.peak_gflops > 0:
            raise DescriptionError(f"peak_gflops: expected more than 0, got {self.peak_gflops}")
        for name, largest in (
            ("call_overhead_ns", float("inf")),
            ("flop_pj", float("inf")),
            ("near_memory_cache_hit", 1),
        ):
            if not 0 <= getattr(self, name) <= largest:
                raise DescriptionError(
                    f"{name}: expected 0 to {largest}, got {getattr(self, name)}"
                )

    def cost(self, workload: Workload) -> Cost:
        """Cost of one sample; area and leakage of a bought processor are not modelled: 0."""
        latency: dict[str, float] = {}
        energy: dict[str, float] = {}
        for operation in workload.operations:
            if isinstance(operation, Lookup):
                dram, hit = self.technology.dram, self.near_memory_cache_hit
                latency[operation.name] = lookup_latency_ns(operation, dram)
                energy[operation.name] = lookup_energy_pj(operation, dram, cache_hit=hit)
                continue
            work = 2 * operation.macs
            if not isinstance(operation, MatrixVector):
                work += operation.additions + 10 * operation.special_functions
            latency[operation.name] = self.call_overhead_ns + work / self.peak_gflops
            energy[operation.name] = work * self.flop_pj
        path = critical_path(workload.operations, latency)
        return Cost.of(
            (
                OperatorCost(
                    name=o.name,
                    operator=o.operator,
                    latency_ns=latency[o.name] if o.name in path else 0.0,
                    energy_pj=energy[o.name],
                    area_mm2=0.0,
                )
                for o in workload.operations
            ),
            leakage_mw=0.0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecNMP:
    """RecNMP (Ke et al., ISCA 2020): lookups by rank-level units with a cache, the rest on the CPU.

    With one value per field there is nothing to pool: every row still crosses the bus, so only
    cache hits spare energy.

    Args:
        cpu: The host.
        cache_hit: Share of rows found in the rank caches (24.9 % reported at 8 KB).

    Raises:
        DescriptionError: The share is outside 0 to 1.
    """

    cpu: CPU = field(default_factory=CPU)
    cache_hit: float = 0.249

    def __post_init__(self) -> None:
        if not 0 <= self.cache_hit <= 1:
            raise DescriptionError(f"cache_hit: expected 0 to 1, got {self.cache_hit}")

    def cost(self, workload: Workload) -> Cost:
        """Cost of one sample."""
        return replace(self.cpu, near_memory_cache_hit=self.cache_hit).cost(workload)
