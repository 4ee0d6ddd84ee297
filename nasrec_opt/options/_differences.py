"""Which options of a training or a search are other than the defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any


def json_values(options: Any) -> dict[str, Any]:
    """Convert options to JSON values.

    Args:
        options: A dataclass of options; a path becomes text.

    Returns:
        Its fields by name, nested options as dictionaries.
    """
    values: dict[str, Any] = json.loads(json.dumps(asdict(options), default=str))
    return values


def differences(values: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the values that differ from the defaults.

    A record of them stays the same when a later version adds an option.

    Args:
        values: JSON values of options.
        usual: Those of the defaults.

    Returns:
        The values that are not the default, or have none, at every depth; an option table without
        any is left out.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in usual and value == usual[name]:
            continue
        if isinstance(value, Mapping) and isinstance(usual.get(name), Mapping):
            inner = differences(value, usual[name])
            if inner:
                found[name] = inner
        else:
            found[name] = value
    return found
