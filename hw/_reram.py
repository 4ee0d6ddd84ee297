"""A ReRAM accelerator: crossbars for products, a digital unit beside them, tables in DDR4.

Formulas: events of a bit-serial product times energy per event, critical path of the operations for
time (ISAAC; Shafiee et al., ISCA 2016). Weights are resident; programming them is not counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from hw._cost import Cost, OperatorCost, critical_path
from hw._crossbar import Geometry, Mapping, map_product
from hw._memory import lookup_energy_pj, lookup_latency_ns
from hw._technology import Technology, default_technology, read_technology
from hw._workload import Digital, MatrixVector, Operation, Workload

UM2_PER_MM2 = 1e6


@dataclass(frozen=True, slots=True)
class Part:
    """Cost of one operation before the critical path is known."""

    latency_ns: float
    energy_pj: float
    area_um2: float = 0.0
    elements: int = 0


@dataclass(frozen=True, slots=True)
class ReRAM:
    """A ReRAM accelerator.

    Args:
        technology: Its figures; the default is ISAAC's at 32 nm.

    Example:
        >>> product = MatrixVector(name="fc", operator="fc", inputs=512, outputs=256)
        >>> round(ReRAM().cost(Workload((product,))).latency_ns)
        1033
    """

    technology: Technology = field(default_factory=default_technology)

    @classmethod
    def from_toml(cls, path: Path | str) -> ReRAM:
        """An accelerator from a technology TOML; figures left out are those that ship.

        Raises:
            DescriptionError: The file cannot be read, or a figure is unknown, of the wrong type, or
                out of range.
        """
        return cls(read_technology(path))

    def with_parameters(
        self,
        *,
        crossbar_rows: int | None = None,
        crossbar_cols: int | None = None,
        cell_bits: int | None = None,
        dac_bits: int | None = None,
        adc_bits: int | None = None,
        replication: int | None = None,
        buffer_kib: int | None = None,
    ) -> ReRAM:
        """The same technology with other choices of a designer.

        Raises:
            DescriptionError: A choice is out of range.
        """
        t = self.technology
        return ReRAM(
            replace(
                t,
                crossbar=replace(
                    t.crossbar,
                    rows=_given(crossbar_rows, t.crossbar.rows),
                    columns=_given(crossbar_cols, t.crossbar.columns),
                    cell_bits=_given(cell_bits, t.crossbar.cell_bits),
                ),
                dac=replace(t.dac, bits=_given(dac_bits, t.dac.bits)),
                adc=replace(t.adc, bits=_given(adc_bits, t.adc.bits)),
                element=replace(t.element, replication=_given(replication, t.element.replication)),
                tile=replace(t.tile, buffer_kib=_given(buffer_kib, t.tile.buffer_kib)),
            )
        )

    @property
    def geometry(self) -> Geometry:
        """What decides how products are mapped."""
        return _geometry(self.technology)

    def cost(self, workload: Workload) -> Cost:
        """Cost of one sample."""
        parts = {o.name: _part(_shape(o), self.technology) for o in workload.operations}
        path = critical_path(
            workload.operations, {name: part.latency_ns for name, part in parts.items()}
        )
        costs = [
            OperatorCost(
                name=o.name,
                operator=o.operator,
                latency_ns=parts[o.name].latency_ns if o.name in path else 0.0,
                energy_pj=parts[o.name].energy_pj,
                area_mm2=parts[o.name].area_um2 / UM2_PER_MM2,
            )
            for o in workload.operations
        ]
        elements = sum(part.elements for part in parts.values())
        latency_ns = sum(cost.latency_ns for cost in costs)
        shared = self._shared(elements, latency_ns)
        return Cost.of([*costs, shared], leakage_mw=self._leakage_mw(elements))

    def cost_many(self, workloads: Iterable[Workload]) -> list[Cost]:
        """Costs of several workloads; equal operations are worked out once."""
        return [self.cost(workload) for workload in workloads]

    def _tiles(self, elements: int) -> int:
        return -(-elements // self.technology.tile.elements)

    def _leakage_mw(self, elements: int) -> float:
        t = self.technology
        buffer_mw = _buffer(t, t.tile.buffer_leakage_uw) * 1e-3  # uW -> mW
        tiles = self._tiles(elements)
        return elements * t.element.leakage_mw + tiles * buffer_mw + t.digital.leakage_mw

    def _shared(self, elements: int, latency_ns: float) -> OperatorCost:
        """Buffers, interconnect and the digital unit: area of all, leakage during the latency."""
        t = self.technology
        tile_um2 = _buffer(t, t.tile.buffer_area_um2) + t.tile.interconnect_area_um2
        area_um2 = self._tiles(elements) * tile_um2 + t.digital.area_um2
        return OperatorCost(
            name="shared",
            operator="shared",
            latency_ns=0.0,
            energy_pj=self._leakage_mw(elements) * latency_ns,  # mW x ns = pJ
            area_mm2=area_um2 / UM2_PER_MM2,
        )


def _given(choice: int | None, default: int) -> int:
    return default if choice is None else choice


def _shape(operation: Operation) -> Operation:
    """The operation without what does not enter its cost, so that equal ones are found again."""
    return replace(operation, name="", operator="", after=())


def _geometry(t: Technology) -> Geometry:
    return Geometry(
        rows=t.crossbar.rows,
        columns=t.crossbar.columns,
        cell_bits=t.crossbar.cell_bits,
        dac_bits=t.dac.bits,
        adc_bits=t.adc.bits,
        flip_encoding=t.adc.flip_encoding,
    )


@lru_cache(maxsize=65536)
def _part(operation: Operation, technology: Technology) -> Part:
    if isinstance(operation, MatrixVector):
        return _product(operation, technology)
    if isinstance(operation, Digital):
        return _digital(operation, technology)
    dram = technology.dram
    return Part(lookup_latency_ns(operation, dram), lookup_energy_pj(operation, dram))


def _product(product: MatrixVector, t: Technology) -> Part:
    geometry = _geometry(t)
    mapping = map_product(product, geometry)
    elements = -(-mapping.crossbars // t.element.crossbars)
    bits_in = product.inputs * product.activation_bits
    bits_out = product.outputs * product.activation_bits
    accesses = math.ceil(bits_in / t.tile.access_bits) + math.ceil(bits_out / t.tile.access_bits)
    cycle_ns = max(
        t.crossbar.read_ns,
        math.ceil(min(mapping.columns, geometry.columns) / t.adc.per_crossbar)
        / t.adc.samples_per_ns,
    )
    in_turn = math.ceil(product.repeats / t.element.replication)
    latency_ns = (
        (in_turn * mapping.cycles + t.element.pipeline_stages) * cycle_ns
        + math.ceil(math.log2(mapping.row_blocks)) * t.element.adder_ns
        + in_turn * accesses * _buffer(t, t.tile.buffer_access_ns)
    )
    energy_pj = product.repeats * (
        sum(event_energies_pj(product, mapping, t).values())
        + accesses * _buffer(t, t.tile.buffer_access_pj)
        + (bits_in + bits_out) * t.tile.transport_pj_per_bit
    )
    copies = t.element.replication
    return Part(
        latency_ns,
        energy_pj,
        copies * elements * element_area_um2(t),
        copies * elements,
    )


def event_energies_pj(product: MatrixVector, mapping: Mapping, t: Technology) -> dict[str, float]:
    """Energy of one product by component, pJ: counts of section 2.2 times energy per event."""
    reads = mapping.input_slices  # every row is driven and read once per input slice
    conversions = mapping.row_blocks * mapping.columns * mapping.cycles
    elements = -(-mapping.crossbars // t.element.crossbars)
    drives = product.inputs * mapping.column_blocks * reads
    registers_pj = t.element.input_register_pj + t.element.output_register_pj
    cell_read_pj = t.crossbar.cell_read_fj * 1e-3  # fJ -> pJ
    return {
        "array": product.inputs * mapping.columns * reads * cell_read_pj,
        "row_drive": drives * t.dac.drive_pj * (1 << (t.dac.bits - 1)),
        "sample_and_hold": conversions * t.adc.sample_and_hold_fj * 1e-3,  # fJ -> pJ
        "adc": conversions * t.adc.conversion_pj * adc_scale(t, t.adc.energy_scaling),
        "shift_add": conversions * t.element.shift_add_pj,
        "registers": elements * mapping.cycles * registers_pj,
        "adders": (mapping.row_blocks - 1) * product.outputs * t.element.adder_pj,
    }


def adc_scale(t: Technology, table: tuple[float, ...]) -> float:
    """Energy or area of a converter of this resolution, relative to one of 8 bits.

    Between and beyond the entries of the table it is geometric.
    """
    bits = np.array(t.adc.scaling_bits)
    logs = np.log(np.array(table))

    def at(value: float) -> float:
        if value > bits[-1]:
            return float(logs[-1] + (value - bits[-1]) * (logs[-1] - logs[-2]))
        if value < bits[0]:
            return float(logs[0] - (bits[0] - value) * (logs[1] - logs[0]))
        return float(np.interp(value, bits, logs))

    return math.exp(at(t.adc.bits) - at(8))


def element_area_um2(t: Technology) -> float:
    """Area of one processing element with its crossbars, um2."""
    crossbar = t.crossbar.rows * t.crossbar.columns * t.crossbar.cell_area_um2
    drivers = t.crossbar.rows * t.dac.area_um2 * (1 << (t.dac.bits - 1))
    converters = t.adc.per_crossbar * t.adc.area_um2 * adc_scale(t, t.adc.area_scaling)
    held = t.crossbar.columns * t.adc.sample_and_hold_area_um2
    registers = t.element.register_area_um2 + t.element.shift_add_area_um2
    return t.element.crossbars * (crossbar + drivers + converters + held) + registers


def _digital(operation: Digital, t: Technology) -> Part:
    cycles = (
        math.ceil(operation.multiplications / t.digital.multipliers)
        + math.ceil(operation.additions / t.digital.multipliers)
        + math.ceil(operation.special_functions / t.digital.special_lanes)
    )
    energy_pj = (
        operation.multiplications * t.digital.mac_pj * (operation.bits / 8) ** 2
        + operation.additions * t.digital.add_pj
        + operation.special_functions * t.digital.special_pj
    )
    return Part(cycles * 1e3 / t.digital.clock_mhz, energy_pj)


@lru_cache(maxsize=1024)
def _buffer(t: Technology, table: tuple[float, ...]) -> float:
    """A figure of the tile's buffer, between the sizes of the table on a log scale."""
    sizes = np.log(np.array(t.tile.buffer_sizes_kib))
    return float(np.exp(np.interp(math.log(t.tile.buffer_kib), sizes, np.log(np.array(table)))))
