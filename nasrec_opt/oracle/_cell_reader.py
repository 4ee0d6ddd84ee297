"""A weight reader that reads and multiplies weights like the cells of one chip."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasrec_opt.space import FLOAT_BITS
from nasrec_opt.supernet import WeightReader, multiply, round_to

FloatArray = npt.NDArray[np.float64]
Bits = tuple[int, int]  # of weights and of the inputs of a product; 32 = floating point
Product = Callable[[FloatArray], FloatArray]  # [vectors, inputs] to [vectors, outputs]


class CellReader(WeightReader):
    """Holds the weights of a model's products as one chip does, each written once.

    All passes multiply by the same weights in the same order, which identifies a product. Products
    use the weights exactly as the cells hold them, so layers fold nothing into them.

    Args:
        errors: Computes the errors of a product from its number, its weights before rounding,
            `[outputs, inputs]`, and the bits of its weights and inputs. The result is added to the
            rounded weights, or is a function from inputs to errors that are added to the products.
    """

    def __init__(self, errors: Callable[[int, FloatArray, Bits], FloatArray | Product]) -> None:
        self._errors = errors
        self._held: list[tuple[Tensor, Product | None]] = []
        self._next = 0

    def begin(self) -> CellReader:
        """Begin a pass: the next product is its first."""
        self._next = 0
        return self

    def weight(self, whole: Tensor, *index: slice) -> Tensor:
        """Read a slice without errors, which only products have."""
        return whole.detach()[index]

    def linear(
        self,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        *,
        bits: Bits = (FLOAT_BITS, FLOAT_BITS),
        dim: int = -1,
    ) -> Tensor:
        """Multiply like the cells of the next product; see `WeightReader.linear`."""
        if self._next == len(self._held):
            self._held.append(self._write(weight, bits))
        held, wrong = self._held[self._next]
        self._next += 1
        made = multiply(inputs, held, bias, dim)
        if wrong is None:
            return made
        vectors = inputs.transpose(1, 2) if dim == 1 else inputs
        flat = vectors.reshape(-1, vectors.shape[-1]).cpu().numpy().astype(np.float64)
        added = torch.from_numpy(wrong(flat)).to(made.device, made.dtype)
        added = added.reshape(*vectors.shape[:-1], -1)
        return made + (added.transpose(1, 2) if dim == 1 else added)

    def _write(self, weight: Tensor, bits: Bits) -> tuple[Tensor, Product | None]:
        """The weights in the cells, and further errors of their products."""
        given = weight.cpu().numpy().astype(np.float64)
        found = self._errors(len(self._held), given, bits)
        rounded = round_to(weight, bits[0])
        if callable(found):
            return rounded, found
        return rounded + torch.from_numpy(found).to(weight.device, weight.dtype), None
