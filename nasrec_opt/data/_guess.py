"""A schema guessed from the first rows of a log, as TOML with comments for its user to change."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from shlex import quote

import numpy as np
import polars as pl

from nasrec_opt.data._columns import Column
from nasrec_opt.data._dates import seconds_of
from nasrec_opt.data._formats import AVAZU, KDD
from nasrec_opt.data._frames import ColumnError
from nasrec_opt.data._lines import SEPARATORS, split_fields
from nasrec_opt.data._parquet import table_columns
from nasrec_opt.data._reading import column_names, read_chunks
from nasrec_opt.data._schema import PANDAS_INDEX, Schema, check_once
from nasrec_opt.data._sources import Given, Log, TextStream, find_log
from nasrec_opt.errors import DataError

SAMPLE_BYTES, SAMPLE_ROWS = 8 << 20, 50_000
FEW_VALUES = 20  # integers with no more are categories
LEAST_IDS = 50  # rows from which a column of distinct values is taken for row numbers
NO_LABEL = "\0label"  # stands for the label where all columns are read as text
CLICK_NAMES = re.compile(r"(is_?)?(label|target|click(s|ed)?|y|conver(sion|ted)|bought|buy)", re.I)
ID_NAMES = re.compile(r"(.*[_ ])?(id|uuid|guid|key|index|row)", re.I)
CODE_NAMES = re.compile(
    r".*(id|code|type|category|zip|class|channel)|(.*[_ ])?(user|item|product|ad|campaign|query|"
    r"keyword|site|app|page|device|ip|os|browser|shop|store|brand|city|region|country)",
    re.I,
)
TIME_NAMES = re.compile(r".*(time|date|day|hour|stamp|when|created|_at|^ts$).*", re.I)
BOOLEANS = ("0", "1", "0.0", "1.0", "true", "false")
PATTERNS = {  # digits of a date: the form, tried where the name of the column speaks of a time
    8: ("%Y%m%d", "%y%m%d%H"),
    10: ("seconds",),
    12: ("%Y%m%d%H%M",),
    13: ("milliseconds",),
    14: ("%Y%m%d%H%M%S",),
}
LISTS = "|;"
FEW_LINES = 20  # by which separator and header are found
LEAST_LINES = 3  # with numbers, below what is then a name
NO_VALUES = ("", "na", "n/a", "null", "none", "?", "-", r"\n")


@dataclass(frozen=True)
class _Guess:
    """What a column is taken for.

    Args:
        role: `dense`, `sparse` or `dropped`.
        comment: Why, in a few words.
        lines: Lines of the column's own table.
    """

    role: str
    comment: str
    lines: tuple[str, ...] = ()

    @property
    def is_date(self) -> bool:
        """Whether the column is read as a date."""
        return any(line.startswith("parts") for line in self.lines)


_LISTS = _Guess("sparse", "lists; the last five values are read", ("last = 5",))


def guess_schema(source: Given, *, label: str | None = None) -> str:
    r"""Guess the schema of a log from its first rows.

    Args:
        source: The log or the table in memory, as for `prepare`; of several files the first one is
            read.
        label: The column of clicks, or None to guess it as well.

    Returns:
        A schema TOML with comments: what each column was taken for, and why.

    Raises:
        DataError: The log cannot be read, or no column can be the label.

    Example:
        >>> from pathlib import Path
        >>> rows = (f"{i % 2},{i * 7 % 50}.5,{'AB'[i % 2]}" for i in range(60))
        >>> _ = Path("shop.csv").write_text("clicked,price,city\n" + "\n".join(rows))
        >>> print(guess_schema("shop.csv").partition("label")[2].splitlines()[0])
         = "clicked"  # 0 or 1; 50.0 % are clicks
    """
    log = find_log(source)
    log = Log(log.name, log.files[:1])
    layout = _layout(log, label)
    names, frame = _sample(log, layout)
    rule, label = _label(log, frame, names, label)
    guesses = {name: _of_column(frame, name) for name in names if name != label}
    guesses |= {name: _LISTS for name in names if _is_list_column(log, layout, name, frame)}
    guesses = _with_category(log, guesses)
    return _toml(log, layout, len(frame), rule, guesses)


def _layout(log: Log, label: str | None) -> Schema:
    """Separator, and names of the columns of a text without a header line."""
    if not log.is_text:
        return Schema(label=NO_LABEL)
    with TextStream(log.files[0]) as stream:
        head = stream.read(1 << 16).removeprefix(b"\xef\xbb\xbf")
    lines = [line.rstrip("\r") for line in head.decode(errors="replace").split("\n")[:FEW_LINES]]
    schema = Schema(label=NO_LABEL, separator=_separator(lines[:-1] or lines))
    fields, *rows = [
        [field.strip() for field in _fields(line, schema.separator)] for line in lines[:-1] or lines
    ]
    if label in fields or _are_names(fields, rows):
        check_once(f"{log}: header", fields)
        return schema
    names = (f"column_{place}" for place in range(1, len(fields) + 1))
    return Schema(label=NO_LABEL, separator=schema.separator, columns=(NO_LABEL, *names))


def _are_names(fields: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the fields of the first line are names of columns: also numbers, or one twice."""
    if sum(not field for field in fields) > 1:
        return False
    if not any(map(_is_number, fields)):
        has_numbers = any(_is_number(field) for row in rows for field in row)
        return has_numbers or len(set(fields)) == len(fields)
    counted = [field for field in fields if field]  # the first one is none for pandas' index
    if len(counted) > 2 and counted == [str(place) for place in range(len(counted))]:
        return True
    columns = zip(*(row for row in rows if len(row) == len(fields)), strict=True)
    for name, column in zip(fields, columns, strict=False):
        values = [value for value in column if value]
        is_name = name.lower() not in NO_VALUES and not _is_number(name)
        if is_name and len(values) >= LEAST_LINES and all(map(_is_number, values)):
            return True
    return False


