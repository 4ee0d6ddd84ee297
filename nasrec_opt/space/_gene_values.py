"""Values of genes, checked and put into the one form in which they are kept."""

from __future__ import annotations

from typing import Any

from nasrec_opt._plain import plain
from nasrec_opt.errors import GenotypeError


def operators_of(name: str, given: Any, known: tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, (tuple, list, set, frozenset)) or not given:
        raise GenotypeError(f"{name}: expected a non-empty subset of {known}, got {given!r}")
    for op in given:
        if op not in known:
            raise GenotypeError(f"{name}: expected operators of {', '.join(known)}, got {op!r}")
    return tuple(op for op in known if op in given)


def inputs_of(name: str, given: Any) -> tuple[int, ...]:
    if not isinstance(given, (tuple, list, set, frozenset)) or not given:
        raise GenotypeError(f"{name}: expected a non-empty list of inputs, got {given!r}")
    indices = [plain(index) for index in given]
    for index in indices:
        check_integer(name, index, 0, 65536)
    return tuple(sorted(set(indices)))


def check_integer(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise GenotypeError(f"{name}: expected an integer from {low} to {high}, got {value!r}")
