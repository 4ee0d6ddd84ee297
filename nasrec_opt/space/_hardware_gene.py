"""The genes of the accelerator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from nasrec_opt._plain import put_plain
from nasrec_opt.space._gene_values import check_integer, gene_of


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareGene:
    """The accelerator genes of co-design: one ReRAM configuration for the whole model.

    Args:
        crossbar_rows: Wordlines of a crossbar.
        crossbar_cols: Bitlines of a crossbar.
        cell_bits: Bits that one cell stores.
        dac_bits: Bits of an input that a wordline driver applies at once.
        adc_bits: Resolution of the converters at the bitlines.
        replication: Copies of the crossbars of every operator.
        buffer_kib: Size of a tile's buffer, KiB.
        hot_rows_kib: Size of on-chip memory for the most frequent embedding rows, KiB; 0 means that
            all rows are read from DRAM.

    Raises:
        GenotypeError: A gene is outside its range.
    """

    crossbar_rows: int = 128
    crossbar_cols: int = 128
    cell_bits: int = 2
    dac_bits: int = 1
    adc_bits: int = 8
    replication: int = 1
    buffer_kib: int = 64
    hot_rows_kib: int = 0

    def __post_init__(self) -> None:
        put_plain(self)
        bounds = {"crossbar_rows": (8, 4096), "crossbar_cols": (8, 4096), "cell_bits": (1, 4)}
        bounds |= {"dac_bits": (1, 8), "adc_bits": (1, 12), "replication": (1, 64)}
        bounds |= {"buffer_kib": (1, 4096), "hot_rows_kib": (0, 1 << 20)}
        for name, (low, high) in bounds.items():
            check_integer(name, getattr(self, name), low, high)

    def to_dict(self) -> dict[str, int]:
        """Convert to JSON values.

        Returns:
            Genes by name; without `hot_rows_kib` if it is 0, as in files from before the gene.
        """
        values: dict[str, int] = {field.name: getattr(self, field.name) for field in fields(self)}
        if not self.hot_rows_kib:
            del values["hot_rows_kib"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "hardware") -> HardwareGene:
        """Inverse of `to_dict`.

        Args:
            values: Genes by name; those left out have their defaults.
            where: What an error begins with, for example the file.

        Returns:
            The accelerator genes.

        Raises:
            GenotypeError: A key is unknown, or a value is not valid.
        """
        return gene_of(cls, values, where)
