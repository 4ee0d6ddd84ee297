"""From the tables of a TOML file to frozen dataclasses, or to one clear sentence."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from nasrec_opt.errors import StudyError

Settings = TypeVar("Settings")


def build_settings(cls: type[Settings], values: Any, where: str) -> Settings:
    """Build a frozen dataclass from one TOML table.

    Tables become nested dataclasses, arrays become tuples, integers are accepted for floats.

    Args:
        cls: The dataclass; its defaults are the only ones.
        values: The table.
        where: Beginning of an error message, for example `study.toml: [search]`.

    Raises:
        StudyError: A key is unknown, or a value has another type than the field.
    """
    if not isinstance(values, Mapping):
        raise StudyError(f"{where}: expected a table, got {values!r}")
    hints = typing.get_type_hints(cls)
    known = {field.name for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    given: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
            raise StudyError(f"{where}: unknown key {key!r}; {hint}")
        given[key] = _convert(value, hints[key], f"{where}: {key}")
    try:
        return cls(**given)
    except TypeError as error:
        raise StudyError(f"{where}: {error}") from error
    except StudyError as error:
        raise StudyError(f"{where}: {error}") from None


def check_at_least(name: str, value: int, least: int) -> None:
    """Refuse a number below the minimum of a field.

    Args:
        name: Name of the field.
        value: Its value.
        least: The minimum.

    Raises:
        StudyError: `value` is below `least`.
    """
    if value < least:
        raise StudyError(f"{name}: expected {least} or more, got {value}")


def _convert(value: Any, hint: Any, where: str) -> Any:
    """Convert `value` to the annotated type, or raise an error that says what was expected."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return build_settings(hint, value, where)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:  # of JSON; TOML has none
            return None
        given = [a for a in arguments if a is not type(None)]
        if len(given) > 1:  # a table is only compared with tables, another value with the others
            is_table = isinstance(value, Mapping)
            given = [a for a in given if dataclasses.is_dataclass(a) == is_table] or given
        for alternative in given:
            try:
                return _convert(value, alternative, where)
            except StudyError as error:
                last = error
        if len(given) == 1:
            raise last
        raise StudyError(f"{where}: expected {' or '.join(map(_words, given))}, got {value!r}")
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise StudyError(
            f"{where}: expected one of {', '.join(map(repr, arguments))}, got {value!r}"
        )
    if origin is tuple and isinstance(value, list):
        return tuple(
            _convert(entry, arguments[0], f"{where}[{i}]") for i, entry in enumerate(value)
        )
    if origin in (dict, Mapping) or str(origin).endswith("Mapping'>"):
        if isinstance(value, Mapping):
            return {k: _convert(v, arguments[1], f"{where}.{k}") for k, v in value.items()}
    elif hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    elif hint is Path and isinstance(value, str):
        return Path(value)
    elif isinstance(hint, type) and type(value) is hint:
        return value
    raise StudyError(f"{where}: expected {_words(hint)}, got {value!r}")


def _words(hint: Any) -> str:
    """What a value of a type is called in a study file."""
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(map(repr, typing.get_args(hint)))
    name = getattr(hint, "__name__", str(hint))
    words = {"str": "text", "int": "an integer", "float": "a number", "bool": "true or false"}
    words |= {"tuple": "a list", "Mapping": "a table", "dict": "a table", "Path": "a path"}
    return words.get(name, name)
