"""The search spaces of the paper and of other methods by name, as constructors of `SearchSpace`.

`_presets.py` has what each of them fixes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, TypeVar

from nasrec_opt.space._choices import HardwareChoices
from nasrec_opt.space._operators import preset_ops
from nasrec_opt.space._presets import LIMITS, NUM_BLOCKS

Space = TypeVar("Space")


class PresetSpaces:
    """Constructors of the presets."""

    @classmethod
    def nasrec_small(
        cls,
        num_blocks: int = NUM_BLOCKS,
        *,
        codesign: bool = False,
        max_inputs: int | None = None,
        multi_operator: bool = False,
        wide: tuple[bool, ...] = (False,),
    ) -> Self:
        """Create NASRec-Small: FC, dot product and EFC.

        Args:
            num_blocks: Number of choice blocks.
            codesign: Whether to create the space of `codesign` instead.
            max_inputs: Maximum number of inputs of a branch, or None for any number.
            multi_operator: Whether a branch takes any non-empty subset of operators.
            wide: See the class.

        Returns:
            The space.

        References:
            Zhang et al. 2024, section 3.3.
        """
        if codesign:
            return cls.codesign(
                num_blocks, max_inputs=max_inputs, multi_operator=multi_operator, wide=wide
            )
        return _make(
            cls, _fields("nasrec_small", num_blocks, False, max_inputs, multi_operator, wide)
        )

    @classmethod
    def nasrec_full(
        cls,
        num_blocks: int = NUM_BLOCKS,
        *,
        codesign: bool = False,
        max_inputs: int | None = None,
        multi_operator: bool = False,
        wide: tuple[bool, ...] = (False,),
    ) -> Self:
        """Create NASRec-Full: all operators of the paper.

        Args:
            num_blocks: Number of choice blocks.
            codesign: Whether bits and accelerator genes are searched too.
            max_inputs: Maximum number of inputs of a branch, or None for any number.
            multi_operator: Whether a branch takes any non-empty subset of operators.
            wide: See the class.

        Returns:
            The space.

        References:
            Zhang et al. 2024, section 3.3.
        """
        return _make(
            cls, _fields("nasrec_full", num_blocks, codesign, max_inputs, multi_operator, wide)
        )

    @classmethod
    def codesign(
        cls,
        num_blocks: int = NUM_BLOCKS,
        *,
        max_inputs: int | None = None,
        multi_operator: bool = False,
        wide: tuple[bool, ...] = (False,),
        hardware: HardwareChoices | None = None,
    ) -> Self:
        """Create the paper's space for co-design with an accelerator.

        It is NASRec-Small with dense widths from 64, 4 or 8 bits per operator, and the accelerator
        genes.

        Args:
            num_blocks: Number of choice blocks.
            max_inputs: Maximum number of inputs of a branch, or None for any number.
            multi_operator: Whether a branch takes any non-empty subset of operators.
            wide: See the class.
            hardware: Values of the accelerator genes, or None for the defaults of
                `HardwareChoices`.

        Returns:
            The space.
        """
        fields = _fields("codesign", num_blocks, True, max_inputs, multi_operator, wide)
        return _make(cls, fields | ({} if hardware is None else {"hardware": hardware}))

    @classmethod
    def autoctr(
        cls,
        num_blocks: int = NUM_BLOCKS,
        *,
        codesign: bool = False,
        max_inputs: int | None = None,
        multi_operator: bool = False,
        wide: tuple[bool, ...] = (False,),
    ) -> Self:
        """Create the space of AutoCTR: FC, dot product, FM and EFC, densely connected.

        It is NASRec-Small without the dense-to-sparse merger; FM is the sparse-to-dense merger.
        AutoCTR itself has one operator in a block; here a block has a dense and a sparse branch.

        Args:
            num_blocks: Number of choice blocks.
            codesign: Whether bits and accelerator genes are searched too; the original has none.
            max_inputs: Maximum number of inputs of a branch, or None for any number.
            multi_operator: Whether a branch takes any non-empty subset of operators.
            wide: See the class.

        Returns:
            The space.

        References:
            Zhang et al. 2024, Table 1; Song et al. 2020, Towards Automated Neural Interaction
            Discovery for Click-Through Rate Prediction.
        """
        return _make(
            cls, _fields("autoctr", num_blocks, codesign, max_inputs, multi_operator, wide)
        )

    @classmethod
    def dnas(
        cls,
        num_blocks: int = NUM_BLOCKS,
        *,
        codesign: bool = False,
        max_inputs: int | None = None,
        multi_operator: bool = False,
        wide: tuple[bool, ...] = (False,),
    ) -> Self:
        """Create the space of DNAS: FC and dot product, densely connected.

        Blocks have no sparse operator and no merger: a dot product reads the raw embeddings.

        Args:
            num_blocks: Number of choice blocks.
            codesign: Whether bits and accelerator genes are searched too; the original has none.
            max_inputs: Maximum number of dense inputs of a block, or None for any number.
            multi_operator: Whether a block takes any non-empty subset of operators.
            wide: See the class.

        Returns:
            The space.

        References:
            Zhang et al. 2024, Table 1; Krishna et al. 2021, Differentiable NAS Framework and
            Application to Ads CTR Prediction.
        """
        return _make(cls, _fields("dnas", num_blocks, codesign, max_inputs, multi_operator, wide))

    @classmethod
    def profit(
        cls,
        num_blocks: int = NUM_BLOCKS,
        *,
        codesign: bool = False,
        max_inputs: int | None = None,
        multi_operator: bool = False,
        wide: tuple[bool, ...] = (False,),
    ) -> Self:
        """Create the space of PROFIT: FC and FM, not densely connected.

        Blocks form a chain and have no sparse operator: FM, the sparse-to-dense merger, reads the
        raw embeddings. So widths and the places of FM are searched.

        Args:
            num_blocks: Number of choice blocks.
            codesign: Whether bits and accelerator genes are searched too; the original has none.
            max_inputs: Has no effect: each block of a chain has one input.
            multi_operator: Has no effect: there is one dense operator.
            wide: See the class.

        Returns:
            The space.

        References:
            Zhang et al. 2024, Table 1; Gao et al. 2021, Progressive Feature Interaction Search for
            Deep Sparse Network.
        """
        return _make(cls, _fields("profit", num_blocks, codesign, max_inputs, multi_operator, wide))


def _fields(
    name: str,
    num_blocks: int,
    codesign: bool,
    max_inputs: int | None,
    multi_operator: bool,
    wide: tuple[bool, ...],
) -> dict[str, Any]:
    """Fields of a space, from the tables of operators and of presets."""
    limits = LIMITS[name]
    fields: dict[str, Any] = {
        "name": name,
        "num_blocks": num_blocks,
        "dense_ops": preset_ops(name, "dense"),
        "sparse_ops": preset_ops(name, "sparse"),
        "dense_widths": limits.searched_widths,
        "mergers": limits.mergers,
        "chain": limits.is_chain,
        "max_inputs": max_inputs,
        "multi_operator": multi_operator,
        "wide": wide,
    }
    if codesign:
        fields |= {"bits": (4, 8), "hardware": HardwareChoices()}
    return fields


def _make(space: type[Space], fields: dict[str, Any]) -> Space:
    make: Callable[..., Space] = space  # a dataclass with these fields
    return make(**fields)
