"""The standalone model of one genotype."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nasrec_opt.features import FeatureSpec
from nasrec_opt.options import Initialization, check_initialization
from nasrec_opt.space import FLOAT_BITS, Genotype, liveness
from nasrec_opt.supernet._block import Block
from nasrec_opt.supernet._final_layer import FinalLayer
from nasrec_opt.supernet._fits import check_is_genotype, check_same_model
from nasrec_opt.supernet._initializer import Initializer
from nasrec_opt.supernet._inputs import Capacity
from nasrec_opt.supernet._network import Network, check_batch
from nasrec_opt.supernet._readers import VIEWS, WeightReader
from nasrec_opt.supernet._storage import (
    DESCRIPTION,
    load_weights,
    read_description,
    required,
    save_network,
)


class Subnet(Network):
    """The standalone model of one genotype, with only the weights that it uses.

    Args:
        genotype: The architecture; every product is at its bits.
        features: Shape of the input.
        seed: Seed of the initial weights; None leaves them uninitialised, for a caller that fills
            them.
        max_table_rows: Maximum rows of one column's embedding table, or None for full tables.
        balance: Whether dot products project their vectors (section 4.2).
        initialization: Initial weights: `uniform`, or the published `xavier`, whose final layer is
            not scaled.
        layer_norm: Whether a layer norm follows each operator, as in a supernet. Published models
            were trained without: their linear maps have a bias instead, and only attention has
            layer norms inside.

    Raises:
        GenotypeError: `genotype` is something else.
        StudyError: `initialization` is neither.
    """

    def __init__(
        self,
        genotype: Genotype,
        features: FeatureSpec,
        seed: int | None = 0,
        *,
        max_table_rows: int | None = None,
        balance: bool = True,
        initialization: Initialization = "uniform",
        layer_norm: bool = True,
    ) -> None:
        check_is_genotype(genotype)
        check_initialization(initialization)
        draw = Initializer(seed, scheme=initialization)
        lives = liveness(genotype)
        blocks = {}
        for number, (gene, live) in enumerate(zip(genotype.blocks, lives, strict=True), start=1):
            if not (live.dense_pre or live.sparse_pre):
                continue
            inputs = gene.sparse_inputs if live.reads_sparse else ()
            two = [i for i in (gene.left_input, gene.right_input) if i is not None]
            widths = {
                i: genotype.blocks[i - 1].dense_width if i else max(features.num_dense, 1)
                for i in (*gene.dense_inputs, *two)
            }
            capacity = Capacity(
                dense_width=gene.dense_width,
                sparse_width=gene.sparse_width,
                dense_sources={i: widths[i] for i in gene.dense_inputs},
                sparse_sources={
                    i: genotype.blocks[i - 1].sparse_width if i else features.num_sparse
                    for i in inputs
                },
                dense_to_sparse_sources=frozenset(
                    i for i in inputs if i and lives[i - 1].use_dense_to_sparse
                ),
                dim=features.embedding_dim,
                two=(widths[two[0]], widths[two[1]]) if two else (0, 0),
                balance=balance,
                layer_norm=layer_norm,
            )
            blocks[number] = Block(
                capacity,
                dense_ops=gene.dense_ops if live.dense_pre else (),
                sparse_ops=gene.sparse_ops if live.sparse_pre else (),
                has_sparse_to_dense=live.use_sparse_to_dense,
                has_dense_to_sparse=live.use_dense_to_sparse,
                draw=draw.of(f"block{number}"),
            )
        last = genotype.blocks[-1]
        final = FinalLayer(
            last.dense_width,
            last.sparse_width,
            features.embedding_dim,
            draw.of("final"),
            has_dense_to_sparse=last.dense_to_sparse,
            num_first_order=features.num_dense if genotype.wide else 0,
        )
        super().__init__(
            features,
            blocks,
            final,
            draw,
            max_table_rows=max_table_rows,
            has_first_order=genotype.wide,
        )
        self.genotype = genotype
        self.balance = balance
        self.layer_norm = layer_norm
        self._checked = genotype
        self._trim()

    def forward(self, dense: Tensor, sparse: Tensor, reader: WeightReader = VIEWS) -> Tensor:
        """Logits.

        Args:
            dense: float32 `[batch, num_dense]`.
            sparse: Ids, integers `[batch, num_sparse]`.
            reader: How weights are read.

        Returns:
            float32 `[batch]`.

        Raises:
            ValueError: A tensor has the wrong shape.
        """
        check_batch(self.features, dense, sparse)
        weights = self.first_order_of(sparse)
        return self.logits(self.genotype, dense, self.embed(sparse), reader, weights=weights)

    def check_genotype(self, genotype: Genotype) -> None:
        """Refuse any genotype except this subnet's.

        Args:
            genotype: The same model, at any bits.

        Raises:
            GenotypeError: It is another model, or not a genotype.
        """
        if genotype is not self._checked:  # the same one in all steps, compared once
            check_same_model(genotype, self.genotype)
            self._checked = genotype

    def _trim(self) -> None:
        """Leave out weights, and parts of weights, that this one genotype never reads."""
        used = {id(weight): index for weight, index in self.slices_of(self.genotype).used}
        for module in (*self.blocks.modules(), self.final):
            for name, weight in list(module.named_parameters(recurse=False)):
                if id(weight) in used:
                    kept = nn.Parameter(weight.detach()[used[id(weight)]].clone())
                    module.register_parameter(name, kept)
                elif isinstance(module, nn.ParameterDict):
                    del module[name]
                else:
                    delattr(module, name)

    def save(self, path: Path | str) -> None:
        """Write a folder: weights as safetensors, the rest as JSON.

        Args:
            path: The folder; created where it is missing.
        """
        values: dict[str, Any] = {"kind": "subnet", "genotype": self.genotype.to_dict()}
        values |= {"balance": self.balance, "initialization": self.initialization}
        if not self.layer_norm:  # absent otherwise, as in older files
            values["layer_norm"] = False
        save_network(self, path, values, {"genotype": self.genotype.to_dict()})

    @classmethod
    def load(cls, path: Path | str) -> Subnet:
        """Load what `save` wrote.

        Args:
            path: The folder.

        Returns:
            The subnet, on the CPU.

        Raises:
            StudyError: The folder holds no subnet, or one that cannot be read.
        """
        path = Path(path)
        description = read_description(path, "subnet")
        with required(path / DESCRIPTION):
            genotype = Genotype.from_dict(description["genotype"], str(path / DESCRIPTION))
            if not description.get("is_quantized", True):  # an old file, of a model without bits
                genotype = genotype.with_bits(FLOAT_BITS)
            subnet = cls(
                genotype,
                FeatureSpec.from_dict(description["features"]),
                None,
                max_table_rows=description["max_table_rows"],
                balance=description["balance"],
                initialization=description.get("initialization", "uniform"),
                layer_norm=description.get("layer_norm", True),
            )
        load_weights(subnet, path)
        return subnet