def _separator(lines: Sequence[str]) -> str:
    """The first mark that divides all lines into equally many fields, or else the most frequent."""
    for is_strict in (True, False):  # marks within quotes divide nothing
        for mark in SEPARATORS:
            widths = {len(_fields(line, mark, is_strict=is_strict)) for line in lines}
            if len(widths) == 1 and widths.isdisjoint({0, 1}):
                return mark
    found = max(SEPARATORS, key=lambda mark: (lines[0].count(mark), mark != " "))
    return found if found in lines[0] else ","


def _fields(line: str, separator: str, *, is_strict: bool = False) -> list[str]:
    try:
        return split_fields(line, Schema(label=NO_LABEL, separator=separator))
    except csv.Error:  # a line break in quotes, or quotes that are none
        return [] if is_strict else line.split(separator)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _sample(log: Log, layout: Schema) -> tuple[list[str], pl.DataFrame]:
    """Names of all columns, and the first rows of those that can be read, as text."""
    if log.is_text:
        names = list(column_names(log, layout, has_label=False))
        return names, _head(log, layout, names)
    names = list(table_columns(log.files[0], layout))
    columns = []
    for name in filter(None, names):
        with suppress(ColumnError):
            columns.append(_head(log, layout, [name]))
    return names, pl.concat(columns, how="horizontal") if columns else pl.DataFrame()


def _is_list_column(log: Log, layout: Schema, name: str, frame: pl.DataFrame) -> bool:
    """Whether a column of a table, none of single values, has lists of them."""
    if log.is_text or not name or name in frame.columns:
        return False
    with suppress(ColumnError):
        return bool(len(_head(log, layout, [name], Column(name=name, last=1))))
    return False


def _head(log: Log, layout: Schema, names: Sequence[str], *options: Column) -> pl.DataFrame:
    schema = Schema(
        label=NO_LABEL,
        sparse=tuple(names),
        columns=layout.columns,
        separator=layout.separator,
        options=options,
    )
    chunks = read_chunks(log, schema, chunk_bytes=SAMPLE_BYTES, has_label=False)
    # A last line that does not end is a chunk of its own.
    return pl.concat(islice(chunks, 2)).head(SAMPLE_ROWS)


