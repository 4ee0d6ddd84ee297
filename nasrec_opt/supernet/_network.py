"""The common part of the supernet and a subnet: the pass from embeddings to the logit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from nasrec_opt.features import FeatureSpec
from nasrec_opt.options import Initialization
from nasrec_opt.space import Genotype, liveness
from nasrec_opt.supernet._block import Block
from nasrec_opt.supernet._embedding import FusedEmbedding
from nasrec_opt.supernet._final_layer import FinalLayer
from nasrec_opt.supernet._initializer import Initializer, first
from nasrec_opt.supernet._inputs import SparseOutput
from nasrec_opt.supernet._layers import wide
from nasrec_opt.supernet._quantize import round_to
from nasrec_opt.supernet._readers import VIEWS, SliceRecorder, WeightReader


@dataclass(slots=True)
class Activations:
    """Outputs of the blocks run so far, by block; 0 = raw features.

    Args:
        dense: `[batch, width]` each.
        sparse: `[batch, dim, vectors]` each; a block without a sparse operator has none.
        first_order: Sum of the first-order weights, `[batch]`, of a model that has them.
    """

    dense: dict[int, Tensor] = field(default_factory=dict)
    sparse: dict[int, SparseOutput] = field(default_factory=dict)
    first_order: Tensor | None = None


def best_device() -> torch.device:
    """Choose the device on which a network computes fastest.

    Returns:
        A GPU if there is one, otherwise the CPU.
    """
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Network(nn.Module):
    """Blocks, embedding and final layer; the genotype decides which parts run, and at which bits.

    Every product of stored weights, including the final layer, has the bits that
    `nasrec_opt.lowering` costs; so do the operands of dot products and of attention. Everything
    else, such as layer norms and softmax, is computed in floating point.

    Args:
        features: Shape of the input.
        blocks: The blocks that may run, by number from 1.
        final: The final layer.
        draw: Draws the embedding, by the same scheme as the blocks and the final layer.
        max_table_rows: Maximum number of rows of one column's embedding table.
        has_first_order: Whether there are first-order weights.
    """

    def __init__(
        self,
        features: FeatureSpec,
        blocks: Mapping[int, Block],
        final: FinalLayer,
        draw: Initializer,
        *,
        max_table_rows: int | None,
        has_first_order: bool,
    ) -> None:
        super().__init__()
        self.features = features
        self.initialization: Initialization = draw.scheme
        self.max_table_rows = max_table_rows
        self.embedding = FusedEmbedding(
            features, draw.of("embedding"), max_table_rows, has_first_order=has_first_order
        )
        self.blocks = nn.ModuleDict({str(number): block for number, block in blocks.items()})
        self.final = final

    def _block(self, number: int) -> Block:
        """The block of a number, from 1."""
        block = self.blocks[str(number)]
        assert isinstance(block, Block)
        return block

    def check_genotype(self, genotype: Genotype) -> None:
        """Refuse a genotype without weights in this network; `forward` and `train_step` call it.

        Args:
            genotype: The subnet.

        Raises:
            GenotypeError: There are no weights for it.
        """
        raise NotImplementedError

    def embed(self, sparse: Tensor) -> Tensor:
        """Embeddings of a batch.

        Args:
            sparse: Ids, integers `[batch, num_sparse]`.

        Returns:
            float32 `[batch, dim, num_sparse]`, the layout that every sparse operator works in.
        """
        return self.embedding(self.embedding.rows_of(sparse)).transpose(1, 2).contiguous()

    def first_order_of(self, sparse: Tensor) -> Tensor | None:
        """Gather the first-order weights of the ids of a batch.

        Args:
            sparse: Ids, integers `[batch, num_sparse]`.

        Returns:
            The weights, `[batch, num_sparse]`, or None for a network without them.
        """
        if self.embedding.first_order is None:
            return None
        return self.embedding.first_order_of(self.embedding.rows_of(sparse))

    def begin(self, dense: Tensor, embedded: Tensor) -> Activations:
        """Start a pass: the raw features are input 0; without dense features, one column of zeros.

        Args:
            dense: float32 `[batch, num_dense]`.
            embedded: As `embed` returns it.

        Returns:
            Activations that hold input 0 alone.
        """
        if not self.features.num_dense:
            dense = embedded.new_zeros(embedded.shape[0], 1)
        return Activations({0: dense}, {0: SparseOutput(embedded)})

    def run_block(
        self,
        number: int,
        genotype: Genotype,
        activations: Activations,
        reader: WeightReader = VIEWS,
    ) -> None:
        """Run one block and add its outputs to the activations; a dead block does nothing.

        Args:
            number: Number of the block, from 1.
            genotype: The subnet.
            activations: Outputs of the blocks before it; changed in place.
            reader: How weights are read.
        """
        live = liveness(genotype)[number - 1]
        if not (live.dense_pre or live.sparse_pre):
            return
        found = self._block(number)(
            genotype.blocks[number - 1],
            live,
            activations.dense,
            activations.sparse,
            reader,
        )
        if found.dense is not None:
            activations.dense[number] = found.dense
        if found.sparse is not None:
            activations.sparse[number] = found.sparse

    def hidden(
        self, genotype: Genotype, dense: Tensor, embedded: Tensor, reader: WeightReader = VIEWS
    ) -> Activations:
        """Compute the outputs of all live blocks.

        Args:
            genotype: The subnet.
            dense: float32 `[batch, num_dense]`.
            embedded: As `embed` returns it.
            reader: How weights are read.

        Returns:
            The outputs by block, beginning with the raw features as input 0.
        """
        activations = self.begin(dense, embedded)
        for number in range(1, genotype.num_blocks + 1):
            self.run_block(number, genotype, activations, reader)
        return activations

    def first_order(
        self, bits: int, dense: Tensor, weights: Tensor, reader: WeightReader = VIEWS
    ) -> Tensor:  # [batch]
        """Compute the first-order term: logistic regression on the raw features.

        Args:
            bits: Bits of everything that is multiplied or added, as in the final layer.
            dense: float32 `[batch, num_dense]`.
            weights: First-order weights of the batch's values, as `first_order_of` returns them.
            reader: How the weights of dense features are read.

        Returns:
            The term, float32 `[batch]`.
        """
        total = round_to(wide(weights), bits).sum(dim=1)
        if not self.features.num_dense:
            return total
        row = reader.weight(self.final.first_order, first(1), first(self.features.num_dense))
        values = round_to(wide(dense), bits)
        return total + reader.linear(values, row, bits=(bits, bits)).squeeze(1)

    def last_features(self, genotype: Genotype, activations: Activations) -> Tensor:
        """Compute the input of the final layer, rounded to its bits.

        If the model has a first-order term, it is a further, last column. The final layer adds it
        with weight 1; a final layer that is fitted again may give it another weight.

        Args:
            genotype: The subnet.
            activations: Its outputs, as `hidden` returns them.

        Returns:
            float32 `[batch, dense_width + dim * vectors]`, and one column more with a first-order
            term.
        """
        last = genotype.num_blocks
        values, sparse = activations.dense[last], activations.sparse.get(last)
        if sparse is not None:
            values = torch.cat([values, sparse.vectors.flatten(1)], dim=1)
        values = wide(values)
        values = round_to(values, genotype.final_bits)
        if not genotype.wide:
            return values
        assert activations.first_order is not None  # put there by the code that ran the blocks
        return torch.cat([values, activations.first_order.unsqueeze(1)], dim=1)

    def last_weight(
        self, genotype: Genotype, activations: Activations, reader: WeightReader = VIEWS
    ) -> tuple[Tensor, Tensor]:
        """Read the weights of the final layer for `last_features`, before they are rounded.

        Args:
            genotype: The subnet.
            activations: Its outputs, as `hidden` returns them.
            reader: How weights are read.

        Returns:
            Weight `[width]` and bias `[1]`.
        """
        last = genotype.num_blocks
        width = activations.dense[last].shape[1]
        weight, bias = self.final.weight(width, activations.sparse.get(last), reader)
        return (torch.cat([weight, weight.new_ones(1)]) if genotype.wide else weight), bias

    def last_logits(
        self, genotype: Genotype, features: Tensor, weight: Tensor, bias: Tensor
    ) -> Tensor:
        """Compute logits from the input of the final layer, and round its weights on the way.

        Args:
            genotype: The subnet; its bits are those of the weights.
            features: As `last_features` returns them.
            weight: As `last_weight` returns it, or fitted again, `[width]`.
            bias: Bias of the final layer, `[1]`.

        Returns:
            Logits, float32 `[batch]`.
        """
        if not genotype.wide:
            return features @ round_to(weight, genotype.final_bits) + bias
        # The factor of the first-order term is not a weight: its own weights can be scaled instead.
        deep = features[:, :-1] @ round_to(weight[:-1], genotype.final_bits)
        return deep + features[:, -1] * weight[-1] + bias

    def logits(
        self,
        genotype: Genotype,
        dense: Tensor,
        embedded: Tensor,
        reader: WeightReader = VIEWS,
        *,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Compute the logits of one subnet.

        Args:
            genotype: The subnet.
            dense: float32 `[batch, num_dense]`.
            embedded: As `embed` returns it.
            reader: How weights are read.
            weights: As `first_order_of` returns them; only a model with that term needs them.

        Returns:
            Logits, float32 `[batch]`.
        """
        activations = self.hidden(genotype, dense, embedded, reader)
        return self.finish(genotype, activations, reader, weights=weights)

    def finish(
        self,
        genotype: Genotype,
        activations: Activations,
        reader: WeightReader = VIEWS,
        *,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Compute the logits from the outputs of all live blocks.

        Args:
            genotype: The subnet.
            activations: As `hidden` returns them.
            reader: How weights are read.
            weights: As `first_order_of` returns them; only a model with that term needs them.

        Returns:
            Logits, float32 `[batch]`.
        """
        if genotype.wide:
            assert weights is not None
            bits, dense = genotype.final_bits, activations.dense[0]
            activations.first_order = self.first_order(bits, dense, weights, reader)
        weight, bias = self.last_weight(genotype, activations, reader)
        return self.last_logits(genotype, self.last_features(genotype, activations), weight, bias)

    def slices_of(self, genotype: Genotype) -> SliceRecorder:
        """Record which slice of which weight a genotype uses.

        Args:
            genotype: The subnet.

        Returns:
            The slices, in order of use.

        Raises:
            GenotypeError: There are no weights for the genotype.
        """
        self.check_genotype(genotype)
        recorder = SliceRecorder()
        bias = self.final.bias
        with torch.no_grad():
            dense = bias.new_zeros(1, self.features.num_dense)
            embedded = bias.new_zeros(1, self.features.embedding_dim, self.features.num_sparse)
            weights = bias.new_zeros(1, self.features.num_sparse)
            self.logits(genotype, dense, embedded, recorder, weights=weights)
        return recorder


def check_batch(features: FeatureSpec, dense: Tensor, sparse: Tensor) -> None:
    """Refuse tensors of the wrong shape.

    Raises:
        ValueError: `dense` is not `[batch, num_dense]`, or `sparse` not `[batch, num_sparse]`.
    """
    for name, tensor, width in (
        ("dense", dense, features.num_dense),
        ("sparse", sparse, features.num_sparse),
    ):
        if tensor.ndim != 2 or tensor.shape[1] != width or tensor.shape[0] != dense.shape[0]:
            raise ValueError(
                f"{name}: expected [batch, {width}] with one batch size, got {list(tensor.shape)}"
            )
