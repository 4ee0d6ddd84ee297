"""A ReRAM accelerator: crossbars for products, a digital unit beside them, tables in DDR4.

Crossbars of an element share registers, elements of a tile a buffer, tiles of a bank a router.
Formulas: events of a bit-serial product times energy per event, critical path of the operations for
time (ISAAC; Shafiee et al., ISCA 2016). Weights are resident; writing them is reported separately.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from hw._cost import Cost
from hw._costs import Costs
from hw._geometry import Geometry
from hw._popularity import Popularity
from hw._workload import Workload
from hw.files import Technology, default_technology, read_technology
from hw.reram._batch import Batch
from hw.reram._breakdown import cost_workload
from hw.reram._vectorized import cost_batch, cost_workloads


@dataclass(frozen=True, slots=True)
class ReRAM:
    """A ReRAM accelerator.

    Args:
        technology: Its figures; the default is ISAAC's at 32 nm.
        popularity: How often the embedding rows of a log are read, which on-chip memory for the
            most frequent ones needs; None without such a memory.

    Example:
        >>> from hw import MatrixVector, ReRAM, Workload
        >>> product = MatrixVector(name="fc", operator="fc", inputs=512, outputs=256)
        >>> round(ReRAM().cost(Workload((product,))).latency_ns)
        1162
    """

    technology: Technology = field(default_factory=default_technology)
    popularity: Popularity | None = None

    @classmethod
    def from_toml(cls, path: Path | str) -> ReRAM:
        """Read an accelerator from a technology TOML.

        Args:
            path: The file, or the name alone of a file that ships.

        Returns:
            The accelerator; figures that the file leaves out are those of its `base`, or ISAAC's.

        Raises:
            DescriptionError: The file cannot be read, or a figure is unknown, of the wrong type or
                unit, or out of range.
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
        hot_rows_kib: int | None = None,
    ) -> Self:
        """Change the figures that a designer or a co-design search chooses; None keeps a value.

        Args:
            crossbar_rows: Wordlines of a crossbar.
            crossbar_cols: Bitlines of a crossbar.
            cell_bits: Bits of a cell.
            dac_bits: Bits of a wordline driver.
            adc_bits: Bits of a converter.
            replication: Copies of every crossbar.
            buffer_kib: Size of a tile's buffer, KiB.
            hot_rows_kib: Size of the on-chip memory for the most frequent embedding rows, KiB.

        Returns:
            A copy with these choices.

        Raises:
            DescriptionError: A choice is out of range.
        """
        t = self.technology
        return replace(
            self,
            technology=replace(
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
                hot_rows=replace(t.hot_rows, kib=_given(hot_rows_kib, t.hot_rows.kib)),
            ),
        )

    @property
    def geometry(self) -> Geometry:
        """What decides how products are mapped."""
        return self.technology.geometry

    def cost(self, workload: Workload) -> Cost:
        """Compute the cost of one sample.

        Args:
            workload: The operations of one sample.

        Returns:
            Latency in ns, energy in pJ, area in mm2 and leakage in mW, with a breakdown by
            operation.

        Raises:
            DescriptionError: An operation is in floating point, which no crossbar computes in; or
                there is memory for frequent rows, and no `popularity`.
        """
        return cost_workload(workload, self.technology, self.popularity)

    def cost_many(self, workloads: Iterable[Workload] | Batch) -> Costs:
        """Costs of several workloads at once.

        Args:
            workloads: Workloads, or columns of them.

        Returns:
            A sequence of costs, equal to those of `cost`, which also has the totals as arrays.

        Raises:
            DescriptionError: As for `cost`.
        """
        if isinstance(workloads, Batch):
            return cost_batch(workloads, self.technology, self.popularity)
        return cost_workloads(workloads, self.technology, self.popularity)


def _given(choice: int | None, default: int) -> int:
    return default if choice is None else choice