def _label(
    log: Log, frame: pl.DataFrame, names: Sequence[str], wanted: str | None
) -> tuple[list[str], str]:
    """Lines of TOML for the label, and its name."""
    if wanted is not None:
        if wanted not in frame.columns:
            raise DataError(f"label: expected one of {', '.join(names)[:200]}, got {wanted!r}")
        rule = _rule(frame[wanted])
        if rule is None:
            raise DataError(f"{log}: field {wanted}: expected two values or numbers, got others")
        return _lines_of_label(wanted, rule), wanted
    rules = {name: rule for name in frame.columns if (rule := _rule(frame[name]))}
    by_name = [name for name in rules if CLICK_NAMES.fullmatch(name)]
    plain = [name for name, rule in rules.items() if rule[0] == "plain"]
    found = [name for name in by_name if name in plain] + by_name + plain
    if not found:
        raise DataError(
            f"{log}: expected a column of clicks, such as 0 and 1, found none; name it as the label"
        )
    lines = _lines_of_label(found[0], rules[found[0]])
    others = [name for name in dict.fromkeys(found) if name != found[0]]
    if others:
        lines.append(f"# It may also be one of: {', '.join(map(_quoted, others))}")
    return lines, found[0]


def _rule(values: pl.Series) -> tuple[str, str, float] | None:
    """Kind of rule, its value, and the share of clicks; None for a column that is no label."""
    if values.null_count() or not len(values):
        return None
    lower = values.str.to_lowercase()
    distinct = sorted(values.unique())
    if lower.is_in(list(BOOLEANS)).all():
        is_click = lower.is_in(["1", "1.0", "true"])
        share = int(is_click.sum()) / len(values)
        return ("plain", "", share) if 0 < share < 1 else None
    numbers = _finite(values)
    if numbers is not None:
        found = numbers.to_numpy()
        least = 0.0 if found.min() <= 0 < found.max() else float(found.min())
        share = float((found > least).mean())
        return ("above", f"{least:g}", share) if 0 < share < 1 else None
    if len(distinct) == 2:
        rarer = min(distinct, key=lambda value: int((values == value).sum()))
        return ("positive", rarer, int((values == rarer).sum()) / len(values))
    return None


def _lines_of_label(name: str, rule: tuple[str, str, float]) -> list[str]:
    kind, value, share = rule
    clicks = f"{share:.1%}".replace("%", " % are clicks")
    if kind == "plain":
        return [f"label = {_quoted(name)}  # 0 or 1; {clicks}"]
    given = value if kind == "above" else f"[{_quoted(value)}]"
    comment = "a click is a larger number" if kind == "above" else "values that are clicks"
    return [f"label = {_quoted(name)}", f"{kind} = {given}  # {comment}; {clicks}"]


def _of_column(frame: pl.DataFrame, name: str) -> _Guess:
    """What a column is taken for."""
    if name not in frame.columns:
        return _Guess("dropped", "no single values")
    column = frame[name]
    values = column.drop_nulls()
    if not name or PANDAS_INDEX.fullmatch(name):
        return _Guess("dropped", "row numbers of pandas, or an empty column")
    if not len(values):
        return _Guess("dropped", "no value")
    gone = f"; {column.null_count() / len(column):.0%} missing" if column.null_count() else ""
    gone = gone.replace("%", " %")
    count = values.n_unique()
    if count == 1:
        return _Guess("dropped", f"one value in these rows{gone}")
    if form := _date_form(name, values):
        lines = ['parts = ["hour", "weekday"]']
        lines += [] if form == "ISO 8601" else [f"format = {_quoted(form)}"]
        return _Guess("sparse", f"a date{gone}", tuple(lines))
    numbers = _finite(values)
    is_whole = numbers is not None and bool((numbers == numbers.floor()).all())
    is_key = numbers is None or (
        is_whole and (ID_NAMES.fullmatch(name) is not None or _is_counted_up(numbers))
    )
    if count == len(values) >= LEAST_IDS and is_key:
        return _Guess("dropped", "a different value in each row")
    if numbers is not None:
        if is_whole and count <= FEW_VALUES:
            return _Guess("sparse", f"{count} whole numbers{gone}")
        if is_whole and CODE_NAMES.fullmatch(name):
            return _Guess("sparse", f"{count:,} numbers that look like codes{gone}")
        found = numbers.to_numpy()
        return _Guess("dense", f"{found.min():g} to {found.max():g}{gone}")
    for mark in LISTS:
        if _is_list(values, mark):
            table = (f"separator = {_quoted(mark)}", "last = 5")
            return _Guess("sparse", f"lists; the last five values are read{gone}", table)
    shown = ", ".join(_quoted(value[:20]) for value in values.unique(maintain_order=True)[:3])
    return _Guess("sparse", f"{count:,} values such as {shown}{gone}")


