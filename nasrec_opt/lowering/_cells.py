"""The cells that hold a genotype's weights, for an oracle that scores their noise."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hw import AnalogLinear, DescriptionError, Noise, ReRAM
from nasrec_opt.lowering._configure import configure
from nasrec_opt.space import FLOAT_BITS, Genotype

FloatArray = npt.NDArray[np.float64]
Bits = tuple[int, int]  # of weights and of the inputs of a product
Product = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, slots=True)
class CrossbarCells:
    """Crossbars with cells that vary or are stuck: `cells` of `nasrec_opt.oracle.NoisyOracle`.

    Accelerator genes configure the crossbars. So log loss depends on the bits of a cell and, if the
    accelerator's converters clip, on the bits of a converter. Random draws depend only on the seed,
    the genotype, the product and the chip, not on earlier calls.

    Args:
        accelerator: Has the crossbars; the genotype's accelerator genes override its figures.
        noise: How the cells differ from what is written.
        seed: Seed of all draws.
    """

    accelerator: ReRAM
    noise: Noise
    seed: int = 0

    def errors(
        self, weights: FloatArray, bits: Bits, genotype: Genotype, *, product: int, chip: int
    ) -> FloatArray | Product:
        """Compute what the cells of a chip do to a product.

        Args:
            weights: The weights before they are quantised, `[outputs, inputs]`.
            bits: Bits of the weights and of the inputs.
            genotype: The model; its accelerator genes change the crossbars.
            product: Number of the product in the model.
            chip: Number of the chip.

        Returns:
            What is to be added to the quantised weights, `[outputs, inputs]`. Where converters
            clip, a function from inputs `[batch, inputs]` to what is to be added to the products;
            it is hundreds of times as slow.

        Raises:
            DescriptionError: The product is in floating point, which no cell holds.
        """
        if FLOAT_BITS in bits:
            raise DescriptionError(
                f"product {product}: expected bits that cells hold, 4 to 8, got {FLOAT_BITS} "
                "(floating point)"
            )
        model = self.accelerator
        if genotype.hardware is not None:
            model = configure(model, genotype.hardware)
        name = zlib.crc32(genotype.canonical().to_json().encode())
        rng = np.random.default_rng([self.seed, name, product, chip])
        weight_bits, activation_bits = bits
        lossless = replace(model.geometry, clips=False)
        noisy, exact = (
            AnalogLinear(
                weights, geometry, weight_bits=weight_bits, activation_bits=activation_bits,
                noise=noise, rng=rng,
            )
            for geometry, noise in ((model.geometry, self.noise), (lossless, None))
        )  # fmt: skip
        if model.geometry.is_lossless:
            errors: FloatArray = noisy.weights - exact.weights
            return errors

        def wrong(inputs: FloatArray) -> FloatArray:
            difference: FloatArray = noisy(inputs) - exact(inputs)
            return difference

        return wrong
