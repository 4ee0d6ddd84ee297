"""Dates as seconds since 1970, and their parts as categories."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import polars as pl

from nasrec_opt.errors import DataError

PARTS = ("year", "month", "day", "weekday", "hour", "minute")
UNITS = {"seconds": 1, "milliseconds": 1000}  # in a second
LATEST = 2.0**37  # seconds since 1970: the year 6325
EXAMPLE = datetime(2024, 2, 28, 13, 45, 50, tzinfo=UTC)


def check_parts(where: str, parts: Sequence[str]) -> None:
    """Refuse unknown or repeated parts of a date."""
    for part in parts:
        if part not in PARTS:
            raise DataError(f"{where}: expected some of {', '.join(PARTS)}, got {part!r}")
    if len(set(parts)) < len(parts):
        raise DataError(f"{where}: expected each part once, got {', '.join(parts)}")


def check_format(where: str, form: str) -> None:
    """Refuse a format by which no date can be read."""
    if form == "" or form in UNITS:
        return
    if "%" not in form or seconds_of(pl.Series([example_of(form)]), form).null_count():
        raise DataError(
            f"{where}: expected a pattern of a date such as %Y-%m-%d, or {' or '.join(UNITS)}, "
            f"got {form!r}"
        )


def example_of(form: str) -> str:
    """A date as a format writes it."""
    if form in UNITS:
        return str(int(EXAMPLE.timestamp()) * UNITS[form])
    return EXAMPLE.strftime(form) if form else EXAMPLE.isoformat()


def seconds_of(texts: pl.Series, form: str) -> pl.Series:
    """Whole seconds since 1970, UTC; null where a text is no date of this format.

    Args:
        texts: String with nulls.
        form: A pattern, a key of `UNITS`, or empty for ISO 8601.
    """
    texts = texts.str.strip_chars(" ")
    if form == "":
        return _from_iso(texts)
    if form in UNITS:
        numbers = texts.cast(pl.Float64, strict=False) / UNITS[form]
        found = numbers.floor()
    else:
        texts = texts.str.strip_suffix(".0")  # integers that were floats on their way
        if "%H" in form and "%M" not in form:  # polars reads no hours without minutes
            texts, form = texts + "00", form + "%M"
        try:
            kind = pl.Datetime("us", "UTC" if "%z" in form else None)
            dates = texts.str.strptime(kind, form, strict=False)
        except pl.exceptions.PolarsError:  # a pattern that it does not know
            return pl.Series([None] * len(texts), dtype=pl.Int64)
        found = dates.dt.epoch("s").cast(pl.Float64)
    in_range = (found.abs() < LATEST).fill_null(False)
    return found.set(~in_range, None).cast(pl.Int64)


def part_of(seconds: pl.Series, part: str) -> pl.Series:
    """A part of dates as text.

    Args:
        seconds: As `seconds_of` gives them.
        part: One of `PARTS`.
    """
    date = pl.from_epoch(seconds, "s")
    found: pl.Series = getattr(date.dt, part)()
    return found.cast(pl.String)


def _from_iso(texts: pl.Series) -> pl.Series:
    values = texts.drop_nulls().unique()
    found = [_iso(text) for text in values]
    return texts.replace_strict(
        values, pl.Series(found, dtype=pl.Int64), default=None, return_dtype=pl.Int64
    )


def _iso(text: str) -> int | None:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    date = date.replace(tzinfo=UTC) if date.tzinfo is None else date
    return int(np.floor(date.timestamp()))
