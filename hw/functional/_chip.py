"""What crossbars compute, bit for bit: slices of weights in cells, slices of inputs, converters.

This is the functional side of `hw.reram`: the geometry that decides what a product costs also
decides which accuracy it loses. Products are exact if converters are lossless and there is no
noise. Otherwise sums saturate, and conductances vary and cells are stuck as a `Noise` says, in the
same way for every product of one chip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hw._arrays import FloatArray, IntArray, divide_up
from hw._geometry import Geometry
from hw.errors import DescriptionError
from hw.functional._noise import Noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Products, and how many of their conversions saturated.

    Args:
        outputs: The products, `[batch, outputs]`.
        conversions: Number of conversions.
        clipped: Number of conversions that saturated.
    """

    outputs: FloatArray
    conversions: int
    clipped: int


class Chip:
    """The weights of one product, written into crossbars.

    Args:
        weights: Integers of `weight_bits` in two's complement, `[inputs, outputs]`.
        geometry: The crossbars and their converters.
        weight_bits: Bits of a weight; with signs in pairs its lowest value cannot be written.
        noise: How the cells differ from what was written; None means that they do not.
        rng: Draws the noise; needed if there is noise.

    Raises:
        DescriptionError: A weight is out of range, or there is noise and no `rng`.
    """

    def __init__(
        self,
        weights: IntArray,
        geometry: Geometry,
        *,
        weight_bits: int = 8,
        noise: Noise | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        half = 1 << (weight_bits - 1)
        lowest = -half if geometry.encoding == "offset" else 1 - half
        if weights.size and not lowest <= int(weights.min()) <= int(weights.max()) < half:
            raise DescriptionError(
                f"weights: expected {lowest} to {half - 1}, got {weights.min()} to {weights.max()}"
            )
        if noise not in (None, Noise()) and rng is None:
            raise DescriptionError("rng: expected a generator that draws the noise, got none")
        self.geometry = geometry
        self._highest = (1 << geometry.cell_bits) - 1
        self._offset = half if geometry.encoding == "offset" else 0
        levels = self._levels(weights, weight_bits)
        self._flipped = self._heavy_columns(levels)
        for group, flipped in zip(self._read_groups(len(weights)), self._flipped, strict=True):
            part = levels[:, :, group]
            levels[:, :, group] = np.where(flipped, self._highest - part, part)
        if noise is None or rng is None:
            noise, rng = Noise(), np.random.default_rng(0)
        # [arrays, slices, inputs, outputs]
        self._cells = noise.cells(levels, self._highest, rng)

    @property
    def weights(self) -> FloatArray:
        """The weights that a lossless read of the cells gives, `[inputs, outputs]`."""
        cells = self._cells.copy()
        for group, flipped in zip(self._read_groups(cells.shape[2]), self._flipped, strict=True):
            part = cells[:, :, group]
            cells[:, :, group] = np.where(flipped, self._highest - part, part)
        summed = (cells * self._shifts).sum(axis=1)  # [arrays, inputs, outputs]
        weights: FloatArray = (
            summed[0] - self._offset if len(summed) == 1 else summed[0] - summed[1]
        )
        return weights

    def multiply(self, inputs: IntArray, *, activation_bits: int = 8) -> Result:
        """Multiply vectors with the weights, through drivers and converters.

        Args:
            inputs: Unsigned integers of `activation_bits` bits, `[batch, inputs]`.
            activation_bits: Bits of an input.

        Returns:
            The products, `[batch, outputs]`, with the number of conversions and of those that
            saturated.

        Raises:
            DescriptionError: An input is out of range.
        """
        highest = (1 << activation_bits) - 1
        if inputs.size and not 0 <= int(inputs.min()) <= int(inputs.max()) <= highest:
            raise DescriptionError(
                f"inputs: expected 0 to {highest}, got {inputs.min()} to {inputs.max()}"
            )
        step = self.geometry.bits_at_once
        outputs = np.zeros((len(inputs), self._cells.shape[-1]))
        conversions = clipped = 0
        for low in range(0, activation_bits, step):
            applied = (inputs >> low) & ((1 << step) - 1)
            # The offset is subtracted digitally, and computed from the inputs, not the columns.
            summed = np.broadcast_to(-self._offset * applied.sum(axis=1)[:, None], outputs.shape)
            groups = zip(self._read_groups(inputs.shape[1]), self._flipped, strict=True)
            for group, flipped in groups:
                read, count, beyond = self._read(applied[:, group], group, flipped)
                summed = summed + read
                conversions, clipped = conversions + count, clipped + beyond
            outputs += 2.0**low * summed
        return Result(outputs=outputs, conversions=conversions, clipped=clipped)

    def _read(
        self, applied: IntArray, group: slice, flipped: npt.NDArray[np.bool_]
    ) -> tuple[FloatArray, int, int]:
        """Codes of one read, shifted and added, `[batch, outputs]`; conversions; saturated ones."""
        sums = applied @ self._cells[:, :, group]  # [arrays, slices, batch, outputs]
        lowest, highest = 0, (1 << self.geometry.adc_bits) - 1
        if self.geometry.encoding == "pair_analog":
            sums = sums[:1] - sums[1:]
            lowest, highest = -self.geometry.levels, self.geometry.levels
        rounded = np.rint(sums)
        codes = np.clip(rounded, lowest, highest)
        clipped = int(np.count_nonzero(codes != rounded))
        whole = self._highest * applied.sum(axis=1)[:, None]  # of a column of full cells
        codes = np.where(flipped, whole - codes, codes)
        added = (codes * self._shifts).sum(axis=1)  # [arrays, batch, outputs]
        read: FloatArray = added[0] - added[1] if len(added) == 2 else added[0]
        return read, codes.size, clipped

    @property
    def _shifts(self) -> FloatArray:
        bits = self.geometry.cell_bits * np.arange(self._cells.shape[1])
        return (1 << bits.reshape(-1, 1, 1)).astype(np.float64)

    def _levels(self, weights: IntArray, weight_bits: int) -> IntArray:
        """What is written, `[arrays, slices, inputs, outputs]`."""
        if self.geometry.encoding == "offset":
            stored = (weights + self._offset)[None]
        else:
            stored = np.stack([np.maximum(weights, 0), np.maximum(-weights, 0)])
        bits = max(1, weight_bits - (self.geometry.encoding != "offset"))
        slices = divide_up(bits, self.geometry.cell_bits)
        shifts = self.geometry.cell_bits * np.arange(slices).reshape(-1, 1, 1)
        levels: IntArray = (stored[:, None] >> shifts) & self._highest
        return levels

    def _heavy_columns(self, levels: IntArray) -> list[npt.NDArray[np.bool_]]:
        """Which columns of each group of rows are stored inverted, `[1, slices, 1, outputs]`."""
        # Weights with an offset have one array.
        groups = [levels[:1, :, group] for group in self._read_groups(levels.shape[2])]
        sums = [part.sum(axis=2, keepdims=True) for part in groups]
        most = [part.shape[2] * self._highest for part in groups]
        use = self.geometry.flip_encoding
        return [use & (2 * total > whole) for total, whole in zip(sums, most, strict=True)]

    def _read_groups(self, inputs: int) -> list[slice]:
        """Rows read at once; none of them spans two crossbars."""
        rows, at_once = self.geometry.rows, self.geometry.wordlines_at_once
        return [
            slice(start, min(start + at_once, first + rows, inputs))
            for first in range(0, inputs, rows)
            for start in range(first, min(first + rows, inputs), at_once)
        ]
