"""How one column of a log is read, where that is not what all dense or categorical ones are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, cast, get_args

from nasrec_opt.data._dates import check_format, check_parts
from nasrec_opt.errors import DataError

Transform = Literal["log", "standard", "none", "published"]
LARGEST_TABLE = 2**31 - 3  # ids are int32, and two of them are reserved


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How one column is read: `[columns.NAME]` of a schema file.

    `transform`, `clip` and `bins` are for numbers, all others for categories. A column that is
    neither among the dense nor among the sparse columns of the schema is added to those.

    Args:
        name: The column.
        transform: What a number x becomes: `log` is log(x + c), where c is 1, or 1 minus the
            smallest training value where that is negative; `standard` is x minus the mean, divided
            by the standard deviation of the training rows; `none` is x; `published` is
            log(max(x, 0) + 1). A missing number is 0 in all of them. None means `log`.
        clip: Smallest and largest number; what is beyond counts as these. `inf` is no limit.
        bins: Number of quantile bins; the column is then a category, the number of the bin.
        parts: Parts of a date that are read, a category each: `year`, `month`, `day`, `weekday`
            (1 is Monday), `hour`, `minute`. They are called `NAME.hour` and so on.
        format: How a date is written: a pattern such as `%y%m%d%H`, or `seconds` or `milliseconds`
            since 1970. Empty means ISO 8601. Times with an offset are read as UTC.
        last: Number of values that are read of a list, from its end: `NAME.1` is the last one.
            Tables, and rows that are served, may have lists; in text, `separator` divides them.
        separator: What is between the values of a list that is text.
        hashed: Number of ids that all values share by their hash, the unseen ones too; 0 means an
            id for each value of the training rows.
        modulo: Divisors, one after the other: the id is what is left of the value, an integer in
            decimal digits or else in hexadecimal ones.
        base: 16 reads values of `modulo` in hexadecimal digits always.

    Raises:
        DataError: A setting is out of range, or settings do not fit together.

    Example:
        >>> from nasrec_opt.data import Column, Schema
        >>> hour = Column(name="hour", format="%y%m%d%H", parts=("hour", "weekday"))
        >>> Schema(label="click", sparse=("site",), options=(hour,)).sparse_features
        ('site', 'hour.hour', 'hour.weekday')
    """

    name: str
    transform: Transform | None = None
    clip: tuple[float, float] | None = None
    bins: int = 0
    parts: tuple[str, ...] = ()
    format: str = ""
    last: int = 0
    separator: str = ""
    hashed: int = 0
    modulo: tuple[int, ...] = ()
    base: int = 10

    def __post_init__(self) -> None:
        if self.transform is not None and self.transform not in get_args(Transform):
            raise self._wrong("transform", f"one of {', '.join(get_args(Transform))}")
        if self.clip is not None and not (len(self.clip) == 2 and self.clip[0] < self.clip[1]):
            raise self._wrong("clip", "a smaller and a larger number")
        for name, least in (("bins", 2), ("last", 1), ("hashed", 1)):
            value = getattr(self, name)
            if value != 0 and not least <= value <= LARGEST_TABLE:
                raise self._wrong(
                    name, f"{least} or more" if value < least else f"at most {LARGEST_TABLE}"
                )
        if not all(1 <= divisor <= 2**63 for divisor in self.modulo):
            raise self._wrong("modulo", "1 or more")
        if self.size > LARGEST_TABLE:
            raise self._wrong("modulo", f"at most {LARGEST_TABLE} at the end")
        if self.base not in (10, 16):
            raise self._wrong("base", "10 or 16")
        check_parts(f"{self.name}: parts", self.parts)
        check_format(f"{self.name}: format", self.format)
        kinds = [bool(kind) for kind in (self.is_dense, self.parts, self.last)]
        if sum(kinds) > 1 or (self.size and (self.is_dense or self.parts)):
            raise DataError(f"{self.name}: expected settings of one kind of column, got several")
        if self.hashed and self.modulo:
            raise DataError(f"{self.name}: expected hashed or modulo, got both")
        if self.separator and not self.last:
            raise DataError(f"{self.name}: expected last beside separator, got none")
        if self.transform is not None and self.bins:
            raise DataError(f"{self.name}: expected transform or bins, got both")

    @property
    def is_dense(self) -> bool:
        """Whether the column holds numbers."""
        return self.transform is not None or self.clip is not None or self.bins > 0

    @property
    def is_category(self) -> bool:
        """Whether the column holds categories."""
        return bool(self.parts or self.last or self.size)

    @property
    def size(self) -> int:
        """Number of ids of known values where that is fixed, or 0 for a vocabulary."""
        return self.modulo[-1] if self.modulo else self.hashed

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features that the column becomes."""
        if self.parts:
            return tuple(f"{self.name}.{part}" for part in self.parts)
        if self.last:
            return tuple(f"{self.name}.{place}" for place in range(1, self.last + 1))
        return (self.name,)

    @classmethod
    def from_dict(cls, name: str, values: Mapping[str, Any]) -> Column:
        """Inverse of `to_dict`; also reads the table of a TOML file.

        Args:
            name: The column.
            values: Settings by name.

        Returns:
            The column.

        Raises:
            DataError: A setting is unknown, has the wrong type or is out of range.
        """
        if not isinstance(values, Mapping):
            raise DataError(f"columns.{name}: expected a table, got {values!r}")
        given: dict[str, Any] = {}
        for key, value in values.items():
            if key == "modulo" and type(value) is int:
                value = [value]
            if key not in _TYPES or key == "name":
                known = ", ".join(key for key in _TYPES)
                raise DataError(f"columns.{name}: unknown key {key!r}; known are {known}")
            expected, fits = _TYPES[key]
            if not fits(value):
                raise DataError(f"columns.{name}: {key}: expected {expected}, got {value!r}")
            given[key] = tuple(value) if isinstance(value, list) else value
        if "clip" in given:
            given["clip"] = tuple(map(float, given["clip"]))
        return cls(name=name, **given)

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            The settings that are not at their default, but for the name; tuples become lists.
        """
        found = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "name" and value != field.default:
                found[field.name] = list(value) if isinstance(value, tuple) else value
        return found

    def _wrong(self, key: str, expected: str) -> DataError:
        value = getattr(self, key)
        value = list(value) if isinstance(value, tuple) else value
        return DataError(f"{self.name}: {key}: expected {expected}, got {value!r}")


def _is_integer(value: object) -> bool:
    return type(value) is int


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_list(value: object, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, (list, tuple)) and all(type(entry) in kinds for entry in value)


def _is_pair(value: object) -> bool:
    return _is_list(value, (int, float)) and len(cast("list[float]", value)) == 2


_TYPES: dict[str, tuple[str, Any]] = {  # what a setting has to be, in words and as a test
    "transform": ("text", _is_text),
    "clip": ("a list of two numbers", _is_pair),
    "bins": ("an integer", _is_integer),
    "parts": ("a list of names", lambda value: _is_list(value, (str,))),
    "format": ("text", _is_text),
    "last": ("an integer", _is_integer),
    "separator": ("text", _is_text),
    "hashed": ("an integer", _is_integer),
    "modulo": ("an integer or a list of them", lambda value: _is_list(value, (int,))),
    "base": ("an integer", _is_integer),
}
