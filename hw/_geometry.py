"""The crossbars and converters that decide how products are mapped and what a read loses.

Unless converters may clip, a read loses nothing. If they are too coarse for all wordlines at once,
fewer wordlines are read at a time, in more cycles. If they are too coarse for a single wordline,
the inputs are cut into finer slices as well.
"""

from __future__ import annotations

from dataclasses import dataclass

from hw._plain import put_integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """The properties of an accelerator that decide the mapping.

    Args:
        rows: Wordlines of a crossbar.
        columns: Bitlines of a crossbar.
        cell_bits: Bits of a cell.
        dac_bits: Bits of an input that a driver can apply at once.
        adc_bits: Resolution of a converter.
        flip_encoding: Whether columns with a large weight sum are stored inverted, which saves a
            bit of the converter.
        encoding: How signs are stored: `offset`, `pair_analog` or `pair_digital`.
        slices_apart: Whether each slice of the weights has crossbars of its own.
        wordlines_driven: Wordlines that can be driven at once; 0 means all of them.
        converters: Converters of a crossbar; 0 means one for each column.
        clips: Whether sums beyond the converter's range saturate. Otherwise fewer wordlines are
            read at once.
    """

    rows: int
    columns: int
    cell_bits: int
    dac_bits: int
    adc_bits: int
    flip_encoding: bool = False
    encoding: str = "offset"
    slices_apart: bool = False
    wordlines_driven: int = 0
    converters: int = 0
    clips: bool = False

    def __post_init__(self) -> None:
        put_integers(self)

    @property
    def arrays(self) -> int:
        """Arrays that hold a block of weights: two if signs are stored in pairs."""
        return 1 if self.encoding == "offset" else 2

    @property
    def levels(self) -> int:
        """Largest column sum that a converter resolves."""
        if self.encoding == "pair_analog":  # sums of both signs share the codes
            return (1 << (self.adc_bits - 1)) - 1
        return (1 << (self.adc_bits + self.flip_encoding)) - 1

    @property
    def bits_at_once(self) -> int:
        """Maximum number of input bits at which one wordline is resolved, at most the driver's."""
        cell = (1 << self.cell_bits) - 1
        fits = (v for v in range(self.dac_bits, 1, -1) if ((1 << v) - 1) * cell <= self.levels)
        return self.dac_bits if self.clips else next(fits, 1)

    @property
    def wordlines_at_once(self) -> int:
        """Maximum number of wordlines read at once, at least 1.

        Without loss, R (2^dac - 1) (2^cell - 1) + 1 <= 2^bits.
        """
        driven = self.wordlines_driven or self.rows
        if not self.clips:
            largest = ((1 << self.bits_at_once) - 1) * ((1 << self.cell_bits) - 1)
            driven = min(driven, self.levels // largest)
        return max(1, min(self.rows, driven))

    @property
    def lossless_adc_bits(self) -> int:
        """Lowest resolution that reads all driven wordlines at once, at all bits of the driver.

        ceil(log2(R (2^dac - 1) (2^cell - 1) + 1)); one more for differences of both signs, one less
        with flip encoding. A product with fewer inputs than wordlines needs less.
        """
        rows = min(self.rows, self.wordlines_driven or self.rows)
        largest = rows * ((1 << self.dac_bits) - 1) * ((1 << self.cell_bits) - 1)
        return largest.bit_length() + (self.encoding == "pair_analog") - self.flip_encoding

    @property
    def is_lossless(self) -> bool:
        """Whether the converter resolves every column sum of the wordlines read at once."""
        largest = ((1 << self.bits_at_once) - 1) * ((1 << self.cell_bits) - 1)
        return self.wordlines_at_once * largest <= self.levels
