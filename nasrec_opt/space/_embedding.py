"""Genotypes as points of a unit cube, so that a model of the objectives can compare them.

Two genotypes are the same point exactly if they build the same model. Genes that do not reach the
logit have a neutral value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nasrec_opt.space._block_gene import BlockGene
from nasrec_opt.space._choices import WIDE, BlockChoices
from nasrec_opt.space._genotype import Genotype
from nasrec_opt.space._liveness import BlockLiveness, liveness
from nasrec_opt.space._operators import reads
from nasrec_opt.space._presets import MERGERS
from nasrec_opt.space._search_space import SearchSpace


class GenotypeEmbedding:
    """Points of the unit cube for the genotypes of one space.

    Widths, bits and accelerator genes are one number each: their place between the smallest and the
    largest choice on a log scale. Each operator, input, merger and the first-order term is a zero
    or a one. A gene that the model does not use has the value 0.5, or all zeros. Genes with a
    single value have no dimension.

    Args:
        space: Space of all genotypes that will be embedded.

    Example:
        >>> space = SearchSpace(num_blocks=1, dense_ops=("fc",), sparse_ops=("efc",), mergers=False)
        >>> GenotypeEmbedding(space).names
        ('b1.dense_width', 'b1.sparse_width')
        >>> genotype = Genotype((BlockGene(dense_width=128, sparse_width=64),), space="custom")
        >>> GenotypeEmbedding(space).embed([genotype]).tolist()
        [[0.5, 1.0]]
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._blocks = [_block_axes(block) for block in space.choices.blocks]
        hardware = space.choices.hardware
        self._hardware: dict[str, _Axis] = {
            gene: _Scale(values) for gene, values in (hardware.items() if hardware else ())
        }
        self._has_wide = len(space.choices.wide) > 1
        of_genes = tuple(
            f"{place}.{gene}{name}"
            for place, axes in (
                *((f"b{number}", axes) for number, axes in enumerate(self._blocks, start=1)),
                ("hw", self._hardware),
            )
            for gene, axis in axes.items()
            for name in axis.names
        )
        self.names = (*of_genes, WIDE) if self._has_wide else of_genes

    @property
    def num_dimensions(self) -> int:
        """Number of dimensions of a point."""
        return len(self.names)

    def embed(self, genotypes: Iterable[Genotype]) -> NDArray[np.float64]:
        """Compute the points of genotypes; coordinates are from 0 to 1.

        Args:
            genotypes: Genotypes of the space, canonical or not.

        Returns:
            `[genotypes, num_dimensions]`.

        Raises:
            GenotypeError: A genotype is not in the space.
        """
        points = [self._point(genotype) for genotype in genotypes]
        return np.array(points, dtype=np.float64).reshape(len(points), self.num_dimensions)

    def _point(self, genotype: Genotype) -> list[float]:
        self._space.encode(genotype)  # refuses what is not in the space
        canonical = genotype.canonical()
        point: list[float] = []
        for axes, block, live in zip(
            self._blocks, canonical.blocks, liveness(canonical), strict=True
        ):
            genes = _live_genes(block, live)
            for gene, axis in axes.items():
                point += axis.place(genes.get(gene))
        if canonical.hardware is not None:
            for gene, axis in self._hardware.items():
                point += axis.place(getattr(canonical.hardware, gene))
        return [*point, float(canonical.wide)] if self._has_wide else point