def _finite(values: pl.Series) -> pl.Series | None:
    """Numbers, if all values are finite ones."""
    numbers = values.cast(pl.Float64, strict=False)
    return numbers if not numbers.null_count() and numbers.is_finite().all() else None


def _is_counted_up(numbers: pl.Series | None) -> bool:
    return numbers is not None and bool((np.diff(numbers.to_numpy()) == 1).all())


def _date_form(name: str, values: pl.Series) -> str:
    """How dates are written; empty for a column of none."""
    if _finite(values) is None:
        return "" if seconds_of(values, "").null_count() else "ISO 8601"
    lengths = values.str.len_bytes().unique()
    if not TIME_NAMES.fullmatch(name) or len(lengths) != 1:
        return ""
    for form in PATTERNS.get(lengths[0], ()):
        seconds = seconds_of(values, form)
        # From 1995 to 2063: other numbers have as many digits.
        if not seconds.null_count() and seconds.is_between(788_918_400, 2_934_000_000).all():
            return form
    return ""


def _is_list(values: pl.Series, mark: str) -> bool:
    """Whether many values have several parts, which are few different ones."""
    is_several = values.str.contains(mark, literal=True)
    if not is_several.any() or int(is_several.sum()) < 0.3 * len(values):
        return False
    parts = values.str.split(mark).explode()
    return parts.n_unique() < len(parts) / 2


def _with_category(log: Log, guesses: dict[str, _Guess]) -> dict[str, _Guess]:
    """The same; where no column is a category, the first number is read as one as well."""
    if any(guess.role == "sparse" for guess in guesses.values()):
        return guesses
    for name, guess in guesses.items():
        if guess.role == "dense":
            comment = f"{guess.comment}; a category, since there is no other"
            return guesses | {name: _Guess("dense", comment, ("bins = 10",))}
    raise DataError(f"{log}: expected columns beside the label, found none that can be read")


def _toml(log: Log, layout: Schema, rows: int, label: list[str], guesses: dict[str, _Guess]) -> str:
    name = Path(log.name).name
    command = f"nasrec-opt prepare {quote(name)} --format THIS.toml --out DIR"
    if log.in_memory:
        command = 'prepare(frame, "DIR", format="THIS.toml")'
    lines = [
        f"# Guessed from the first {rows:,} rows of {_quoted(name)}: read it, change it, then run",
        f"#   {command}",
        "",
        *label,
    ]
    if format_ := _public(layout, guesses):
        lines.insert(
            2, f"# These are the columns of {format_}: --format {format_} needs no schema."
        )

    if layout.separator != ",":
        lines.append(f"separator = {_quoted(layout.separator)}")
    if layout.columns:
        columns = ", ".join(map(_quoted, layout.columns[1:]))
        lines.append(f"header = [{columns}]  # no line of the file: its first one is a row")
    lines.append("min_count = 1  # rarer values share one id; 5 or 10 for millions of rows")
    for role, meaning in (
        ("dense", "numbers"),
        ("sparse", "categories"),
        ("dropped", "not read"),
    ):
        chosen = {name: guess for name, guess in guesses.items() if guess.role == role}
        if chosen:
            lines += ["", f"{role} = [  # {meaning}", *_entries(chosen), "]"]
    dates = [name for name, guess in guesses.items() if guess.is_date]
    if dates:
        lines += ["", f"# time = {_quoted(dates[0])}  # trains on the past and tests on the future"]
    for name, guess in guesses.items():
        if guess.lines:
            lines += ["", f"[columns.{_quoted(name)}]", *guess.lines]
    return "\n".join(lines) + "\n"


def _public(layout: Schema, names: Iterable[str]) -> str:
    """The public log that has these columns, or the empty string."""
    if set(AVAZU) <= set(names):
        return "avazu"
    by_width = {len(Schema.criteo().columns): "criteo", len(KDD): "kdd2012"}
    is_tabbed = layout.separator == "\t" and layout.columns
    return by_width.get(len(layout.columns) - 1, "") if is_tabbed else ""


def _entries(guesses: dict[str, _Guess]) -> Iterable[str]:
    width = max(len(_quoted(name)) for name in guesses)
    for name, guess in guesses.items():
        yield f"    {_quoted(name) + ',':{width + 1}}  # {guess.comment}"


def _quoted(text: str) -> str:
    """Text in quotes as TOML reads it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
