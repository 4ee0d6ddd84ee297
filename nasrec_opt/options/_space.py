"""Options of the search space: `[space]` of a study file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasrec_opt.errors import GenotypeError
from nasrec_opt.space import PresetName, SearchSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceConfig:
    """A preset with its options, or a file of the user's own: `[space]` of a study file.

    Args:
        preset: `nasrec_small`, `nasrec_full` or `codesign`; or the operators and connections of
            another method (docs/reference/genotype.md#the-spaces-of-other-methods): `autoctr`,
            `dnas` or `profit`.
        num_blocks: Number of choice blocks.
        codesign: Whether bits and the accelerator are also searched.
        multi_operator: Whether a branch may hold several operators.
        max_inputs: Maximum number of inputs of a branch, or None for any number.
        bits: Bits of an operator to choose from: each 4 to 8, `[weights, activations]` of these, or
            32 for floating point, which crossbars refuse. None means the preset's: 8, or 4 and 8
            with co-design.
        wide: Whether models have a first-order term, a weight for each value: `[false]` for none,
            as in the paper, `[false, true]` to search it, `[true]` for all
            (docs/reference/genotype.md#the-first-order-term).
        hot_rows_kib: Sizes of on-chip memory for the most frequent embedding rows to choose from
            with co-design, KiB; 0 is none (docs/reference/genotype.md#embedding-rows-on-chip). None
            means no such memory.
        file: TOML of a space of your own, instead of all of these.
    """

    preset: PresetName = "nasrec_small"
    num_blocks: int = SearchSpace.num_blocks
    codesign: bool = False
    multi_operator: bool = SearchSpace.multi_operator
    max_inputs: int | None = SearchSpace.max_inputs
    bits: tuple[int | tuple[int, int], ...] | None = None
    wide: tuple[bool, ...] = SearchSpace.wide
    hot_rows_kib: tuple[int, ...] | None = None
    file: Path | None = None

    def build(self) -> SearchSpace:
        """Create the search space.

        Returns:
            The space that the options describe.

        Raises:
            GenotypeError: An option is out of range, or the file is no search space.
        """
        if self.file is not None:
            return SearchSpace.from_toml(self.file)
        options: dict[str, Any] = {
            "num_blocks": self.num_blocks,
            "multi_operator": self.multi_operator,
            "max_inputs": self.max_inputs,
            "wide": self.wide,
        }
        if self.preset != "codesign":
            options["codesign"] = self.codesign
        space: SearchSpace = getattr(SearchSpace, self.preset)(**options)
        if self.bits is not None:
            space = dataclasses.replace(space, bits=self.bits)
        if self.hot_rows_kib is not None:
            if space.hardware is None:
                raise GenotypeError(
                    "hot_rows_kib: expected an accelerator that is searched, codesign = true, got "
                    "one that is not; [hot_rows] of a technology file has a fixed size"
                )
            hardware = dataclasses.replace(space.hardware, hot_rows_kib=self.hot_rows_kib)
            space = dataclasses.replace(space, hardware=hardware)
        return space