class _Axis(Protocol):
    """The dimensions of one gene: their names, and the coordinates of a value."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def place(self, value: Any) -> list[float]: ...


@dataclass(frozen=True, slots=True)
class _Scale:
    """A number among ordered choices, or None for a gene that is not in use."""

    values: tuple[int, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return ("",) if len(set(self.values)) > 1 else ()

    def place(self, value: int | None) -> list[float]:
        if not self.names:
            return []
        if value is None:
            return [0.5]
        # A size of 0 is as far from the smallest other one as that is from its double.
        least = min(choice for choice in self.values if choice) / 2
        low, high = max(min(self.values), least), max(self.values)
        return [math.log(max(value, least) / low) / math.log(high / low)]


@dataclass(frozen=True, slots=True)
class _Bits:
    """Weight and activation bits; one number if they are equal in every choice."""

    weights: _Scale
    activations: _Scale | None

    @classmethod
    def of(cls, choices: Sequence[int | tuple[int, int]]) -> _Bits:
        pairs = [bits if isinstance(bits, tuple) else (bits, bits) for bits in choices]
        weights, activations = (_Scale(tuple(side)) for side in zip(*pairs, strict=True))
        return cls(weights, activations if any(a != b for a, b in pairs) else None)

    @property
    def names(self) -> tuple[str, ...]:
        if self.activations is None:
            return self.weights.names
        return (*(".w" for _ in self.weights.names), *(".a" for _ in self.activations.names))

    def place(self, value: int | tuple[int, int] | None) -> list[float]:
        weight, activation = value if isinstance(value, tuple) else (value, value)
        second = [] if self.activations is None else self.activations.place(activation)
        return self.weights.place(weight) + second


@dataclass(frozen=True, slots=True)
class _Members:
    """A subset: a one for each member; all zeros for a gene that is not in use."""

    members: tuple[Any, ...]
    may_be_empty: bool = False  # so that even a single member is a choice

    @property
    def names(self) -> tuple[str, ...]:
        has_choice = len(self.members) > 1 or self.may_be_empty
        return tuple(f".{member}" for member in self.members) if has_choice else ()

    def place(self, value: Sequence[Any] | None) -> list[float]:
        return [float(m in (value or ())) for m in self.members] if self.names else []


def _block_axes(choices: BlockChoices) -> dict[str, _Axis]:
    """The dimensions of one block, by gene."""
    inputs = _Members(choices.dense_sources)
    axes: dict[str, _Axis] = {
        "dense_ops": _members_of(choices.dense_ops),
        "dense_width": _Scale(choices.dense_widths),
        "dense_bits": _Bits.of(choices.bits),
        "sparse_ops": _members_of(choices.sparse_ops),
        "sparse_width": _Scale(choices.sparse_widths),
        "sparse_bits": _Bits.of(choices.bits),
        "sparse_inputs": _Members(choices.sparse_sources),
    }
    axes = {gene: axis for gene, axis in axes.items() if gene in choices.genes}
    ops = {op for subset in choices.dense_ops for op in subset}
    if reads("dense_inputs", ops):
        axes["dense_inputs"] = inputs
    if reads("gate_inputs", ops):
        axes["left_input"] = axes["right_input"] = inputs
    searched = tuple(m for m, on in zip(MERGERS, choices.mergers[-1], strict=True) if on)
    if searched:
        axes["mergers"] = _Members(searched, may_be_empty=True)
    return axes


def _members_of(subsets: tuple[tuple[str, ...], ...]) -> _Members:
    return _Members(tuple(dict.fromkeys(member for subset in subsets for member in subset)))


def _live_genes(block: BlockGene, live: BlockLiveness) -> dict[str, Any]:
    """The genes that reach the logit; the subsets of those that do not are left out."""
    genes: dict[str, Any] = {}
    if live.dense_pre:
        genes |= {gene: getattr(block, gene) for gene in ("dense_ops", "dense_width", "dense_bits")}
        genes["dense_inputs"] = block.dense_inputs
        for side in ("left_input", "right_input"):
            index = getattr(block, side)
            genes[side] = () if index is None else (index,)
    if live.sparse_pre:
        genes |= {g: getattr(block, g) for g in ("sparse_ops", "sparse_width", "sparse_bits")}
    if live.reads_sparse:
        genes["sparse_inputs"] = block.sparse_inputs
    used = {
        "dense_to_sparse": live.use_dense_to_sparse,
        "sparse_to_dense": live.use_sparse_to_dense,
    }
    genes["mergers"] = tuple(merger for merger in MERGERS if used[merger])
    return genes
