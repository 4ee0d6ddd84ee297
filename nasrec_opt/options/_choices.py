"""Names that an option may have."""

from __future__ import annotations

from typing import Any, Literal, get_args

from nasrec_opt.errors import StudyError
from nasrec_opt.space import FLOAT_BITS, SearchSpace

Precision = Literal["float32", "bfloat16"]
PrecisionChoice = Literal["auto", "float32", "bfloat16"]
# Where weights begin. `uniform`: linear layers within 1 / sqrt(inputs), embeddings within 0.05.
# `xavier`, as published: linear layers Xavier-uniform, embeddings Xavier-normal.
Initialization = Literal["uniform", "xavier"]
# What proposes trials of an Ax search: a pool that BoTorch picks from, or Ax's own default.
Strategy = Literal["pool_bayes", "ax"]
# How models are ranked: at their bits, or in floating point.
RankedBits = Literal["genotype", "float"]
# How the number of inputs is drawn where it can be any.
Connections = Literal["uniform", "binomial"]
# Operators and connections of the subnets that a training samples, each single or any.
PathChoice = Literal["single-any", "single-single", "any-any"]


def check_precision(name: str) -> None:
    """Refuse an unknown precision.

    Args:
        name: `float32`, `bfloat16` or `auto`.

    Raises:
        StudyError: The name is none of these.
    """
    known = get_args(PrecisionChoice)
    if name not in known:
        raise StudyError(f"precision: expected one of {', '.join(known)}, got {name!r}")


def check_choice(name: str, value: str, choices: Any) -> None:
    """Refuse a word that is not one of an option's.

    Args:
        name: Name of the option.
        value: What it was given.
        choices: The `Literal` of the option.

    Raises:
        StudyError: The word is none of these.
    """
    known = get_args(choices)
    if value not in known:
        raise StudyError(f"{name}: expected one of {', '.join(known)}, got {value!r}")


def check_initialization(name: str) -> None:
    """Refuse an unknown initialization.

    Args:
        name: `uniform` or `xavier`.

    Raises:
        StudyError: The name is neither.
    """
    known = get_args(Initialization)
    if name not in known:
        raise StudyError(f"initialization: expected {' or '.join(map(repr, known))}, got {name!r}")


def check_ranked_bits(bits: str, space: SearchSpace) -> None:
    """Refuse to rank in floating point where rounding decides which model is better.

    Args:
        bits: `genotype` or `float`: see `SupernetOracle`.
        space: The space that is searched.

    Raises:
        StudyError: `bits` is neither, or is `float` for a space that has other bits than 8.
    """
    known = get_args(RankedBits)
    if bits not in known:
        raise StudyError(f"bits: expected one of {', '.join(known)}, got {bits!r}")
    if bits == "float" and space.bits not in ((8,), (FLOAT_BITS,)):
        raise StudyError(
            "bits: expected 'genotype', since 'float' is only for spaces of 8 bits, got 'float' "
            f"for a space of bits {', '.join(map(str, space.bits))}"
        )
