"""The values of each gene of a space, and the one walk that turns picked values into a genotype.

Sampling, Optuna's suggestions, decoding, encoding and membership differ only in how a value is
picked. They all walk the genes in the same order and skip the same inactive ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from itertools import combinations
from typing import Any

from nasrec_opt._plain import plain
from nasrec_opt.errors import GenotypeError
from nasrec_opt.space._block_gene import Bits, BlockGene
from nasrec_opt.space._genotype import Genotype
from nasrec_opt.space._hardware_gene import HardwareGene
from nasrec_opt.space._operators import reads
from nasrec_opt.space._presets import MERGERS

# A function that gets the place ("b3", "hw", "" for the whole model), the gene and its values, and
# returns one of the values.
Pick = Callable[[str, str, tuple[Any, ...]], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareChoices:
    """The values that each accelerator gene may take; one value means that it is not searched.

    Args:
        crossbar_rows: Wordlines of a crossbar.
        crossbar_cols: Bitlines of a crossbar.
        cell_bits: Bits of a cell.
        dac_bits: Bits of a wordline driver.
        adc_bits: Bits of a converter.
        replication: Copies of every crossbar.
        buffer_kib: Size of a tile's buffer, KiB.
        hot_rows_kib: Size of on-chip memory for the most frequent embedding rows, KiB; 0 for none.

    Raises:
        GenotypeError: A list is empty, repeats a value, or holds one that `HardwareGene` refuses.
    """

    crossbar_rows: tuple[int, ...] = (64, 128, 256)
    crossbar_cols: tuple[int, ...] = (64, 128, 256)
    cell_bits: tuple[int, ...] = (1, 2, 4)
    dac_bits: tuple[int, ...] = (1, 2)
    adc_bits: tuple[int, ...] = (6, 7, 8, 9, 10)
    replication: tuple[int, ...] = (1, 2, 4)
    buffer_kib: tuple[int, ...] = (16, 32, 64)
    hot_rows_kib: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        for field in fields(self):
            values = unique_values(field.name, getattr(self, field.name))
            for value in values:
                HardwareGene(**{field.name: value})
            object.__setattr__(self, field.name, values)

    def items(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """List every gene with its values.

        Returns:
            Names and values, in the order of `HardwareGene`; without `hot_rows_kib` if no memory
            has rows, since the random streams of such spaces are older than the gene.
        """
        found = ((field.name, getattr(self, field.name)) for field in fields(self))
        return tuple(pair for pair in found if pair != ("hot_rows_kib", (0,)))


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockChoices:
    """The values that each gene of one choice block may take.

    Args:
        number: The block's number, from 1; it reads inputs 0 to `number - 1`.
        sparse_ops: Subsets of the sparse operators, or the empty one alone.
        dense_sources: Inputs that the dense operators can read.
        sparse_sources: Inputs whose sparse output can be read.
        dense_inputs: Subsets of `dense_sources`.
        sparse_inputs: Subsets of `sparse_sources`.
        gate_inputs: Pairs `(left_input, right_input)`.
        mergers: Pairs `(dense_to_sparse, sparse_to_dense)`.
        bits: For `dense_bits` and for `sparse_bits`.
    """

    number: int
    dense_ops: tuple[tuple[str, ...], ...]
    sparse_ops: tuple[tuple[str, ...], ...]
    dense_widths: tuple[int, ...]
    sparse_widths: tuple[int, ...]
    dense_sources: tuple[int, ...]
    sparse_sources: tuple[int, ...]
    dense_inputs: tuple[tuple[int, ...], ...]
    sparse_inputs: tuple[tuple[int, ...], ...]
    gate_inputs: tuple[tuple[int, int], ...]
    mergers: tuple[tuple[bool, bool], ...]
    bits: tuple[Bits, ...]

    @property
    def genes(self) -> tuple[str, ...]:
        """The genes that a block may have, in the order of `BLOCK_GENES`."""
        has_sparse = any(self.sparse_ops)
        return BLOCK_GENES if has_sparse else tuple(g for g in BLOCK_GENES if g not in OF_SPARSE)

    def of(self, gene: str) -> tuple[Any, ...]:
        """Values of the gene with that parameter name, for example `dense_width`."""
        values: tuple[Any, ...] = getattr(self, _CHOICES_OF.get(gene, gene))
        return values


_CHOICES_OF = {
    "dense_width": "dense_widths",
    "sparse_width": "sparse_widths",
    "dense_bits": "bits",
    "sparse_bits": "bits",
}
BLOCK_GENES = (
    "dense_ops",
    "dense_width",
    "dense_inputs",
    "gate_inputs",
    "sparse_ops",
    "sparse_width",
    "sparse_inputs",
    "mergers",
    "dense_bits",
    "sparse_bits",
)
OF_SPARSE = ("sparse_width", "sparse_bits")  # that a block without a sparse operator has not
CONDITIONAL = ("dense_inputs", "gate_inputs")  # that come and go with the dense operators
WIDE = "wide"


@dataclass(frozen=True, slots=True)
class Choices:
    """All choices of a space: block by block, its first-order term and its accelerator."""

    space: str
    blocks: tuple[BlockChoices, ...]
    hardware: HardwareChoices | None
    wide: tuple[bool, ...] = (False,)


def build(choices: Choices, pick: Pick) -> Genotype:
    """Build a genotype whose active genes `pick` chooses, one after the other."""
    blocks = tuple(build_block(block, pick) for block in choices.blocks)
    wide = pick("", WIDE, choices.wide) if len(choices.wide) > 1 else choices.wide[0]
    hardware = None
    if choices.hardware is not None:
        picked = {gene: pick("hw", gene, values) for gene, values in choices.hardware.items()}
        hardware = HardwareGene(**picked)
    return Genotype(blocks, hardware, choices.space, wide)


def every(choices: Choices) -> Iterator[Genotype]:
    """Each genotype once, depth first: the genes of the last block change most often."""
    chosen: list[int] = []  # position of each gene's value
    while True:
        counts: list[int] = []

        def pick(place: str, gene: str, values: tuple[Any, ...]) -> Any:
            counts.append(len(values))  # noqa: B023 -- called before the next round
            if len(counts) > len(chosen):  # noqa: B023
                chosen.append(0)
            return values[chosen[len(counts) - 1]]  # noqa: B023

        yield build(choices, pick)
        while chosen and chosen[-1] + 1 == counts[len(chosen) - 1]:
            chosen.pop()
        if not chosen:
            return
        chosen[-1] += 1


def build_block(choices: BlockChoices, pick: Pick) -> BlockGene:
    """One block whose active genes `pick` chooses."""
    place = f"b{choices.number}"
    genes: dict[str, Any] = {}
    for gene in choices.genes:
        if is_active(gene, genes.get("dense_ops", ())):
            genes[gene] = pick(place, gene, choices.of(gene))
    return block_of(genes)


def is_active(gene: str, dense_ops: tuple[str, ...]) -> bool:
    """Check whether a block with these dense operators has a gene.

    Args:
        gene: Name of the gene.
        dense_ops: The dense operators of the block.

    Returns:
        True where the gene changes the block.
    """
    return gene not in CONDITIONAL or reads(gene, dense_ops)


def block_of(genes: dict[str, Any]) -> BlockGene:
    """A block from the values of its active genes."""
    values = dict(genes)
    values["left_input"], values["right_input"] = values.pop("gate_inputs", (None, None))
    values["dense_to_sparse"], values["sparse_to_dense"] = values.pop("mergers")
    return BlockGene(**values)


def genes_of(block: BlockGene) -> dict[str, Any]:
    """Inverse of `block_of`: the values of the block's active genes."""
    compound = {
        "gate_inputs": (block.left_input, block.right_input),
        "mergers": (block.dense_to_sparse, block.sparse_to_dense),
    }
    return {
        gene: compound[gene] if gene in compound else getattr(block, gene)
        for gene in BLOCK_GENES
        if is_active(gene, block.dense_ops) and (block.sparse_ops or gene not in OF_SPARSE)
    }


