"""One module with the weights of all subnets, and the subnets that are cut out of it.

The central invariant: a subnet inside the supernet *is* the standalone model with copied weights.
Both run the same operators; a subnet is merely built with no room to spare.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nasrec_opt._files import atomic_directory, write_json
from nasrec_opt.errors import NasrecError, StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.space import Genotype, SearchSpace, liveness, reads_sparse_inputs
from nasrec_opt.supernet._block import Block
from nasrec_opt.supernet._network import FinalLayer, Network, check_batch
from nasrec_opt.supernet._operators import Capacity
from nasrec_opt.supernet._slices import Initializer, Recorder, Take, plain

WEIGHTS = "weights.safetensors"
DESCRIPTION = "model.json"


class Supernet(Network):
    """The weight-sharing supernet of a search space.

    Args:
        space: The space whose genotypes it runs.
        features: Shape of the input.
        seed: Seed of the initial weights.
        max_table_rows: Most rows of one column's embedding table (section 5.1: 0.5 million).

    Example:
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
        seed: int = 0,
        *,
        max_table_rows: int | None = 500_000,
    ) -> None:
        draw = Initializer(seed)
        dense_width, sparse_width = max(space.dense_widths), max(space.sparse_widths)
        blocks = {}
        for number in range(1, space.num_blocks + 1):
            earlier = range(1, number)
            widest = dense_width if number > 1 else 1
            widest = max(widest, features.num_dense)
            capacity = Capacity(
                dense_width=dense_width,
                sparse_width=sparse_width,
                dense_sources={0: max(features.num_dense, 1)} | dict.fromkeys(earlier, dense_width),
                sparse_sources={0: features.num_sparse} | dict.fromkeys(earlier, sparse_width),
                row_sources=frozenset(earlier) if space.mergers else frozenset(),
                dim=features.embedding_dim,
                two=(widest, widest),
            )
            blocks[number] = Block(
                capacity,
                dense_ops=space.dense_ops,
                sparse_ops=space.sparse_ops,
                has_fm=space.mergers,
                has_rows=space.mergers,
                draw=draw.of(f"block{number}"),
            )
        final = FinalLayer(
            dense_width,
            sparse_width,
            features.embedding_dim,
            draw.of("final"),
            has_merger=space.mergers,
        )
        super().__init__(
            features,
            blocks,
            final,
            draw,
            max_table_rows=max_table_rows,
            is_quantized=space.quantized,
        )
        self.space = space

    def forward(
        self, genotype: Genotype, dense: Tensor, sparse: Tensor, take: Take = plain
    ) -> Tensor:
        """Logits of one subnet.

        Args:
            genotype: The subnet, of this supernet's space up to the number of operators a branch.
            dense: float32 `[batch, num_dense]`.
            sparse: Ids, integers `[batch, num_sparse]`.
            take: How weights are read; the default gives gradients to whole weights.

        Returns:
            float32 `[batch]`.

        Raises:
            ValueError: A tensor has the wrong shape.
        """
        check_batch(self.features, dense, sparse)
        return self.logits(genotype, dense, self.embed(sparse), take)

    def extract(self, genotype: Genotype) -> Subnet:
        """The standalone model of a genotype, with copies of the weights it uses here."""
        subnet = Subnet(
            genotype,
            self.features,
            max_table_rows=self.max_table_rows,
            is_quantized=self.is_quantized,
        ).to(self.final.bias.device)
        mine, its = Recorder(), Recorder()
        for network, take in ((self, mine), (subnet, its)):
            dense = network.final.bias.new_zeros(1, self.features.num_dense)
            sparse = torch.zeros(
                1, self.features.num_sparse, dtype=torch.int64, device=dense.device
            )
            with torch.no_grad():
                network.logits(genotype, dense, network.embed(sparse), take)
        # Both ran the same operators in the same order, so the slices pair up one to one.
        with torch.no_grad():
            for (source, index), (target, own) in zip(mine.used, its.used, strict=True):
                target[own] = source[index]
            subnet.embedding.table.copy_(self.embedding.table)
        return subnet

    def save(self, path: Path | str) -> None:
        """Write the folder `path`: weights as safetensors, the rest as JSON."""
        save_network(self, path, {"kind": "supernet", "space": self.space.to_dict()})

    @classmethod
    def load(cls, path: Path | str) -> Supernet:
        """Inverse of `save`.

        Raises:
            StudyError: The folder holds no supernet, or one that cannot be read.
        """
        path = Path(path)
        description = read_description(path, "supernet")
        space = SearchSpace.from_dict(description["space"], str(path / DESCRIPTION))
        features = FeatureSpec.from_dict(description["features"])
        supernet = cls(space, features, max_table_rows=description["max_table_rows"])
        load_weights(supernet, path)
        return supernet


