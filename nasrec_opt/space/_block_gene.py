"""The genes of one choice block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from nasrec_opt._plain import put_plain
from nasrec_opt.errors import GenotypeError
from nasrec_opt.space._gene_values import check_integer, gene_of, inputs_of, operators_of
from nasrec_opt.space._operators import DENSE_OPS, SPARSE_OPS, reads

EMPTY = 0  # width of the sparse output of a block without a sparse operator
FLOAT_BITS = 32  # floating point: nothing is rounded

Bits = int | tuple[int, int]


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
        return gene_of(cls, values, where)


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