def visit(choices: Choices, genotype: Genotype) -> list[tuple[str, str, int, Any]]:
    """Place, gene, number of its values and the value it has, for each active gene of a genotype.

    Raises:
        GenotypeError: The genotype is not in the space; the message names the gene.
    """
    if genotype.space != choices.space:
        raise GenotypeError(f"space: expected {choices.space!r}, got {genotype.space!r}")
    if genotype.num_blocks != len(choices.blocks):
        raise GenotypeError(f"blocks: expected {len(choices.blocks)}, got {genotype.num_blocks}")
    if (genotype.hardware is None) != (choices.hardware is None):
        wanted = "no accelerator genes" if choices.hardware is None else "accelerator genes"
        raise GenotypeError(f"hardware: expected {wanted}, got {genotype.hardware!r}")
    has = [
        (f"b{block.number}", gene, block.of(gene), value)
        for block, genes in zip(choices.blocks, genotype.blocks, strict=True)
        for gene, value in genes_of(genes).items()
    ]
    has.append(("", WIDE, choices.wide, genotype.wide))
    if genotype.hardware is not None and choices.hardware is not None:
        has += [
            ("hw", field.name, getattr(choices.hardware, field.name), value)
            for field in fields(choices.hardware)
            for value in [getattr(genotype.hardware, field.name)]
        ]
    for place, gene, values, value in has:
        if value not in values:
            shown = ", ".join(map(str, values[:12])) + (", ..." if len(values) > 12 else "")
            name = parameter_name(place, gene)
            raise GenotypeError(f"{name}: expected one of {shown}, got {value}")
    return [(place, gene, len(values), value) for place, gene, values, value in has]