class Subnet(Network):
    """The standalone model of one genotype: only weights that it uses.

    Args:
        genotype: The architecture.
        features: Shape of the input.
        seed: Seed of the initial weights.
        max_table_rows: Most rows of one column's embedding table; nothing = full tables.
        is_quantized: Whether the genotype's bits apply (co-design).
    """

    def __init__(
        self,
        genotype: Genotype,
        features: FeatureSpec,
        seed: int = 0,
        *,
        max_table_rows: int | None = None,
        is_quantized: bool = False,
    ) -> None:
        draw = Initializer(seed)
        lives = liveness(genotype)
        blocks = {}
        for number, (gene, live) in enumerate(zip(genotype.blocks, lives, strict=True), start=1):
            if not (live.dense_pre or live.sparse_pre):
                continue
            inputs = gene.sparse_inputs if reads_sparse_inputs(gene, live) else ()
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
                row_sources=frozenset(i for i in inputs if i and lives[i - 1].use_rows),
                dim=features.embedding_dim,
                two=(widths[two[0]], widths[two[1]]) if two else (0, 0),
                is_exact=True,
            )
            blocks[number] = Block(
                capacity,
                dense_ops=gene.dense_ops if live.dense_pre else (),
                sparse_ops=gene.sparse_ops if live.sparse_pre else (),
                has_fm=live.use_fm,
                has_rows=live.use_rows,
                draw=draw.of(f"block{number}"),
            )
        last = genotype.blocks[-1]
        final = FinalLayer(
            last.dense_width,
            last.sparse_width,
            features.embedding_dim,
            draw.of("final"),
            has_merger=last.dense_to_sparse,
        )
        super().__init__(
            features,
            blocks,
            final,
            draw,
            max_table_rows=max_table_rows,
            is_quantized=is_quantized,
        )
        self.genotype = genotype

    def forward(self, dense: Tensor, sparse: Tensor, take: Take = plain) -> Tensor:
        """Logits.

        Args:
            dense: float32 `[batch, num_dense]`.
            sparse: Ids, integers `[batch, num_sparse]`.
            take: How weights are read.

        Returns:
            float32 `[batch]`.

        Raises:
            ValueError: A tensor has the wrong shape.
        """
        check_batch(self.features, dense, sparse)
        return self.logits(self.genotype, dense, self.embed(sparse), take)

    def save(self, path: Path | str) -> None:
        """Write the folder `path`: weights as safetensors, the rest as JSON."""
        values = {"kind": "subnet", "genotype": self.genotype.to_dict()}
        save_network(self, path, values | {"is_quantized": self.is_quantized})

    @classmethod
    def load(cls, path: Path | str) -> Subnet:
        """Inverse of `save`.

        Raises:
            StudyError: The folder holds no subnet, or one that cannot be read.
        """
        path = Path(path)
        description = read_description(path, "subnet")
        subnet = cls(
            Genotype.from_dict(description["genotype"], str(path / DESCRIPTION)),
            FeatureSpec.from_dict(description["features"]),
            max_table_rows=description["max_table_rows"],
            is_quantized=description["is_quantized"],
        )
        load_weights(subnet, path)
        return subnet


def save_network(network: Network, path: Path | str, values: dict[str, Any]) -> None:
    """Write weights and description as one folder, whole or not at all."""
    with atomic_directory(path) as folder:
        weights = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
        save_file(weights, folder / WEIGHTS)
        described = {
            "features": network.features.to_dict(),
            "max_table_rows": network.max_table_rows,
        }
        write_json(folder / DESCRIPTION, values | described)


def read_description(path: Path, kind: str) -> dict[str, Any]:
    """The JSON beside the weights.

    Raises:
        StudyError: It is missing, not JSON, or of another kind.
    """
    file = path / DESCRIPTION
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyError(f"{path}: expected a {kind}, found no {DESCRIPTION}") from None
    except (OSError, ValueError) as error:
        raise StudyError(f"{file}: expected the description of a {kind}, got {error}") from error
    if not isinstance(values, dict) or values.get("kind") != kind:
        found = values.get("kind") if isinstance(values, dict) else values
        raise StudyError(f"{file}: expected kind {kind!r}, got {found!r}")
    return values


def load_weights(network: Network, path: Path) -> None:
    """Read the weights of a folder into a network of the same shape.

    Raises:
        StudyError: The file is missing, damaged, or of another shape.
    """
    file = path / WEIGHTS
    try:
        network.load_state_dict(load_file(file))
    except (OSError, SafetensorError) as error:
        raise StudyError(f"{file}: expected a checkpoint in safetensors, got: {error}") from error
    except (RuntimeError, NasrecError) as error:
        reason = str(error).splitlines()[0]
        raise StudyError(f"{file}: expected the weights of this model, got: {reason}") from error
