"""Any value as text or number that MLflow and its databases accept, and whether something is lost.

Trials may hold anything: NumPy scalars, bytes, integers beyond 64 bits, nested lists. A value that
cannot be shown in full is cut here with a mark; the caller stores it in full elsewhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from typing import Any

MAX_PARAM, MAX_TAG = 6000, 5000  # characters that every supported MLflow takes
MAX_STEP = 2**63 - 1
_MARK = " … ({} characters)"


def as_number(value: Any) -> float | None:
    """A value as a metric; None if it is not a number, or too large for a 64-bit float.

    Args:
        value: Anything; a bool is not a number.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except (OverflowError, ValueError):
        return None


def is_exact(value: Any) -> bool:
    """Whether `as_number` keeps a number exactly."""
    return not isinstance(value, Integral) or int(value) == int(float(value))


def is_step(step: Any) -> bool:
    """Whether databases accept a step: 64 bits with a sign."""
    return isinstance(step, Integral) and -MAX_STEP - 1 <= int(step) <= MAX_STEP


def as_text(value: Any) -> str:
    """Text unchanged, anything else as JSON, and values without JSON as their `repr`."""
    return value if isinstance(value, str) else as_json(value)


def as_json(value: Any, **options: Any) -> str:
    """JSON of anything; NaN and infinities are words, as in Python.

    Args:
        value: Anything.
        options: Of `json.dumps`.
    """
    try:
        return json.dumps(_plain(value), **options)
    except RecursionError:  # a list within itself
        return json.dumps(_described(value))


def storable(text: str) -> str:
    """A text without characters that databases refuse: lone surrogates, and code 0."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def shortened(text: str, longest: int) -> str:
    """A text of limited length; a mark says where it was cut and how long it was."""
    if len(text) <= longest:
        return text
    mark = _MARK.format(f"{len(text):,}")
    return text[: longest - len(mark)] + mark


def split(name: str, text: str) -> dict[str, str]:
    """A long text as several tags, `name`, `name.2` and so on; `joined` puts it together."""
    parts = [text[i : i + MAX_TAG] for i in range(0, len(text), MAX_TAG)] or [""]
    return {name if i == 1 else f"{name}.{i}": part for i, part in enumerate(parts, start=1)}


def joined(tags: Mapping[str, str], name: str) -> str | None:
    """The text of the tags from `split`; None without such tags."""
    return "".join(_parts(tags, name)) if name in tags else None


def _parts(tags: Mapping[str, str], name: str) -> Iterator[str]:
    key, number = name, 1
    while key in tags:
        yield tags[key]
        number += 1
        key = f"{name}.{number}"


def _plain(value: Any) -> Any:
    """A value made of JSON's types."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        # Python refuses to write integers of several thousand digits as decimals.
        return value if value.bit_length() < 10_000 else hex(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, Mapping):
        return {k if isinstance(k, str) else _described(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if callable(getattr(value, "tolist", None)) and hasattr(value, "dtype"):
        return _plain(value.tolist())  # NumPy's scalars and arrays
    return _described(value)


def _described(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # the boundary to a class of somebody else
        return f"<{type(value).__name__}>"