def parameter_name(place: str, gene: str) -> str:
    """Name of a gene in storages and messages, for example `b3.dense_width`; `wide` has no place.

    Args:
        place: `b1`, `b2` and so on, `hw`, or empty for a gene of the whole model.
        gene: Its name there.
    """
    return f"{place}.{gene}" if place else gene


def merger_pairs(mergers: bool | tuple[str, ...]) -> tuple[tuple[bool, bool], ...]:
    """Pairs `(dense_to_sparse, sparse_to_dense)` of a block, if some mergers are searched.

    Args:
        mergers: See `SearchSpace`.
    """
    searched = mergers if isinstance(mergers, tuple) else MERGERS if mergers else ()
    first, second = ((False, True) if name in searched else (False,) for name in MERGERS)
    return tuple((a, b) for a in first for b in second)


def checked_mergers(given: Any) -> bool | tuple[str, ...]:
    """The mergers that are searched: true for both, false for none, or the name of one.

    Raises:
        GenotypeError: It is neither a truth value nor a list of mergers.
    """
    if isinstance(given, bool):
        return given
    named = given in ((), []) or (isinstance(given, (tuple, list)) and set(given) <= set(MERGERS))
    if not named:
        known = ", ".join(MERGERS)
        raise GenotypeError(f"mergers: expected true, false or some of {known}, got {given!r}")
    found = tuple(name for name in MERGERS if name in given)
    return found if len(found) == 1 else bool(found)


def subsets(values: tuple[Any, ...], largest: int | None = None) -> tuple[tuple[Any, ...], ...]:
    """Non-empty subsets with at most `largest` members, small ones first."""
    sizes = range(1, min(len(values), largest or len(values)) + 1)
    return tuple(subset for size in sizes for subset in combinations(values, size))


def unique_values(name: str, given: Any) -> tuple[Any, ...]:
    """The non-empty list `given` as a tuple.

    Raises:
        GenotypeError: It is not a list, is empty, or repeats a value.
    """
    if isinstance(given, str) or not isinstance(given, (tuple, list)) or not given:
        raise GenotypeError(f"{name}: expected a non-empty list of values, got {given!r}")
    given = plain(given)
    if len({str(value) for value in given}) < len(given):
        raise GenotypeError(f"{name}: expected every value once, got {list(given)!r}")
    return tuple(given)


def check_positive(name: str, value: Any) -> None:
    """Refuse a value that is not a positive integer.

    Raises:
        GenotypeError: The value is not an integer from 1.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise GenotypeError(f"{name}: expected a positive integer, got {value!r}")
