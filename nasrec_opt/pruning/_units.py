"""The units of a model that can be removed, and which have to go together.

A unit is one entry of a block's dense output, one vector of its sparse output, or one of the
vectors to which its dot product projects. Removing it removes a row of every weight that makes it
and a column of every weight that reads it, so that the model becomes one of smaller widths.

Some units cannot be removed alone. Sum and Gate pair up the units of two outputs, which then go
together. Where an operator has no projection because its widths happen to agree (`shortcuts`), the
units have a meaning of their own, such as a component of an embedding, and stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from nasrec_opt.features import FeatureSpec
from nasrec_opt.space import (
    MERGER_VECTORS,
    BlockGene,
    BlockLiveness,
    Genotype,
    balanced_vectors,
    liveness,
)
from nasrec_opt.supernet import DENSE, SPARSE, VECTORS, WITH_AXES, Signal

Unit = tuple[Signal, int]
Kept = dict[Signal, tuple[int, ...]]  # for each output the units that stay, ascending

PRUNED_SPACE = "pruned"  # its widths are not those of a preset
LOCKED: Unit = (("locked", 0), 0)


def all_units(genotype: Genotype, features: FeatureSpec, *, balance: bool) -> Kept:
    """List all units of a model.

    Args:
        genotype: The model.
        features: Shape of the input.
        balance: Whether its dot products project their vectors.

    Returns:
        For each output its units, in order.
    """
    kept: Kept = {
        (DENSE, 0): tuple(range(max(features.num_dense, 1))),
        (SPARSE, 0): tuple(range(features.num_sparse)),
    }
    widths = Widths(genotype, features, balance=balance)
    for number, (gene, live) in enumerate(_blocks(genotype), start=1):
        kept[DENSE, number] = tuple(range(gene.dense_width))
        kept[SPARSE, number] = tuple(range(gene.sparse_width))
        if widths.projects_vectors(gene, live):
            kept[VECTORS, number] = tuple(range(balanced_vectors(gene.dense_width)))
    return kept


def pruned_genotype(genotype: Genotype, kept: Kept) -> Genotype:
    """Give a genotype the widths of the units that stay.

    Args:
        genotype: The model before.
        kept: Its units that stay.

    Returns:
        The genotype, of the space `pruned`: its widths are not those of a preset.
    """
    blocks = tuple(
        replace(
            gene,
            dense_width=len(kept[DENSE, number]),
            sparse_width=len(kept[SPARSE, number]),
        )
        for number, gene in enumerate(genotype.blocks, start=1)
    )
    return replace(genotype, blocks=blocks, space=PRUNED_SPACE)


class Widths:
    """Widths of what the blocks of a genotype read.

    Args:
        genotype: The model.
        features: Shape of the input.
        balance: Whether its dot products project their vectors.
    """

    def __init__(self, genotype: Genotype, features: FeatureSpec, *, balance: bool) -> None:
        lives = liveness(genotype)
        self._dim = features.embedding_dim
        self._balance = balance
        self.dense = [max(features.num_dense, 1)]
        self.sparse = [features.num_sparse]
        for gene, live in zip(genotype.blocks, lives, strict=True):
            self.dense.append(gene.dense_width)
            merged = MERGER_VECTORS * live.use_dense_to_sparse
            self.sparse.append(gene.sparse_width + merged)

    def vectors(self, gene: BlockGene) -> int:
        """Vectors of all sparse inputs of a block together."""
        return sum(self.sparse[source] for source in gene.sparse_inputs)

    def projects_vectors(self, gene: BlockGene, live: BlockLiveness) -> bool:
        """Whether a block has a dot product that projects its vectors."""
        if not (live.dense_pre and "dot" in gene.dense_ops and self._balance):
            return False
        return bool(self.vectors(gene) != balanced_vectors(gene.dense_width))

    def shortcuts(self, gene: BlockGene, live: BlockLiveness) -> dict[str, bool]:
        """Which operators of a block do without a projection, as their widths agree.

        Only a model with the same shortcuts can compute the same.
        """
        found: dict[str, bool] = {}
        n = gene.dense_width
        if live.dense_pre:
            if gene.left_input is not None and gene.right_input is not None:
                wider = max(self.dense[gene.left_input], self.dense[gene.right_input])
                found |= {op: wider == n for op in ("gate", "sum") if op in gene.dense_ops}
            if "dot" in gene.dense_ops:
                total = sum(self.dense[source] for source in gene.dense_inputs)
                rows = self.vectors(gene)
                count = balanced_vectors(n) if self._balance else rows
                found["vector"] = total == self._dim
                found["vectors"] = self._balance and rows == count
                found["pairs"] = count * (count + 1) // 2 == n
        if live.use_sparse_to_dense:
            found["fm"] = n == self._dim
        if live.use_dense_to_sparse:
            found["rows"] = n == MERGER_VECTORS * self._dim
        return found


def shortcuts_of(
    genotype: Genotype, features: FeatureSpec, *, balance: bool
) -> list[dict[str, bool]]:
    """Say which operators of each block do without a projection.

    Args:
        genotype: The model.
        features: Shape of the input.
        balance: Whether its dot products project their vectors.

    Returns:
        For each block, by operator or part of one, whether its widths agree.
    """
    widths = Widths(genotype, features, balance=balance)
    return [widths.shortcuts(gene, live) for gene, live in _blocks(genotype)]


def read_by(number: int, gene: BlockGene) -> dict[str, set[Signal]]:
    """Say which widths decide whether an operator of a block does without a projection.

    Args:
        number: Of the block.
        gene: The block.

    Returns:
        For each name that `shortcuts_of` knows, the outputs whose widths are compared.
    """
    own: set[Signal] = {(DENSE, number)}
    sides = {side for side in (gene.left_input, gene.right_input) if side is not None}
    pairs: set[Signal] = own | {(SPARSE, source) for source in gene.sparse_inputs}
    two: set[Signal] = own | {(DENSE, source) for source in sides}
    return {
        "gate": two, "sum": two, "vector": {(DENSE, source) for source in gene.dense_inputs},
        "vectors": pairs, "pairs": pairs, "fm": own, "rows": own,
    }  # fmt: skip


def groups_of(
    genotype: Genotype, features: FeatureSpec, kept: Kept, *, balance: bool
) -> list[tuple[Unit, ...]]:
    """List the groups of units that can only be removed together.

    Args:
        genotype: The model before anything was removed.
        features: Shape of the input.
        kept: Its units that are left.
        balance: Whether its dot products project their vectors.

    Returns:
        The groups without a unit that has to stay, in a fixed order; units of raw features and of
        projected vectors, whose number follows the dense width, are in none.
    """
    ties = _Ties()
    widths = Widths(genotype, features, balance=balance)
    units: list[Unit] = []
    for number, (gene, live) in enumerate(_blocks(genotype), start=1):
        runs = {DENSE: live.dense_pre, SPARSE: live.sparse_pre}
        units += [
            ((kind, number), unit)
            for kind, does_run in runs.items()
            for unit in kept[kind, number]
            if does_run
        ]
        if live.dense_pre or live.sparse_pre:
            _tie_block(ties, number, gene, live, widths)
    members: dict[Unit, list[Unit]] = {}
    for unit in units:
        members.setdefault(ties.root(unit), []).append(unit)
    locked = ties.root(LOCKED)
    return [tuple(group) for root, group in members.items() if root != locked]


def _tie_block(
    ties: _Ties, number: int, gene: BlockGene, live: BlockLiveness, widths: Widths
) -> None:
    """Tie the units that a block ties, and lock those that it gives a meaning of their own."""
    n, own = gene.dense_width, (DENSE, number)
    found = widths.shortcuts(gene, live)
    if not WITH_AXES.issuperset((*gene.dense_ops, *gene.sparse_ops)):
        # Nobody knows what the axes of its weights count.
        ties.lock([own], n)
        ties.lock([(SPARSE, number)], gene.sparse_width)
        for source in gene.all_inputs:
            ties.lock([(DENSE, source)], widths.dense[source])
            ties.lock([(SPARSE, source)], widths.sparse[source])
    if live.dense_pre and gene.left_input is not None and gene.right_input is not None:
        left, right = (DENSE, gene.left_input), (DENSE, gene.right_input)
        sizes = {left: widths.dense[gene.left_input], right: widths.dense[gene.right_input]}
        ties.lock([signal for signal in sizes if signal[1] == 0], widths.dense[0])
        if "sum" in gene.dense_ops:
            ties.tie(left, right, min(sizes.values()))
        if found.get("sum") or found.get("gate"):
            for signal in sizes:
                ties.tie(signal, own, sizes[signal])
    if any(found.get(name) for name in ("fm", "rows", "pairs", "vectors")):
        ties.lock([own], n)
    if found.get("vector"):
        for source in gene.dense_inputs:
            ties.lock([(DENSE, source)], widths.dense[source])
    if found.get("vectors") or found.get("pairs"):
        for source in gene.sparse_inputs:
            ties.lock([(SPARSE, source)], widths.sparse[source])


class _Ties:
    """Groups of units, as a disjoint-set forest."""

    def __init__(self) -> None:
        self._parents: dict[Unit, Unit] = {}

    def root(self, unit: Unit) -> Unit:
        while (parent := self._parents.get(unit, unit)) != unit:
            self._parents[unit] = self._parents.get(parent, parent)
            unit = parent
        return unit

    def join(self, one: Unit, other: Unit) -> None:
        self._parents[self.root(one)] = self.root(other)

    def tie(self, one: Signal, other: Signal, count: int) -> None:
        """Tie the first units of two outputs, each to that of the same number."""
        for unit in range(count):
            self.join((one, unit), (other, unit))

    def lock(self, signals: Iterable[Signal], count: int) -> None:
        """Keep the first units of some outputs."""
        for signal in signals:
            for unit in range(count):
                self.join((signal, unit), LOCKED)


def _blocks(genotype: Genotype) -> Iterable[tuple[BlockGene, BlockLiveness]]:
    return zip(genotype.blocks, liveness(genotype), strict=True)


def positions(kept: Sequence[int], among: Sequence[int]) -> tuple[int, ...]:
    """Where the units that stay are among those that are there."""
    place = {unit: index for index, unit in enumerate(among)}
    return tuple(place[unit] for unit in kept)


def to_json(kept: Mapping[Signal, Sequence[int]]) -> dict[str, list[int]]:
    """The units that stay, as JSON values: `"dense/1": [0, 2, …]`."""
    return {f"{kind}/{number}": list(units) for (kind, number), units in kept.items()}


def from_json(values: Mapping[str, Sequence[int]]) -> Kept:
    """Inverse of `to_json`."""
    kept: Kept = {}
    for name, units in values.items():
        kind, _, number = name.partition("/")
        kept[kind, int(number)] = tuple(int(unit) for unit in units)
    return kept
