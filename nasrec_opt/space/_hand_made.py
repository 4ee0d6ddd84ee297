"""Genotypes that are like the hand-made models DLRM, DeepFM and Wide & Deep.

They answer what a model that people know is worth with this library's operators and training. The
models themselves, from libraries that are kept by others, are in `nasrec_opt.baselines`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nasrec_opt.errors import GenotypeError
from nasrec_opt.space._block_gene import BlockGene
from nasrec_opt.space._genotype import Genotype

if TYPE_CHECKING:
    from nasrec_opt.space._search_space import SearchSpace

DLRM = Genotype(
    (
        BlockGene(sparse_ops=(), dense_width=128),
        BlockGene(dense_ops=("dot",), sparse_ops=(), dense_width=512, dense_inputs=(1,)),
        BlockGene(sparse_ops=(), dense_width=256, dense_inputs=(1, 2)),
        BlockGene(sparse_ops=(), dense_width=128, dense_inputs=(3,)),
    ),
    space="dnas",
)
_FIRST = BlockGene(dense_width=256, sparse_width=64, dense_to_sparse=True)
WIDE_DEEP = Genotype(
    (_FIRST, BlockGene(dense_width=128, dense_inputs=(1,), sparse_inputs=(1,))),
    space="nasrec_small",
    wide=True,
)
DEEPFM = Genotype(
    (
        _FIRST,
        BlockGene(dense_width=128, dense_inputs=(1,), sparse_inputs=(0, 1), sparse_to_dense=True),
    ),
    space="nasrec_small",
    wide=True,
)
HAND_MADE = {"dlrm": DLRM, "deepfm": DEEPFM, "wide-deep": WIDE_DEEP}


def hand_made(name: str, space: SearchSpace | None = None) -> Genotype:
    """Build a genotype that is like a well-known hand-made model.

    Hidden layers are 256 and 128 wide, as in `nasrec_opt.baselines`. A layer norm follows every
    operator, which the original models do not have; `layer_norm = false` under `[retrain.model]`
    leaves it out.

    `dlrm`, four blocks of FC and dot product:

    - Block 1 is the bottom MLP on the dense features, one layer. Its second layer, to the width of
      an embedding, is the projection that the dot product begins with, without a ReLU.
    - Block 2 has the dot products of all pairs of embeddings and that vector. It departs: the
      embeddings are first mixed to 32 vectors (`balance = false` under `[retrain.model]` takes
      them as they are), and the products pass a linear layer to 512 values.
    - Blocks 3 and 4 are the top MLP on the bottom MLP's output and the products.

    `wide-deep`, two blocks with the first-order term:

    - The first-order term is the wide part; there are no crossed features.
    - Blocks 1 and 2 are the layers of the deep part. It departs: no operator feeds embeddings to an
      MLP on all their values. EFC is an MLP across the columns, the same for each of the values of
      an embedding, and FC is one on the dense features. Block 1 appends the dense features to the
      sparse branch as 8 vectors. The logit reads both branches.

    `deepfm`, two blocks with the first-order term:

    - The first-order term is that of the factorization machine.
    - Blocks 1 and 2 are the deep part, as in `wide-deep`; block 2 reads the embeddings again.
    - The factorization machine of block 2 is added to its dense output, which the logit reads. It
      departs: its vectors are 32 mixtures of the embeddings and of block 1's vectors, and its
      values pass a linear layer. In DeepFM it is of the embeddings, and its values are added up.

    Args:
        name: `dlrm`, `deepfm` or `wide-deep`.
        space: The space that the genotype is made for, or None for the smallest that has it.
            Further blocks are dead, and a width that the space does not have becomes the next
            larger one. Where blocks have a sparse operator, those of `dlrm` get the space's first
            one at its smallest width, and the logit reads that of the last block as well.

    Returns:
        The genotype, at 8 bits. Not every space has it; `space.contains` tells.

    Raises:
        GenotypeError: There is no model of that name, or the preset that the space names excludes
            it.

    Example:
        >>> hand_made("deepfm").wide, hand_made("dlrm").num_blocks
        (True, 4)
        >>> from nasrec_opt import SearchSpace
        >>> space = SearchSpace.nasrec_small(wide=(False, True))
        >>> space.contains(hand_made("deepfm", space))
        True

    References:
        Naumov et al. 2019, "Deep Learning Recommendation Model for Personalization and
        Recommendation Systems"; Guo et al. 2017, "DeepFM: A Factorization-Machine based Neural
        Network for CTR Prediction"; Cheng et al. 2016, "Wide & Deep Learning for Recommender
        Systems".
    """
    if name not in HAND_MADE:
        raise GenotypeError(
            f"hand-made model: expected one of {', '.join(HAND_MADE)}, got {name!r}"
        )
    genotype = HAND_MADE[name]
    return genotype if space is None else _fitted(genotype, space)


def _fitted(genotype: Genotype, space: SearchSpace) -> Genotype:
    """The genotype in a space, as far as it can be in it."""
    *blocks, last = (_block(block, space) for block in genotype.blocks)
    dead = [blocks[0]] * (space.num_blocks - genotype.num_blocks)  # it reads the raw features
    return replace(genotype, blocks=(*blocks, *dead, last), space=space.name)


def _block(block: BlockGene, space: SearchSpace) -> BlockGene:
    larger = [width for width in space.dense_widths if width >= block.dense_width]
    block = replace(block, dense_width=min(larger, default=max(space.dense_widths)))
    if block.sparse_ops or not space.sparse_ops:
        return block
    return replace(block, sparse_ops=space.sparse_ops[:1], sparse_width=min(space.sparse_widths))
