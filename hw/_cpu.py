"""References: a CPU by its roofline, and RecNMP's near-memory lookups in front of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from hw._cost import Cost, OperatorCost, critical_path
from hw._technology import Technology, default_technology
from hw._workload import Lookup, MatrixVector, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class CPU:
    """A CPU whose weights stay in its last-level cache: time is work over peak, plus calls.

    Args:
        peak_gflops: Peak fp32 rate that one sample reaches (Xeon Gold 6254: 3,570 at its nominal
            clock over 18 cores; one sample uses one core).
        call_overhead_ns: Time of calling one operator.
        flop_pj: Energy of a floating-point operation: 200 W over the peak of all cores.
        technology: Figures of the DRAM that holds the tables.
    """

    peak_gflops: float = 198.0
    call_overhead_ns: float = 1000.0
    flop_pj: float = 56.0
    technology: Technology = field(default_factory=default_technology)
    near_memory_cache_hit: float = 0.0

    def cost(self, workload: Workload) -> Cost:
        """Cost of one sample; area and leakage of a bought processor are not modelled: 0."""
        latency: dict[str, float] = {}
        energy: dict[str, float] = {}
        for operation in workload.operations:
            if isinstance(operation, Lookup):
                latency[operation.name], energy[operation.name] = self._lookup(operation)
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

    def _lookup(self, lookup: Lookup) -> tuple[float, float]:
        """Latency and energy of the rows of one sample."""
        dram = self.technology.dram
        bits = math.ceil(lookup.dim * lookup.value_bits / dram.burst_bits) * dram.burst_bits
        per_row = max(dram.bus_cycles, dram.activate_cycles / dram.ranks)
        cycles = dram.first_cycles + (math.ceil(lookup.rows / dram.channels) - 1) * per_row
        array_pj = dram.activate_pj + bits * dram.read_pj_per_bit
        missed = 1 - self.near_memory_cache_hit
        row_pj = missed * array_pj + bits * dram.io_pj_per_bit
        return cycles * dram.clock_ns, lookup.rows * row_pj


@dataclass(frozen=True, slots=True, kw_only=True)
class RecNMP:
    """RecNMP (Ke et al., ISCA 2020): lookups by rank-level units with a cache, the rest on the CPU.

    With one value per field there is nothing to pool: every row still crosses the bus, so only
    cache hits spare energy.

    Args:
        cpu: The host.
        cache_hit: Share of rows found in the rank caches (24.9 % reported at 8 KB).
    """

    cpu: CPU = field(default_factory=CPU)
    cache_hit: float = 0.249

    def cost(self, workload: Workload) -> Cost:
        """Cost of one sample."""
        return replace(self.cpu, near_memory_cache_hit=self.cache_hit).cost(workload)
