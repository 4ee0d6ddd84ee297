"""The genotype: what one CTR model, and optionally its accelerator, is made of.

A `Genotype` is a tuple of choice blocks. Block *b* (from 1) may read input 0, the raw features, and
inputs 1 to *b* - 1, the outputs of earlier blocks; the logit reads the last block (paper, section
3.1). Values are frozen, validate themselves, and hold no gene that their own block cannot use. For
example, the inputs of a Gate exist only if a Gate or a Sum is chosen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nasrec_opt._files import BYTE_ORDER_MARK
from nasrec_opt._plain import plain
from nasrec_opt.errors import GenotypeError
from nasrec_opt.space._block_gene import FLOAT_BITS, Bits, BlockGene
from nasrec_opt.space._gene_values import check_keys
from nasrec_opt.space._hardware_gene import HardwareGene
from nasrec_opt.space._presets import check_block, check_name

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

MERGER_VECTORS = 8  # vectors that the dense-to-sparse merger appends to a sparse output
GENOTYPE = "genotype"  # user attribute of a trial: its model, in JSON
FINAL_BITS = 8  # of the final layer, unless the whole model is floating point


@dataclass(frozen=True, slots=True)
class Genotype:
    """One architecture, and with a `HardwareGene` its accelerator.

    Args:
        blocks: The choice blocks, first to last; the logit reads the last.
        hardware: Accelerator genes, or None if the accelerator is not searched.
        space: Name of the search space. The name of a preset limits operators, widths and mergers
            to those of the preset. Any other name is allowed, unless it looks like a misspelt one.
        wide: Whether the logit has a first-order term as well: a weight per value of each sparse
            feature and per dense feature, as in logistic regression and Wide & Deep. The paper's
            models have none.

    Raises:
        GenotypeError: There is no block, or an entry is not a block; a block reads itself, a later
            one, or the sparse output of a block without a sparse operator; a block is not one of
            the preset that `space` names; or `space` is a misspelt preset.

    Example:
        >>> genotype = Genotype((BlockGene(dense_ops=("fc",), dense_width=64),))
        >>> Genotype.from_json(genotype.to_json()) == genotype
        True
    """

    blocks: tuple[BlockGene, ...]
    hardware: HardwareGene | None = None
    space: str = "nasrec_full"
    wide: bool = False

    def __post_init__(self) -> None:
        _check_types(self.blocks, self.hardware)
        object.__setattr__(self, "blocks", tuple(self.blocks))
        object.__setattr__(self, "wide", plain(self.wide))
        if not isinstance(self.wide, bool):
            raise GenotypeError(f"wide: expected true or false, got {self.wide!r}")
        if not self.blocks:
            raise GenotypeError("blocks: expected at least one block, got none")
        if not isinstance(self.space, str) or not self.space:
            raise GenotypeError(f"space: expected a name, got {self.space!r}")
        check_name(self.space)
        for number, block in enumerate(self.blocks, start=1):
            late = [i for i in block.all_inputs if i >= number]
            if late:
                raise GenotypeError(
                    f"block {number}: expected inputs 0 to {number - 1} (0 = raw features, i = "
                    f"output of block i), got {late[0]}"
                )
            empty = [i for i in block.sparse_inputs if i and not self.blocks[i - 1].sparse_ops]
            if empty:
                raise GenotypeError(
                    f"block {number}: sparse_inputs: expected 0 (the embeddings) or blocks with a "
                    f"sparse operator, got {empty[0]}"
                )
            check_block(block, number, self.space)

    @property
    def num_blocks(self) -> int:
        """Number of choice blocks, live or not."""
        return len(self.blocks)

    @property
    def final_bits(self) -> int:
        """Bits of the final layer and of the first-order term, weights and activations alike.

        8, or 32 if every branch that reaches the logit is in floating point. The model and its cost
        both use this value.
        """
        from nasrec_opt.space._liveness import live_bits  # that module needs this one

        last = self.blocks[-1]  # always live, so that most genotypes are known without a walk
        if last.dense_bits != FLOAT_BITS or last.sparse_bits != FLOAT_BITS:
            return FINAL_BITS
        return FLOAT_BITS if live_bits(self) == {FLOAT_BITS} else FINAL_BITS

    def with_bits(self, bits: Bits) -> Genotype:
        """Give all operators the same bits.

        Args:
            bits: 4 to 8, a pair `(weight bits, activation bits)`, or 32 for floating point.

        Returns:
            The same architecture with these bits.

        Raises:
            GenotypeError: The bits are none of these.
        """
        blocks = tuple(replace(b, dense_bits=bits, sparse_bits=bits) for b in self.blocks)
        return replace(self, blocks=blocks)

    def canonical(self) -> Genotype:
        """Convert to the canonical form, which all genotypes that build the same model share.

        Genes that cannot affect the logit get fixed values.

        Returns:
            A genotype that is equal for equal models.
        """
        from nasrec_opt.space._canonical import canonical  # that module needs this one

        return canonical(self)

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            `space`, `blocks` and, where they are used, `wide` and `hardware`.
        """
        values: dict[str, Any] = {
            "space": self.space,
            "blocks": [block.to_dict() for block in self.blocks],
        }
        if self.wide:  # left out if false, as in files from before the gene existed
            values["wide"] = True
        if self.hardware is not None:
            values["hardware"] = self.hardware.to_dict()
        return values

    def to_json(self) -> str:
        """Convert to one line of JSON.

        Returns:
            The text, the same for equal genotypes.
        """
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "genotype") -> Genotype:
        """Inverse of `to_dict`.

        Args:
            values: JSON values, as docs/reference/genotype.md describes them.
            where: What an error begins with, for example the file.

        Returns:
            The genotype.

        Raises:
            GenotypeError: A key is unknown or missing, or a value is not valid.
        """
        if not isinstance(values, Mapping):
            raise GenotypeError(f"{where}: expected a JSON object, got {type(values).__name__}")
        check_keys(values, ("space", "blocks", "wide", "hardware"), where)
        blocks = values.get("blocks")
        if not isinstance(blocks, list):
            raise GenotypeError(f"{where}: blocks: expected a list of blocks, got {blocks!r}")
        space = values.get("space", "nasrec_full")
        if not isinstance(space, str):
            raise GenotypeError(f"{where}: space: expected a name, got {space!r}")
        genes = tuple(
            BlockGene.from_dict(block, f"{where}: block {number}")
            for number, block in enumerate(blocks, start=1)
        )
        hardware = values.get("hardware")
        gene = None if hardware is None else HardwareGene.from_dict(hardware, f"{where}: hardware")
        try:
            return cls(genes, gene, space, values.get("wide", False))
        except GenotypeError as error:
            raise GenotypeError(f"{where}: {error}") from None

    @classmethod
    def from_json(cls, text: str, where: str = "genotype") -> Genotype:
        """Inverse of `to_json`.

        Args:
            text: JSON, as docs/reference/genotype.md describes it; the order of keys and of subsets
                does not matter.
            where: What an error begins with, for example the file.

        Returns:
            The genotype.

        Raises:
            GenotypeError: The text is not JSON, or not a genotype.
        """
        try:
            values = json.loads(text.removeprefix(BYTE_ORDER_MARK))
        except (ValueError, RecursionError) as error:
            raise GenotypeError(f"{where}: expected JSON, got {error}") from error
        return cls.from_dict(values, where)

    @classmethod
    def from_trial(cls, trial: FrozenTrial) -> Genotype:
        """Read the model of a trial that an `Objective` evaluated.

        Args:
            trial: A trial, for example one of `study.best_trials`.

        Returns:
            The genotype, as the trial asked for it.

        Raises:
            GenotypeError: The trial has no genotype, or one that is not valid.
        """
        text = trial.user_attrs.get(GENOTYPE)
        if not isinstance(text, str):
            raise GenotypeError(
                f"trial {trial.number}: expected the attribute {GENOTYPE!r}, which Objective sets, "
                f"got {text!r}; space.decode(trial.params) reads a trial of another objective"
            )
        return cls.from_json(text, f"trial {trial.number}")


def _check_types(blocks: Any, hardware: Any) -> None:
    """Refuse values that are not genes."""
    if not isinstance(blocks, (tuple, list)):
        raise GenotypeError(f"blocks: expected a list of blocks, got {blocks!r}")
    for number, block in enumerate(blocks, start=1):
        if not isinstance(block, BlockGene):
            raise GenotypeError(f"block {number}: expected a BlockGene, got {block!r}")
    if hardware is not None and not isinstance(hardware, HardwareGene):
        raise GenotypeError(f"hardware: expected a HardwareGene or None, got {hardware!r}")
