"""A small model with a first-order term and an operator of few bits."""

from __future__ import annotations

from nasrec_opt.space import BlockGene, Genotype

GENOTYPE = Genotype(
    (
        BlockGene(dense_ops=("fc",), dense_width=16, sparse_width=16),
        BlockGene(
            dense_ops=("dot",), dense_width=16, sparse_width=16, sparse_inputs=(0, 1), dense_bits=4
        ),
    ),
    space="nasrec_small",
    wide=True,
)
