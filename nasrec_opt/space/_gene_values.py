"""Values of genes, read from JSON, checked and put into the one form in which they are kept."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from nasrec_opt._plain import plain
from nasrec_opt.errors import GenotypeError

if TYPE_CHECKING:
    from nasrec_opt.space._block_gene import BlockGene
    from nasrec_opt.space._hardware_gene import HardwareGene

Gene = TypeVar("Gene", "BlockGene", "HardwareGene")


def operators_of(
    name: str, given: Any, known: tuple[str, ...], *, may_be_empty: bool = False
) -> tuple[str, ...]:
    """Put the operators of a branch into the order of their table.

    Args:
        name: What the gene is called in an error.
        given: A collection of names, in any order.
        known: The operators that there are, in the order of their table.
        may_be_empty: Whether a branch may have none.

    Returns:
        Each operator once.

    Raises:
        GenotypeError: `given` is empty where it may not be, no collection, or has an unknown name.
    """
    is_set = isinstance(given, (tuple, list, set, frozenset))
    if not is_set or not (given or may_be_empty):
        kind = "subset" if may_be_empty else "non-empty subset"
        raise GenotypeError(f"{name}: expected a {kind} of {known}, got {given!r}")
    for op in given:
        if op not in known:
            raise GenotypeError(f"{name}: expected operators of {', '.join(known)}, got {op!r}")
    return tuple(op for op in known if op in given)


def inputs_of(name: str, given: Any) -> tuple[int, ...]:
    """Sort the inputs of a branch.

    Args:
        name: What the gene is called in an error.
        given: A collection of numbers of blocks, NumPy's integers included; 0 is the raw input.

    Returns:
        Each input once, as Python integers, ascending.

    Raises:
        GenotypeError: `given` is empty, no collection, or has something that is no such number.
    """
    if not isinstance(given, (tuple, list, set, frozenset)) or not given:
        raise GenotypeError(f"{name}: expected a non-empty list of inputs, got {given!r}")
    indices = [plain(index) for index in given]
    for index in indices:
        check_integer(name, index, 0, 65536)
    return tuple(sorted(set(indices)))


def check_integer(name: str, value: Any, low: int, high: int) -> None:
    """Refuse a value that is no integer of a range.

    Args:
        name: What the gene is called in an error.
        value: The value. Booleans are no integers here.
        low: The least that is allowed.
        high: The most that is allowed.

    Raises:
        GenotypeError: It is no such integer.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise GenotypeError(f"{name}: expected an integer from {low} to {high}, got {value!r}")


def gene_of(cls: type[Gene], values: Mapping[str, Any], where: str) -> Gene:
    """Build a gene from JSON values.

    Args:
        cls: The kind of gene.
        values: Genes by name; those left out have their defaults.
        where: What an error begins with.

    Returns:
        The gene.

    Raises:
        GenotypeError: A key is unknown, or a value is not valid.
    """
    if not isinstance(values, Mapping):
        raise GenotypeError(f"{where}: expected a JSON object, got {type(values).__name__}")
    check_keys(values, tuple(field.name for field in fields(cls)), where)
    try:
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**given)
    except GenotypeError as error:
        raise GenotypeError(f"{where}: {error}") from None


def check_keys(values: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    """Refuse a key that is not known, and name the nearest one.

    Args:
        values: JSON values.
        known: The keys that there are.
        where: What the error begins with.

    Raises:
        GenotypeError: A key is unknown.
    """
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise GenotypeError(f"{where}: expected one of {', '.join(known)}, got {key!r}{hint}")
