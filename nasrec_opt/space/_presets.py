"""What the presets fix besides their operators, and the checks of genotypes that name one.

NASRec's spaces are those of section 3.3 of the paper. AutoCTR, DNAS and PROFIT are the methods of
Table 1, with the operators and the connections that it lists, in blocks of this library.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from nasrec_opt.errors import GenotypeError
from nasrec_opt.space._operators import PRESETS, preset_ops

if TYPE_CHECKING:
    from nasrec_opt.space._block_gene import BlockGene

DENSE_WIDTHS = (16, 32, 64, 128, 256, 512, 768, 1024)
SPARSE_WIDTHS = (16, 32, 48, 64)
NUM_BLOCKS = 7
MERGERS = ("dense_to_sparse", "sparse_to_dense")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """The limits of a preset's blocks.

    Args:
        mergers: Mergers that a block may have.
        searched_widths: Dense widths that are searched; a genotype may have any of `DENSE_WIDTHS`.
        is_chain: Whether each block reads only the block before it; see `SearchSpace.chain`.
    """

    mergers: tuple[str, ...] = MERGERS
    searched_widths: tuple[int, ...] = DENSE_WIDTHS
    is_chain: bool = False


FM = ("sparse_to_dense",)
LIMITS: dict[str, Preset] = dict.fromkeys(PRESETS, Preset()) | {
    "codesign": Preset(searched_widths=tuple(width for width in DENSE_WIDTHS if width >= 64)),
    "autoctr": Preset(mergers=FM),
    "dnas": Preset(mergers=()),
    "profit": Preset(mergers=FM, is_chain=True),
}
_OPS = {preset: (preset_ops(preset, "dense"), preset_ops(preset, "sparse")) for preset in PRESETS}


@cache
def check_name(name: str) -> None:
    """Refuse a misspelt preset, whose genotypes would not be checked against the preset.

    Names of one's own may begin with that of a preset, such as `nasrec_full_wide` or `codesign7`.

    Raises:
        GenotypeError: The name resembles a preset's.
    """
    if name in PRESETS or any(
        name.startswith(preset) and not name[len(preset)].isalpha() for preset in PRESETS
    ):
        return
    near = difflib.get_close_matches(name.lower(), PRESETS, n=1, cutoff=0.85)
    if near:
        raise GenotypeError(
            f"space: expected a preset, or a name that does not resemble one, got {name!r}; did "
            f"you mean {near[0]}?"
        )


def check_block(block: BlockGene, number: int, space: str) -> None:
    """Refuse what is outside the preset that a genotype names; other names have no limits.

    Args:
        block: One of its blocks.
        number: Of the block, from 1.
        space: Name of the genotype's space.

    Raises:
        GenotypeError: An operator, a width, a merger or an input is not the preset's.
    """
    if space not in PRESETS:
        return
    dense_ops, sparse_ops = _OPS[space]
    known = ", ".join((*dense_ops, *sparse_ops))
    for op in (*block.dense_ops, *block.sparse_ops):
        if op not in dense_ops and op not in sparse_ops:
            raise GenotypeError(
                f"block {number}: expected an operator of {space} ({known}), got {op!r}"
            )
    if sparse_ops and not block.sparse_ops:
        raise GenotypeError(
            f"block {number}: expected a sparse operator of {space} ({', '.join(sparse_ops)}), "
            "got none"
        )
    for name, width, widths in (
        ("dense_width", block.dense_width, DENSE_WIDTHS),
        ("sparse_width", block.sparse_width, SPARSE_WIDTHS if sparse_ops else (0,)),
    ):
        if width not in widths:
            known = ", ".join(map(str, widths))
            raise GenotypeError(f"block {number}: {name}: expected one of {known}, got {width}")
    limits = LIMITS[space]
    for name in MERGERS:
        if getattr(block, name) and name not in limits.mergers:
            raise GenotypeError(f"block {number}: {name}: expected false in {space}, got true")
    if limits.is_chain and block.dense_inputs != (number - 1,):
        raise GenotypeError(
            f"block {number}: dense_inputs: expected {number - 1} alone in {space}, whose blocks "
            f"form a chain, got {', '.join(map(str, block.dense_inputs))}"
        )
