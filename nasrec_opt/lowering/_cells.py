"""The cells that a genotype's weights are written into, for an oracle that reacts to them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hw import AnalogLinear, Noise, ReRAM
from nasrec_opt.lowering._configure import configure
from nasrec_opt.space import Genotype

FloatArray = npt.NDArray[np.float64]
PLAIN_BITS = 8  # of weights that the model does not quantise, such as the final layer's


@dataclass(frozen=True, slots=True)
class CrossbarCells:
    """Crossbars with cells that vary or are stuck: `cells` of `nasrec_opt.oracle.NoisyOracle`.

    Accelerator genes configure the crossbars, so that log loss reacts to the bits of a cell. Draws
    depend on the seed, the genotype, the product and the chip, and on nothing asked before.

    Args:
        accelerator: Whose crossbars; the genotype's genes go before its own figures.
        noise: What is not as written.
        seed: Of all draws.
    """

    accelerator: ReRAM
    noise: Noise
    seed: int = 0

    def errors(
        self, weights: FloatArray, bits: int | None, genotype: Genotype, *, product: int, chip: int
    ) -> FloatArray:
        """What is wrong with the weights of a product, `[outputs, inputs]`: held less written."""
        model = self.accelerator
        if genotype.hardware is not None:
            model = configure(model, genotype.hardware)
        name = zlib.crc32(genotype.canonical().to_json().encode())
        rng = np.random.default_rng([self.seed, name, product, chip])
        weight_bits = PLAIN_BITS if bits is None else bits
        noisy, exact = (
            AnalogLinear(weights, model.geometry, weight_bits=weight_bits, noise=noise, rng=rng)
            for noise in (self.noise, None)
        )
        errors: FloatArray = noisy.weights - exact.weights
        return errors
