"""The tiny study with other values, as a study file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any

from conftest import TINY_STUDY

ONE_EPOCH = {
    "model": {"learning_rates": [0.003], "epochs": 1, "batch_size": 128}
}  # under [retrain]


def tiny_study_with(**changes: Any) -> str:
    """The tiny study as TOML, with other values in its tables.

    Args:
        changes: A value, or a dictionary for a table, by name: `search={"n_trials": 8}` leaves the
            rest of `[search]` as it is. None leaves a key out.
    """
    return _toml(_merged(tomllib.loads(TINY_STUDY), changes))


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(values)
    for name, change in changes.items():
        if isinstance(change, Mapping):
            found[name] = _merged(found.get(name, {}), change)
        else:
            found[name] = change
    return {name: value for name, value in found.items() if value is not None}


def _toml(table: Mapping[str, Any], name: str = "") -> str:
    """A table and the tables in it; numbers, strings and lists are written as in JSON."""
    lines = [f"[{name}]"] if name else []
    lines += [f"{k} = {json.dumps(v)}" for k, v in table.items() if not isinstance(v, Mapping)]
    inner = {k: v for k, v in table.items() if isinstance(v, Mapping)}
    parts = [_toml(v, f"{name}.{k}" if name else k) for k, v in inner.items()]
    return "\n".join([*lines, "", *parts])
