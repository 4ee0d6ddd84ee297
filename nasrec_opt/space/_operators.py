"""The table of operators: the properties of each besides its weights and its cost.

Genotypes, canonical forms, embeddings, the supernet, lowering, oracle plans and drawings all read
this table, and none of them names an operator. CONTRIBUTING.md explains how to add one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

Side = Literal["dense", "sparse"]
Count = Any  # an int, or an int64 array `[genotypes]`

PresetName = Literal["nasrec_small", "nasrec_full", "codesign", "autoctr", "dnas", "profit"]
PRESETS: tuple[str, ...] = get_args(PresetName)
PAPER = ("nasrec_small", "nasrec_full", "codesign")
FULL = ("nasrec_full",)
READABLE = ("dense_inputs", "gate_inputs", "sparse_inputs")  # as search spaces name these genes
MAX_HEADS = 8  # of attention


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSpec:
    """One operator of a choice block.

    Args:
        side: The branch whose output it adds to, `dense` or `sparse`.
        reads: Genes of the block that it reads, some of `dense_inputs`, `gate_inputs` (the left
            and the right input) and `sparse_inputs`. A sparse operator reads `sparse_inputs` alone.
        label: Its name in drawings.
        presets: Search spaces of `PRESETS` that have it. Those of the paper are fixed; an operator
            of your own is in none and is named in `SearchSpace(dense_ops=...)`.
        is_symmetric: Whether swapping the left and the right input changes nothing.
        is_balanced: Whether operator balancing (section 4.2) changes what it computes.

    Raises:
        ValueError: The entry contradicts itself.
    """

    side: Side
    reads: frozenset[str]
    label: str
    presets: tuple[str, ...] = ()
    is_symmetric: bool = False
    is_balanced: bool = False

    def __post_init__(self) -> None:
        if self.side not in ("dense", "sparse"):
            raise ValueError(f"side: expected dense or sparse, got {self.side!r}")
        known = READABLE if self.side == "dense" else ("sparse_inputs",)
        if not self.reads or not self.reads.issubset(known):
            raise ValueError(
                f"reads: expected some of {', '.join(known)} for a {self.side} operator, "
                f"got {', '.join(sorted(self.reads)) or 'none'}"
            )
        if self.is_symmetric and "gate_inputs" not in self.reads:
            raise ValueError("is_symmetric: expected an operator that reads gate_inputs")
        unknown = set(self.presets) - set(PRESETS)
        if unknown:
            raise ValueError(f"presets: expected some of {', '.join(PRESETS)}, got {min(unknown)}")


# The order is part of every encoding and of the files that hold encodings: append new operators.
OPERATORS: dict[str, OperatorSpec] = {
    "fc": OperatorSpec(
        side="dense", reads=frozenset({"dense_inputs"}), label="FC", presets=PRESETS
    ),
    "gate": OperatorSpec(
        side="dense", reads=frozenset({"gate_inputs"}), label="Gate", presets=FULL
    ),
    "sum": OperatorSpec(
        side="dense",
        reads=frozenset({"gate_inputs"}),
        label="Sum",
        presets=FULL,
        is_symmetric=True,
    ),
    "dot": OperatorSpec(
        side="dense",
        reads=frozenset({"dense_inputs", "sparse_inputs"}),
        label="DP",
        presets=(*PAPER, "autoctr", "dnas"),
        is_balanced=True,
    ),
    "efc": OperatorSpec(
        side="sparse",
        reads=frozenset({"sparse_inputs"}),
        label="EFC",
        presets=(*PAPER, "autoctr"),
    ),
    "attn": OperatorSpec(
        side="sparse", reads=frozenset({"sparse_inputs"}), label="Attn", presets=FULL
    ),
}

DENSE_OPS = tuple(name for name, spec in OPERATORS.items() if spec.side == "dense")
SPARSE_OPS = tuple(name for name, spec in OPERATORS.items() if spec.side == "sparse")
BALANCED_OPS = frozenset(name for name, spec in OPERATORS.items() if spec.is_balanced)
ORDERED_OPS = frozenset(  # that tell the left input from the right one
    name
    for name, spec in OPERATORS.items()
    if "gate_inputs" in spec.reads and not spec.is_symmetric
)
_READERS = {
    gene: frozenset(name for name, spec in OPERATORS.items() if gene in spec.reads)
    for gene in READABLE
}


def reads(gene: str, ops: Iterable[str]) -> bool:
    """Check whether one of several operators reads a gene of its block.

    Args:
        gene: `dense_inputs`, `gate_inputs` or `sparse_inputs`.
        ops: Names of operators.

    Returns:
        True where at least one of them does.

    Example:
        >>> reads("gate_inputs", ("fc", "dot"))
        False
    """
    return not _READERS[gene].isdisjoint(ops)


def preset_ops(preset: str, side: Side) -> tuple[str, ...]:
    """List the operators of a branch in one of the `PRESETS`.

    Args:
        preset: Name of the preset.
        side: `dense` or `sparse`.

    Returns:
        Names, in the order of the table.

    Example:
        >>> preset_ops("nasrec_small", "dense")
        ('fc', 'dot')
    """
    return tuple(
        name for name, spec in OPERATORS.items() if spec.side == side and preset in spec.presets
    )


def balanced_vectors(width: Count) -> Count:
    """Number of vectors to which operator balancing projects the input of a dot product.

    The paper writes ceil(sqrt(2 width)) (section 4.2); its published results rounded.

    Args:
        width: Width of the dense output, an integer or an array of them.

    Returns:
        The integer nearest to the square root of `2 * width`.

    Example:
        >>> balanced_vectors(128)
        16
    """
    if isinstance(width, int):
        return round(math.sqrt(2 * width))
    return np.rint(np.sqrt(2 * width)).astype(np.int64)


def attention_heads(dim: int) -> int:
    """Choose the number of heads of attention: the largest divisor of the width, up to 8.

    Args:
        dim: Values of a vector.

    Returns:
        Number of heads.

    Example:
        >>> attention_heads(16), attention_heads(12), attention_heads(13)
        (8, 6, 1)
    """
    return next(heads for heads in range(min(MAX_HEADS, dim), 0, -1) if dim % heads == 0)
