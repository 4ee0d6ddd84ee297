"""A CPU modelled by its roofline: the reference hardware that everybody has."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from hw._cost import ComponentCost, Cost, OperatorCost, critical_path
from hw._memory import lookup_energy_pj, lookup_latency_ns
from hw._workload import Digital, Lookup, MatrixVector, Operation, Workload
from hw.files import DEFAULTS, CpuFigures, DramFigures, check_figures, read_kind, shipped_sections

INT8_BITS = 8  # products of at most this many bits run as int8, others as fp32
INT8_BYTES, FP32_BYTES = 1, 4
OPERATIONS_PER_FUNCTION = 10  # of an exponential, a reciprocal, a square root
Times = list[tuple[str, float, float]]  # component, ns, pJ


def _cpu() -> CpuFigures:
    figures: CpuFigures = shipped_sections(DEFAULTS["cpu"])[1]["cpu"]
    return figures


def _dram() -> DramFigures:
    figures: DramFigures = shipped_sections(DEFAULTS["cpu"])[1]["dram"]
    return figures


@dataclass(frozen=True, slots=True, kw_only=True)
class CPU:
    """A CPU whose weights stay in its caches, one sample at a time.

    Products of floating point (32 bits) are fp32; those of 4 to 8 bits run as int8, since it has no
    shorter integers: a byte a weight, and `int8_speedup` times the rate. Layer norms, softmax and
    all other digital work is fp32.

    An operator takes the longer of two times, its work at the peak rate and reading its weights at
    the bandwidth, plus a call overhead. Embedding vectors come from DRAM.

    Args:
        cpu: Figures of the processor; the default is one core of a Xeon Gold 6254.
        dram: Figures of the memory that holds the tables.

    Raises:
        DescriptionError: A figure is out of range.
    """

    cpu: CpuFigures = field(default_factory=_cpu)
    dram: DramFigures = field(default_factory=_dram)

    def __post_init__(self) -> None:
        check_figures("cpu", self.cpu)
        check_figures("dram", self.dram)

    @classmethod
    def from_toml(cls, path: Path | str) -> CPU:
        """Read a CPU from a technology TOML of this kind.

        Args:
            path: The file, or the name alone of a file that ships.

        Returns:
            The CPU; figures that the file leaves out are those of its `base`, or of `cpu.toml`.

        Raises:
            DescriptionError: The file cannot be read, or a figure is unknown, of the wrong type or
                unit, or out of range.
        """
        return cls(**read_kind(path, "cpu"))

    def with_figures(self, **figures: float) -> CPU:
        """Change figures of the processor.

        Args:
            figures: New values by name, out of `CpuFigures`, in its units.

        Returns:
            A copy with these figures.

        Raises:
            DescriptionError: A figure is out of range.
        """
        return replace(self, cpu=replace(self.cpu, **figures))

    def cost(self, workload: Workload) -> Cost:
        """Compute the cost of one sample.

        Area and leakage of a bought processor are not modelled: they are 0.

        Args:
            workload: The operations of one sample.

        Returns:
            Latency in ns and energy in pJ, with a breakdown by operation.
        """
        times = {o.name: self._times(o) for o in workload.operations}
        return cost_of_times(workload, times)

    def _times(self, operation: Operation) -> Times:
        if isinstance(operation, Lookup):
            latency_ns = float(lookup_latency_ns(operation, self.dram))
            return [("memory", latency_ns, float(lookup_energy_pj(operation, self.dram)))]
        return processor_times(operation, self.cpu)


def processor_times(operation: MatrixVector | Digital, cpu: CpuFigures) -> Times:
    """Times of one operation on a processor; GFLOP/s are operations per ns, GB/s bytes per ns."""
    flops, loaded_ns, speedup = 2 * operation.macs, 0.0, 1.0
    if isinstance(operation, MatrixVector):
        is_int8 = max(operation.weight_bits, operation.activation_bits) <= INT8_BITS
        speedup = cpu.int8_speedup if is_int8 else 1.0
        weights = operation.inputs * operation.outputs
        loaded_ns = weights * (INT8_BYTES if is_int8 else FP32_BYTES) / cpu.weights_gb_per_s
    else:
        flops += operation.additions + OPERATIONS_PER_FUNCTION * operation.special_functions
    busy_ns = max(flops / (cpu.peak_gflops * speedup), loaded_ns)
    energy_pj = flops * cpu.flop_pj / speedup
    return [("call", cpu.call_overhead_ns, 0.0), ("processor", busy_ns, energy_pj)]


def cost_of_times(
    workload: Workload, times: dict[str, Times], areas_mm2: dict[str, float] | None = None
) -> Cost:
    """Build a cost from the time and energy of each operation by component.

    Operations off the critical path take no time.

    Args:
        workload: The operations.
        times: Component, latency and energy, by operation.
        areas_mm2: Area by component, of what all operations share.
    """
    latency = {name: sum(ns for _, ns, _ in parts) for name, parts in times.items()}
    path = critical_path(workload.operations, latency)
    parts = [
        _operator_cost(
            operation.name,
            operation.operator,
            [
                ComponentCost(name, ns if operation.name in path else 0.0, pj, 0.0)
                for name, ns, pj in times[operation.name]
            ],
        )
        for operation in workload.operations
    ]
    if areas_mm2:
        areas = [ComponentCost(name, 0.0, 0.0, area) for name, area in areas_mm2.items()]
        parts.append(_operator_cost("shared", "shared", areas))
    return Cost.of(parts, leakage_mw=0.0)


def _operator_cost(name: str, operator: str, components: list[ComponentCost]) -> OperatorCost:
    return OperatorCost(
        name=name,
        operator=operator,
        latency_ns=sum(c.latency_ns for c in components),
        energy_pj=sum(c.energy_pj for c in components),
        area_mm2=sum(c.area_mm2 for c in components),
        components=tuple(c for c in components if any(c[1:])),
    )
