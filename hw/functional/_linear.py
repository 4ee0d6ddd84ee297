"""A linear layer as an accelerator computes it: quantised, sliced, read through converters.

An oracle uses it in place of `inputs @ weights.T`, so that log loss depends on crossbars,
converters, bits, and the noise of the cells.
"""

from __future__ import annotations

import numpy as np

from hw._arrays import FloatArray, IntArray
from hw._geometry import Geometry
from hw.errors import DescriptionError
from hw.functional._chip import Chip, Result
from hw.functional._noise import Noise


class AnalogLinear:
    """The weights of a linear layer, quantised and written into crossbars.

    The scale of each output's weights, and of each input vector, follows its largest magnitude,
    with equally many levels on both sides of zero, like the supernet's fake quantisation. Without
    noise and with lossless converters the layer is exactly the quantised one.

    Args:
        weights: `[outputs, inputs]`.
        geometry: The crossbars: `ReRAM.geometry`.
        weight_bits: Bits of a weight, 2 to 16.
        activation_bits: Bits of an input, 2 to 16.
        noise: How the cells differ from what was written; None means that they do not.
        rng: Draws the noise, the same for all products of this layer; needed if there is noise.

    Raises:
        DescriptionError: Bits are out of range, or there is noise and no `rng`.
    """

    def __init__(
        self,
        weights: FloatArray,
        geometry: Geometry,
        *,
        weight_bits: int = 8,
        activation_bits: int = 8,
        noise: Noise | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        for name, bits in (("weight_bits", weight_bits), ("activation_bits", activation_bits)):
            if not 2 <= bits <= 16:
                raise DescriptionError(f"{name}: expected 2 to 16, got {bits}")
        written, self._scale = _quantized(weights, weight_bits)
        self._activation_bits = activation_bits
        self._sums = written.sum(axis=1)
        self._chip = Chip(written.T, geometry, weight_bits=weight_bits, noise=noise, rng=rng)

    @property
    def weights(self) -> FloatArray:
        """The weights that the cells hold, `[outputs, inputs]`.

        With lossless converters, the layer computes exactly a product with these weights. This is
        the cheap way to put noise into a model.
        """
        held: FloatArray = self._chip.weights.T * self._scale
        return held

    def __call__(self, inputs: FloatArray) -> FloatArray:
        """Multiply inputs with the weights as the crossbars do.

        Args:
            inputs: Real numbers, `[batch, inputs]`; they are quantised first.

        Returns:
            The products, `[batch, outputs]`.
        """
        return self.multiply(inputs).outputs

    def multiply(self, inputs: FloatArray) -> Result:
        """Multiply inputs with the weights, and count conversions.

        Args:
            inputs: Real numbers, `[batch, inputs]`; they are quantised first.

        Returns:
            The products, `[batch, outputs]`, with the number of conversions and of those that
            saturated.
        """
        applied, scale = _quantized(inputs, self._activation_bits)
        # Drivers apply no negative voltage, so half the range is added to the inputs. The same
        # multiple of the sums of the written weights, which are known, is subtracted afterwards.
        half = 1 << (self._activation_bits - 1)
        result = self._chip.multiply(applied + half, activation_bits=self._activation_bits)
        outputs: FloatArray = (result.outputs - half * self._sums) * scale * self._scale.T
        return Result(outputs=outputs, conversions=result.conversions, clipped=result.clipped)


def _quantized(values: FloatArray, bits: int) -> tuple[IntArray, FloatArray]:
    """Levels along the last axis, each vector with a scale of its own, and the scales."""
    levels = (1 << (bits - 1)) - 1
    scale = np.maximum(np.abs(values).max(axis=-1, keepdims=True), 1e-12) / levels
    return np.rint(values / scale).astype(np.int64), scale
