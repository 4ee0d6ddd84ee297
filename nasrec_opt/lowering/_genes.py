"""The genes of blocks as numbers: of one genotype, or of many as columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nasrec_opt.space import READ_SPARSE, BlockGene, Genotype, Reading, mask_of

IntArray = npt.NDArray[np.int64]
Count = Any  # an int, or an int64 array `[genotypes]`
Flag = Any  # a bool, or a bool array `[genotypes]`

_GENES = attrgetter(
    "dense_ops", "sparse_ops", "dense_inputs", "sparse_inputs", "left_input", "right_input",
    "dense_bits", "sparse_bits", "dense_width", "sparse_width", "dense_to_sparse",
    "sparse_to_dense",
)  # fmt: skip


class Genes(NamedTuple):
    """The genes of one block, of one genotype or of each of many; subsets are bit masks.

    Operators are numbered by their table, inputs as in a genotype; the left and the right input
    are masks of one bit, or of none.
    """

    dense_ops: Count
    sparse_ops: Count
    dense_inputs: Count
    sparse_inputs: Count
    left: Count
    right: Count
    dense_weight_bits: Count
    dense_activation_bits: Count
    sparse_weight_bits: Count
    sparse_activation_bits: Count
    dense_width: Count
    sparse_width: Count
    dense_to_sparse: Flag
    sparse_to_dense: Flag

    @property
    def reading(self) -> Reading:
        """The inputs that the block's parts read."""
        return Reading(
            self.dense_inputs | self.left | self.right,
            self.sparse_inputs,
            self.dense_ops & READ_SPARSE > 0,
            self.sparse_ops > 0,
            self.dense_to_sparse,
            self.sparse_to_dense,
        )


NUM_FLAGS = 2  # the last fields of `Genes`


def genes_of(genotype: Genotype) -> list[Genes]:
    """The genes of each block, first block first."""
    return [Genes(*_numbers(block)) for block in genotype.blocks]


def columns_of(genotypes: Sequence[Genotype]) -> list[Genes]:
    """The genes of each block as columns `[genotypes]`, for genotypes with equally many blocks."""
    width, count = len(Genes._fields), len(genotypes)
    rows = (_numbers(block) for genotype in genotypes for block in genotype.blocks)
    numbers = np.fromiter(chain.from_iterable(rows), np.int64)
    blocks = numbers.reshape(count, -1, width).transpose(1, 2, 0)  # [blocks, genes, genotypes]
    return [
        Genes(*np.ascontiguousarray(block[:-NUM_FLAGS]), *block[-NUM_FLAGS:].astype(bool))
        for block in blocks
    ]


def _numbers(block: BlockGene) -> Iterable[Any]:
    ops, sparse_ops, inputs, sparse_inputs, left, right, bits, sparse_bits, *rest = _GENES(block)
    return (
        mask_of(ops),
        mask_of(sparse_ops),
        mask_of(inputs),
        mask_of(sparse_inputs),
        0 if left is None else 1 << left,
        0 if right is None else 1 << right,
        *((bits, bits) if isinstance(bits, int) else bits),
        *((sparse_bits, sparse_bits) if isinstance(sparse_bits, int) else sparse_bits),
        *rest,
    )
