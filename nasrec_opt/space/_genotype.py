"""The genotype: what one CTR model, and optionally its accelerator, is made of.

A `Genotype` is a tuple of choice blocks. Block *b* (from 1) may read input 0, the raw features, and
inputs 1 to *b* - 1, the outputs of earlier blocks; the logit reads the last block (paper, section
3.1). Values are frozen, validate themselves, and hold no gene that their own block cannot use. For
example, the inputs of a Gate exist only if a Gate or a Sum is chosen.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from nasrec_opt._files import BYTE_ORDER_MARK
from nasrec_opt._plain import plain, put_plain
from nasrec_opt.errors import GenotypeError
from nasrec_opt.space._gene_values import check_integer, inputs_of, operators_of
from nasrec_opt.space._operators import DENSE_OPS, SPARSE_OPS, reads
from nasrec_opt.space._presets import check_block, check_name

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

MERGER_VECTORS = 8  # vectors that the dense-to-sparse merger appends to a sparse output
EMPTY = 0  # width of the sparse output of a block without a sparse operator
FLOAT_BITS = 32  # floating point: nothing is rounded
GENOTYPE = "genotype"  # user attribute of a trial: its model, in JSON
FINAL_BITS = 8  # of the final layer, unless the whole model is floating point

Bits = int | tuple[int, int]
Gene = TypeVar("Gene", "BlockGene", "HardwareGene")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockGene:
    """One choice block.

    Genes that no operator of this block reads become `()` or `None`, whatever was given:
    `dense_inputs` without FC and dot product, `left_input` and `right_input` without Gate and Sum.
    A block without a sparse operator has an empty sparse output: its `sparse_width` becomes 0, and
    its `sparse_bits` those of the dense operators.

    Args:
        dense_ops: Non-empty subset of `fc`, `gate`, `sum`, `dot`; outputs are added.
        sparse_ops: Subset of `efc`, `attn`; outputs are added. Without any, no block can read the
            sparse output of this one.
        dense_width: Width of the dense output.
        sparse_width: Vectors of the sparse output, before the dense-to-sparse merger appends 8.
        dense_inputs: Inputs that FC and the dot product concatenate.
        sparse_inputs: Inputs whose vectors the sparse operators and the dot product concatenate.
        left_input: First input of Gate (the one behind the sigmoid) and Sum.
        right_input: Second input of Gate and Sum.
        dense_to_sparse: Whether the dense output is appended to the sparse one as 8 vectors; a
            block without a sparse operator cannot have it.
        sparse_to_dense: Whether a factorization machine is added to the dense output: of the
            vectors that the sparse operators make, or without any of the block's sparse inputs.
        dense_bits: Bits of the dense operators and of both mergers, 4 to 8, or `(weight bits,
            activation bits)`; 32 is floating point, which is not rounded.
        sparse_bits: Bits of the sparse operators, in the same form.

    Raises:
        GenotypeError: A gene is outside what a block can be.
    """

    dense_ops: tuple[str, ...] = ("fc",)
    sparse_ops: tuple[str, ...] = ("efc",)
    dense_width: int = 128
    sparse_width: int = 32
    dense_inputs: tuple[int, ...] = (0,)
    sparse_inputs: tuple[int, ...] = (0,)
    left_input: int | None = None
    right_input: int | None = None
    dense_to_sparse: bool = False
    sparse_to_dense: bool = False
    dense_bits: Bits = 8
    sparse_bits: Bits = 8

    def __post_init__(self) -> None:
        put = object.__setattr__
        put_plain(self)
        put(self, "dense_ops", operators_of("dense_ops", self.dense_ops, DENSE_OPS))
        sparse_ops = operators_of("sparse_ops", self.sparse_ops, SPARSE_OPS, may_be_empty=True)
        put(self, "sparse_ops", sparse_ops)
        if not sparse_ops:
            put(self, "sparse_width", EMPTY)
            put(self, "sparse_bits", self.dense_bits)
        check_integer("dense_width", self.dense_width, 1, 65536)
        if sparse_ops:
            check_integer("sparse_width", self.sparse_width, 1, 65536)
        reads_all = reads("dense_inputs", self.dense_ops)
        put(self, "dense_inputs", inputs_of("dense_inputs", self.dense_inputs) if reads_all else ())
        put(self, "sparse_inputs", inputs_of("sparse_inputs", self.sparse_inputs))
        reads_two = reads("gate_inputs", self.dense_ops)
        for name in ("left_input", "right_input"):
            if reads_two:
                check_integer(name, getattr(self, name), 0, 65536)
            else:
                put(self, name, None)
        for name in ("dense_to_sparse", "sparse_to_dense"):
            if not isinstance(getattr(self, name), bool):
                raise GenotypeError(f"{name}: expected true or false, got {getattr(self, name)!r}")
        if self.dense_to_sparse and not sparse_ops:
            raise GenotypeError(
                "dense_to_sparse: expected false in a block without a sparse operator, got true"
            )
        for name in ("dense_bits", "sparse_bits"):
            put(self, name, _bits(name, getattr(self, name)))

    @property
    def dense_weight_bits(self) -> int:
        """Bits of the weights of the dense operators."""
        return self.dense_bits if isinstance(self.dense_bits, int) else self.dense_bits[0]

    @property
    def dense_activation_bits(self) -> int:
        """Bits of the activations of the dense operators."""
        return self.dense_bits if isinstance(self.dense_bits, int) else self.dense_bits[1]

    @property
    def sparse_weight_bits(self) -> int:
        """Bits of the weights of the sparse operators."""
        return self.sparse_bits if isinstance(self.sparse_bits, int) else self.sparse_bits[0]

    @property
    def sparse_activation_bits(self) -> int:
        """Bits of the activations of the sparse operators."""
        return self.sparse_bits if isinstance(self.sparse_bits, int) else self.sparse_bits[1]

    @property
    def all_inputs(self) -> tuple[int, ...]:
        """Every input that some gene of this block names, ascending, each once."""
        two = (i for i in (self.left_input, self.right_input) if i is not None)
        return tuple(sorted({*self.dense_inputs, *self.sparse_inputs, *two}))

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON values; genes that are not in use are left out.

        Returns:
            Genes by name.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        kept = {name: value for name, value in values.items() if value not in (None, ())}
        if not self.sparse_ops:
            kept["sparse_ops"] = ()  # left out, it would be the default
            del kept["sparse_width"], kept["sparse_bits"]
        return {name: list(v) if isinstance(v, tuple) else v for name, v in kept.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "block") -> BlockGene:
        """Inverse of `to_dict`.

        Args:
            values: Genes by name; those that are not in use may be left out.
            where: What an error begins with, for example the file and the number of the block.

        Returns:
            The block.

        Raises:
            GenotypeError: A key is unknown, or a value is not valid.
        """
        return _build(cls, values, where)


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareGene:
    """The accelerator genes of co-design: one ReRAM configuration for the whole model.

    Args:
        crossbar_rows: Wordlines of a crossbar.
        crossbar_cols: Bitlines of a crossbar.
        cell_bits: Bits that one cell stores.
        dac_bits: Bits of an input that a wordline driver applies at once.
        adc_bits: Resolution of the converters at the bitlines.
        replication: Copies of the crossbars of every operator.
        buffer_kib: Size of a tile's buffer, KiB.

    Raises:
        GenotypeError: A gene is outside its range.
    """

    crossbar_rows: int = 128
    crossbar_cols: int = 128
    cell_bits: int = 2
    dac_bits: int = 1
    adc_bits: int = 8
    replication: int = 1
    buffer_kib: int = 64

    def __post_init__(self) -> None:
        put_plain(self)
        bounds = {"crossbar_rows": (8, 4096), "crossbar_cols": (8, 4096), "cell_bits": (1, 4)}
        bounds |= {"dac_bits": (1, 8), "adc_bits": (1, 12), "replication": (1, 64)}
        bounds |= {"buffer_kib": (1, 4096)}
        for name, (low, high) in bounds.items():
            check_integer(name, getattr(self, name), low, high)

    def to_dict(self) -> dict[str, int]:
        """Convert to JSON values.

        Returns:
            Genes by name.
        """
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "hardware") -> HardwareGene:
        """Inverse of `to_dict`.

        Args:
            values: Genes by name; those left out have their defaults.
            where: What an error begins with, for example the file.

        Returns:
            The accelerator genes.

        Raises:
            GenotypeError: A key is unknown, or a value is not valid.
        """
        return _build(cls, values, where)


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
        _check_keys(values, ("space", "blocks", "wide", "hardware"), where)
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


def _build(cls: type[Gene], values: Mapping[str, Any], where: str) -> Gene:
    """A gene from JSON values; errors begin with its place."""
    if not isinstance(values, Mapping):
        raise GenotypeError(f"{where}: expected a JSON object, got {type(values).__name__}")
    _check_keys(values, tuple(field.name for field in fields(cls)), where)
    try:
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**given)
    except GenotypeError as error:
        raise GenotypeError(f"{where}: {error}") from None


def _check_keys(values: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise GenotypeError(f"{where}: expected one of {', '.join(known)}, got {key!r}{hint}")


def _bits(name: str, value: Any) -> Bits:
    pair = value if isinstance(value, (tuple, list)) else (value, value)
    are_integers = len(pair) == 2 and all(type(bits) is int for bits in pair)
    valid = are_integers and all(4 <= bits <= 8 for bits in pair)
    if not valid and not (are_integers and tuple(pair) == (FLOAT_BITS, FLOAT_BITS)):
        raise GenotypeError(
            f"{name}: expected 4 to 8, a pair of them, or {FLOAT_BITS} for floating point, "
            f"got {value!r}"
        )
    return pair[0] if pair[0] == pair[1] else (pair[0], pair[1])


def _check_types(blocks: Any, hardware: Any) -> None:
    """Refuse values that are not genes."""
    if not isinstance(blocks, (tuple, list)):
        raise GenotypeError(f"blocks: expected a list of blocks, got {blocks!r}")
    for number, block in enumerate(blocks, start=1):
        if not isinstance(block, BlockGene):
            raise GenotypeError(f"block {number}: expected a BlockGene, got {block!r}")
    if hardware is not None and not isinstance(hardware, HardwareGene):
        raise GenotypeError(f"hardware: expected a HardwareGene or None, got {hardware!r}")
