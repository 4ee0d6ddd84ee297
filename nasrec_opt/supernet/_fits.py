"""Checks that a network has weights for a genotype; slices would otherwise be silently short."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasrec_opt.errors import GenotypeError, described
from nasrec_opt.space import FLOAT_BITS, Genotype, SearchSpace

TO_SPARSE, TO_DENSE = "dense_to_sparse", "sparse_to_dense"


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest genotype that a supernet can run.

    Args:
        num_blocks: Number of choice blocks, exactly.
        dense_width: Widest dense output.
        sparse_width: Maximum number of vectors of a sparse output, without those of the merger.
        ops: Dense and sparse operators.
        mergers: Those that there are, by name of their gene.
        wide: Whether there are first-order weights.
    """

    num_blocks: int
    dense_width: int
    sparse_width: int
    ops: frozenset[str]
    mergers: frozenset[str]
    wide: bool

    @classmethod
    def of(cls, space: SearchSpace) -> Limits:
        """The limits of the supernet of a space."""
        return cls(
            num_blocks=space.num_blocks,
            dense_width=max(space.dense_widths),
            sparse_width=max(space.sparse_widths),
            ops=frozenset((*space.dense_ops, *space.sparse_ops)),
            mergers=frozenset(
                name
                for name, has in (
                    (TO_SPARSE, space.has_dense_to_sparse),
                    (TO_DENSE, space.has_sparse_to_dense),
                )
                if has
            ),
            wide=any(space.wide),
        )

    def check(self, genotype: Genotype) -> None:
        """Refuse a genotype without weights; this takes some microseconds.

        Raises:
            GenotypeError: There are no weights for a gene; the message names it.
        """
        check_is_genotype(genotype)
        if genotype.num_blocks != self.num_blocks:
            raise GenotypeError(
                f"blocks: expected {self.num_blocks}, as the supernet has, got "
                f"{genotype.num_blocks}"
            )
        if genotype.wide and not self.wide:
            raise GenotypeError("wide: expected false, as the supernet has no first-order weights")
        for number, gene in enumerate(genotype.blocks, start=1):
            for name, own, most in (
                ("dense_width", gene.dense_width, self.dense_width),
                ("sparse_width", gene.sparse_width, self.sparse_width),
            ):
                if own > most:
                    raise GenotypeError(
                        f"block {number}: {name}: expected at most the supernet's {most}, got {own}"
                    )
            for op in (*gene.dense_ops, *gene.sparse_ops):
                if op not in self.ops:
                    raise GenotypeError(
                        f"block {number}: expected the supernet's operators, got {op}"
                    )
            for name, has in ((TO_SPARSE, gene.dense_to_sparse), (TO_DENSE, gene.sparse_to_dense)):
                if has and name not in self.mergers:
                    raise GenotypeError(
                        f"block {number}: {name}: expected false, as the supernet has no such "
                        "merger"
                    )


def check_same_model(genotype: Genotype, own: Genotype) -> None:
    """Refuse any genotype except that of a subnet, at any bits.

    Raises:
        GenotypeError: The genotype builds another model.
    """
    check_is_genotype(genotype)
    if _without_bits(genotype) != _without_bits(own):
        raise GenotypeError(
            f"genotype: expected the subnet's own, {own.to_json()}, got {genotype.to_json()}"
        )


def check_is_genotype(given: Any) -> None:
    """Refuse text, a trial, or anything else in place of a genotype.

    Raises:
        GenotypeError: It is something else; the message describes it.
    """
    if not isinstance(given, Genotype):
        raise GenotypeError(f"genotype: expected a Genotype, got {described(given)}")


def _without_bits(genotype: Genotype) -> tuple[Any, ...]:
    """The part of a genotype that decides the shapes of all weights."""
    return genotype.with_bits(FLOAT_BITS).canonical().blocks, genotype.wide
