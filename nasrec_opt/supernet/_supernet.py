"""One module with the weights of all subnets, and the subnets that are cut out of it.

The central invariant: a subnet inside the supernet *is* the standalone model with copied weights.
Both run the same operators; a subnet only has no unused weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.options import Initialization, check_initialization
from nasrec_opt.space import Genotype, SearchSpace
from nasrec_opt.supernet._block import Block
from nasrec_opt.supernet._embedding import FusedEmbedding
from nasrec_opt.supernet._final_layer import FinalLayer
from nasrec_opt.supernet._fits import Limits
from nasrec_opt.supernet._initializer import Initializer
from nasrec_opt.supernet._inputs import Capacity
from nasrec_opt.supernet._masking import run_masked
from nasrec_opt.supernet._network import Activations, Network, check_batch
from nasrec_opt.supernet._readers import VIEWS, WeightReader
from nasrec_opt.supernet._storage import (
    DESCRIPTION,
    load_weights,
    read_description,
    required,
    save_network,
)
from nasrec_opt.supernet._subnet import Subnet

Masking = Literal["slice", "zero"]


class Supernet(Network):
    """The weight-sharing supernet of a search space.

    Args:
        space: The space whose genotypes it runs.
        features: Shape of the input.
        seed: Seed of the initial weights; None leaves them uninitialised, for a caller that fills
            them.
        max_table_rows: Maximum rows of one column's embedding table (section 5.1: 0.5 million), or
            None for full tables.
        masking: `slice` runs only the active part; `zero` runs everything at full width and
            multiplies by zero, as in Eq. 4, for comparison.
        balance: Whether dot products project their vectors (section 4.2).
        initialization: Initial weights: `uniform`, or the published `xavier`, whose final layer is
            not scaled.

    Raises:
        StudyError: `masking` or `initialization` is unknown.

    Example:
        >>> import numpy as np
        >>> from nasrec_opt import FeatureSpec, SearchSpace
        >>> space = SearchSpace.nasrec_small(num_blocks=2)
        >>> supernet = Supernet(space, FeatureSpec(13, (100,) * 26))
        >>> genotype = space.sample(np.random.default_rng(0))
        >>> supernet(genotype, torch.zeros(4, 13), torch.zeros(4, 26, dtype=torch.int64)).shape
        torch.Size([4])
    """

    def __init__(
        self,
        space: SearchSpace,
        features: FeatureSpec,
        seed: int | None = 0,
        *,
        max_table_rows: int | None = 500_000,
        masking: Masking = "slice",
        balance: bool = True,
        initialization: Initialization = "uniform",
    ) -> None:
        check_initialization(initialization)
        if masking not in ("slice", "zero"):
            raise StudyError(f"masking: expected 'slice' or 'zero', got {masking!r}")
        draw = Initializer(seed, scheme=initialization)
        dense_width, sparse_width = max(space.dense_widths), max(space.sparse_widths)
        blocks = {}
        for number, choices in enumerate(space.choices.blocks, start=1):
            dense_before, sparse_before = (
                [i for i in sources if i]
                for sources in (choices.dense_sources, choices.sparse_sources)
            )
            widest = dense_width if number > 1 else 1
            widest = max(widest, features.num_dense)
            capacity = Capacity(
                dense_width=dense_width,
                sparse_width=sparse_width,
                dense_sources={0: max(features.num_dense, 1)}
                | dict.fromkeys(dense_before, dense_width),
                sparse_sources={0: features.num_sparse}
                | dict.fromkeys(sparse_before, sparse_width),
                dense_to_sparse_sources=frozenset(sparse_before)
                if space.has_dense_to_sparse
                else frozenset(),
                dim=features.embedding_dim,
                two=(widest, widest),
                balance=balance,
            )
            blocks[number] = Block(
                capacity,
                dense_ops=space.dense_ops,
                sparse_ops=space.sparse_ops,
                has_sparse_to_dense=space.has_sparse_to_dense,
                has_dense_to_sparse=space.has_dense_to_sparse,
                draw=draw.of(f"block{number}"),
            )
        final = FinalLayer(
            dense_width,
            sparse_width,
            features.embedding_dim,
            draw.of("final"),
            has_dense_to_sparse=space.has_dense_to_sparse,
            num_first_order=features.num_dense if any(space.wide) else 0,
        )
        super().__init__(
            features,
            blocks,
            final,
            draw,
            max_table_rows=max_table_rows,
            has_first_order=any(space.wide),
        )
        self.space = space
        self.masking = masking
        self.balance = balance
        self._limits = Limits.of(space)

    def forward(
        self, genotype: Genotype, dense: Tensor, sparse: Tensor, reader: WeightReader = VIEWS
    ) -> Tensor:
        """Logits of one subnet.

        Args:
            genotype: The subnet, of this supernet's space up to the number of operators a branch,
                and at its own bits, whatever those of the space.
            dense: float32 `[batch, num_dense]`.
            sparse: Ids, integers `[batch, num_sparse]`.
            reader: How weights are read; the default gives gradients to whole weights.

        Returns:
            float32 `[batch]`.

        Raises:
            GenotypeError: The supernet has no weights for the genotype.
            ValueError: A tensor has the wrong shape.
        """
        self.check_genotype(genotype)
        check_batch(self.features, dense, sparse)
        weights = self.first_order_of(sparse) if genotype.wide else None
        return self.logits(genotype, dense, self.embed(sparse), reader, weights=weights)

    def check_genotype(self, genotype: Genotype) -> None:
        """Refuse a genotype that this supernet has no weights for.

        Args:
            genotype: The subnet. Any number of its space's operators a branch fits, and so do any
                bits and any width up to the widest.

        Raises:
            GenotypeError: It is not a genotype, has another number of blocks, or has a width, an
                operator, a merger or a first-order term that the supernet lacks.
        """
        self._limits.check(genotype)

    def run_block(
        self,
        number: int,
        genotype: Genotype,
        activations: Activations,
        reader: WeightReader = VIEWS,
    ) -> None:
        """Run block `number` (from 1) and add its outputs to `activations`."""
        if self.masking == "slice":
            super().run_block(number, genotype, activations, reader)
            return
        dense, sparse = run_masked(
            self._block(number),
            genotype.blocks[number - 1],
            activations.dense,
            activations.sparse,
            reader,
        )
        activations.dense[number] = dense
        if sparse is not None:
            activations.sparse[number] = sparse

    def extract(self, genotype: Genotype, *, embedding: FusedEmbedding | None = None) -> Subnet:
        """Build the standalone model of a genotype, with copies of the weights that it uses here.

        Args:
            genotype: The subnet.
            embedding: Embedding of the model, on this supernet's device, or None for a copy of this
                supernet's whole table.

        Returns:
            A model that computes the same logits.

        Raises:
            GenotypeError: This supernet has no weights for the genotype.
            StudyError: This supernet masks with zeros: no standalone model equals its subnets.
        """
        self.check_genotype(genotype)
        if self.masking == "zero":
            raise StudyError("extract: expected masking='slice', got a supernet that masks by zero")
        subnet = Subnet(
            genotype,
            self.features,
            seed=None,
            max_table_rows=self.max_table_rows,
            balance=self.balance,
            initialization=self.initialization,
        )
        if embedding is not None:
            subnet.embedding = (
                embedding  # before it moves: the other one takes nearly no memory until then
            )
        subnet.to(self.final.bias.device)
        mine, its = self.slices_of(genotype), subnet.slices_of(genotype)
        # Both ran the same operators in the same order, so the slices pair up one to one.
        with torch.no_grad():
            for (source, index), (target, own) in zip(mine.used, its.used, strict=True):
                target[own] = source[index]
            if embedding is None:
                subnet.embedding.table.copy_(self.embedding.table)
                mine_wide, its_wide = self.embedding.first_order, subnet.embedding.first_order
                if mine_wide is not None and its_wide is not None:
                    its_wide.copy_(mine_wide)
        return subnet

    def save(self, path: Path | str, **files: Any) -> None:
        """Write the folder `path`: weights as safetensors, the rest as JSON.

        Args:
            path: The folder; it appears whole or not at all.
            files: Further JSON values to put into the folder, by file name without `.json`.
        """
        values = {"kind": "supernet", "space": self.space.to_dict()}
        options: dict[str, Any] = {"masking": self.masking, "balance": self.balance}
        options["initialization"] = self.initialization
        save_network(self, path, values | options, files)

    @classmethod
    def load(cls, path: Path | str) -> Supernet:
        """Load what `save` wrote.

        Args:
            path: The folder.

        Returns:
            The supernet, on the CPU.

        Raises:
            StudyError: The folder holds no supernet, or one that cannot be read.
        """
        path = Path(path)
        description = read_description(path, "supernet")
        with required(path / DESCRIPTION):
            space = SearchSpace.from_dict(description["space"], str(path / DESCRIPTION))
            supernet = cls(
                space,
                FeatureSpec.from_dict(description["features"]),
                None,
                max_table_rows=description["max_table_rows"],
                masking=description["masking"],
                balance=description["balance"],
                initialization=description.get("initialization", "uniform"),
            )
        load_weights(supernet, path)
        return supernet
