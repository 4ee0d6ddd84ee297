"""RecNMP (Ke et al., ISCA 2020): embedding lookups near the ranks of DRAM, the rest on the host.

A unit at each rank activates its own DRAM rows and reads vectors from them, keeps frequent vectors
in a cache, and adds up those that are pooled. The results of all ranks of a channel share its bus.
A click log has one value per field, so nothing is pooled, every vector crosses the bus, and all
that remains of RecNMP's gain is its cache.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hw._arrays import divide_up
from hw._cost import Cost
from hw._cpu import Times, cost_of_times, processor_times
from hw._memory import burst_counts, first_row_cycles
from hw._workload import Lookup, Operation, Workload
from hw.files import (
    DEFAULTS,
    CpuFigures,
    DramFigures,
    NearMemoryFigures,
    check_figures,
    read_kind,
    shipped_sections,
)


def _shipped(section: str) -> Any:
    return shipped_sections(DEFAULTS["recnmp"])[1][section]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecNMP:
    """Lookups by units at the ranks, products and digital work on the host's processor.

    Args:
        near_memory: Figures of the units; the default is RecNMP's with its caches.
        cpu: Figures of the host.
        dram: Figures of the memory.

    Raises:
        DescriptionError: A figure is out of range.
    """

    near_memory: NearMemoryFigures = field(default_factory=lambda: _shipped("near_memory"))
    cpu: CpuFigures = field(default_factory=lambda: _shipped("cpu"))
    dram: DramFigures = field(default_factory=lambda: _shipped("dram"))

    def __post_init__(self) -> None:
        for section in ("near_memory", "cpu", "dram"):
            check_figures(section, getattr(self, section))

    @classmethod
    def from_toml(cls, path: Path | str) -> RecNMP:
        """Read RecNMP from a technology TOML of this kind.

        Args:
            path: The file, or the name alone of a file that ships.

        Returns:
            The model; figures that the file leaves out are those of its `base`, or of
            `recnmp.toml`.

        Raises:
            DescriptionError: The file cannot be read, or a figure is unknown, of the wrong type or
                unit, or out of range.
        """
        return cls(**read_kind(path, "recnmp"))

    def with_figures(self, **figures: float) -> RecNMP:
        """Change figures of the units near the memory.

        Args:
            figures: New values by name, out of `NearMemoryFigures`, in its units.

        Returns:
            A copy with these figures.

        Raises:
            DescriptionError: A figure is out of range.
        """
        return replace(self, near_memory=replace(self.near_memory, **figures))

    def cost(self, workload: Workload) -> Cost:
        """Compute the cost of one sample; the area is that of the units near the memory alone.

        Args:
            workload: The operations of one sample.

        Returns:
            Latency in ns, energy in pJ and area in mm2, with a breakdown by operation.
        """
        times = {o.name: self._times(o) for o in workload.operations}
        area_mm2 = self.dram.channels * self.near_memory.unit_area_mm2
        return cost_of_times(workload, times, {"near_memory": area_mm2})

    def _times(self, operation: Operation) -> Times:
        if not isinstance(operation, Lookup):
            return processor_times(operation, self.cpu)
        near, dram = self.near_memory, self.dram
        bursts = burst_counts(operation, dram)
        bits = bursts * dram.burst_bits
        read = operation.vectors * (1 - near.cache_hit)
        results = operation.vectors / near.pooling
        # The first vector takes as long as on a host. Then a channel's ranks read in parallel while
        # its bus moves results, and the slower of the two counts.
        ranks = dram.channels * dram.ranks
        per_row = max(bursts * dram.bus_cycles, dram.activate_cycles)
        reading = max(0.0, divide_up(operation.vectors, ranks) * (1 - near.cache_hit) - 1) * per_row
        moving = max(0.0, divide_up(results, dram.channels) - 1) * bursts * dram.bus_cycles
        latency_ns = (first_row_cycles(bursts, dram) + max(reading, moving)) * dram.clock_ns
        row_pj = dram.activate_pj + bits * dram.read_pj_per_bit
        memory_pj = read * row_pj + results * bits * dram.io_pj_per_bit
        additions = (operation.vectors - results) * operation.dim
        unit_pj = (
            operation.vectors * near.cache_pj
            + additions * near.add_pj
            + dram.channels * near.unit_mw * latency_ns  # mW x ns = pJ
        )
        return [("memory", latency_ns, memory_pj), ("near_memory", 0.0, unit_pj)]
