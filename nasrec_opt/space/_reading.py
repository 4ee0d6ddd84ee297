"""Search spaces as people write them: from TOML or JSON values to the fields of the dataclasses."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from nasrec_opt.errors import GenotypeError
from nasrec_opt.space._choices import HardwareChoices


def read_fields(values: Any, known: Sequence[str], where: str) -> tuple[str | None, dict[str, Any]]:
    """Name of the preset, if any, and the fields that are given.

    Raises:
        GenotypeError: `values` is not a table, or has an unknown key; the nearest known one is
        named.
    """
    if not isinstance(values, Mapping):
        raise GenotypeError(f"{where}: expected a table, got {values!r}")
    _check_keys(values, ("preset", *known), where)
    given = {name: _tuple(values[name]) for name in known if name in values}
    if given.get("hardware") is not None:
        given["hardware"] = _hardware(given["hardware"], f"{where}: hardware")
    preset = values.get("preset")
    if preset is not None and not isinstance(preset, str):
        raise GenotypeError(f"{where}: preset: expected a name, got {preset!r}")
    return preset, given


def _hardware(values: Any, where: str) -> HardwareChoices:
    if not isinstance(values, Mapping):
        raise GenotypeError(f"{where}: expected a table, got {values!r}")
    _check_keys(values, tuple(field.name for field in fields(HardwareChoices)), where)
    try:
        return HardwareChoices(**{gene: _tuple(choices) for gene, choices in values.items()})
    except GenotypeError as error:
        raise GenotypeError(f"{where}: {error}") from None


def _check_keys(values: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise GenotypeError(f"{where}: unknown key {key!r}; {hint}")


def _tuple(value: Any) -> Any:
    """Lists of JSON and TOML as tuples, including nested ones."""
    return tuple(map(_tuple, value)) if isinstance(value, list) else value
