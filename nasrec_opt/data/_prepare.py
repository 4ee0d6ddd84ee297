"""From a click log to a dataset: it is read once, and its rows are kept as numbers until it ends.

Only then are the ids of categories and the split by time known. Two passes over these numbers
follow: one learns vocabularies and statistics from the training rows alone, one writes. Memory
holds a chunk and the values of the categories, never the whole log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import polars as pl

from nasrec_opt._files import atomic_directory, write_json
from nasrec_opt.data._bayes_metrics import bayes_log_loss
from nasrec_opt.data._codes import Book, CodeBook
from nasrec_opt.data._dataset import META, Dataset
from nasrec_opt.data._formats import find_schema
from nasrec_opt.data._lines import LayoutError
from nasrec_opt.data._output import MADE_OF, made_of, making, unchanged
from nasrec_opt.data._passes import Rows, Survey, Writer, coded_columns
from nasrec_opt.data._profiles import Profiles, require_profiles
from nasrec_opt.data._reading import CHUNK_BYTES, read_chunks, resolved
from nasrec_opt.data._schema import Count, Schema
from nasrec_opt.data._sources import Given, find_log
from nasrec_opt.data._spilled_codes import SpilledCodeBook
from nasrec_opt.data._spool import Spool
from nasrec_opt.errors import DataError
from nasrec_opt.options import Layout

logger = logging.getLogger(__name__)

ROWS = ".rows"  # rows between the passes
READING, LEARNING, WRITING = 0, 1, 2
SHARES = (0, 500, 700, 1000)  # thousandths of the time at which each begins, and the end
OTHER_TABLES = (
    "; for other tables name a schema: [data] format or --format "
    "(nasrec-opt schema FILE writes one)"
)

Progress = Callable[[int, int | None], None]


def prepare(
    source: Given,
    out: Path | str,
    *,
    format: Path | str | Schema = "criteo",  # noqa: A002 - as on the command line
    layout: Layout = "default",
    count: Count | None = None,
    seed: int = 0,
    min_count: int | None = None,
    max_values: int | None = None,
    users: Path | str | None = None,
    progress: Progress | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    annotate: Callable[[Path], dict[str, Any]] | None = None,
) -> Dataset:
    """Prepare a click log once; a folder that is made of the same already stays as it is.

    Dense values become log(x + c), where c is 1, or 1 minus the smallest training value if that is
    negative. Missing values become 0. Categories become ids by descending count in the training
    rows.

    Args:
        source: The log: a file, a folder of files, a pattern such as `day_*.csv`, a file in a .zip
            archive as `archive.zip/day_0.csv`, or a list of these, read in order of their names.
            Text may be plain, .gz, .bz2, .xz, .zst, .lz4 or .zip; tables are Parquet or Arrow. Or
            a table in memory, which gives the same dataset as its rows in a Parquet file: a data
            frame of pandas or polars, a table of Arrow, or what exports an Arrow stream.
        out: Folder of the dataset; it appears only when it is complete.
        format: `criteo`, `avazu`, `kdd2012`, a schema, or the path of a schema TOML.
        layout: Columns of a public log: ours, or those of the paper's code (`published`).
        count: What becomes of a line of KDD Cup 2012: a row (`line`), a row for each show
            (`impression`), or rows with weights (`weight`); None means a row.
        seed: Seed of the 80/10/10 split.
        min_count: Rarer values are dropped from the vocabularies for good; None means the schema's
            threshold (public logs: 1). A higher one can be set each time the dataset is opened.
        max_values: Only as many values of a column have an id, the most frequent ones; all others
            are read as rare. None means any number. Values are counted exactly; they are kept on
            disk until they are counted, so memory follows this number, not that of all values.
        users: File of user profiles, for a schema whose `users` names the column of user ids:
            tab-separated user, gender and age, without a header.
        progress: Called with (done, total), in arbitrary units.
        chunk_bytes: Text read at a time; it changes nothing in the result.
        annotate: Called with the folder before it appears; its result is added to the description.

    Returns:
        The dataset, opened.

    Raises:
        DataError: Something is wrong with the log, a schema or an option; the message names file,
            row and field, what was expected and what was found.

    References:
        AutoCTR-style preprocessing; statistics are those of the training rows alone.
    """
    log, out = find_log(source), Path(out)
    given = find_schema(format, layout=layout, count=count, has_users=users is not None)
    with _hinted(format):
        schema = resolved(log, given)
    least = schema.min_count if min_count is None else min_count
    if least < 1:
        raise DataError(f"min_count: expected 1 or more, got {least}")
    if max_values is not None and max_values < 1:
        raise DataError(f"max_values: expected 1 or more, got {max_values}")
    if seed < 0:
        raise DataError(f"seed: expected 0 or more, got {seed}")
    if bool(schema.users) != (users is not None):
        expected = "a file of user profiles" if schema.users else "none"
        got = "none" if schema.users else str(users)
        raise DataError(f"users: expected {expected} with this schema, got {got}")
    _check_out(out)

    if users is not None:
        require_profiles(users)
    joined = None if users is None else find_log(users).stamp()
    bound = {} if max_values is None else {"max_values": max_values}
    identity = made_of(log, schema, seed=seed, min_count=least, users=joined, **bound)
    with making(out):
        dataset = unchanged(out, identity)
        if dataset is not None:
            logger.info("%s: made of the same before, nothing to do", out)
            return dataset
        profiles = Profiles.read(users) if users is not None else None
        chunks = read_chunks(
            log, schema, chunk_bytes=chunk_bytes, progress=_part(progress, READING)
        )
        with _room_for(out), atomic_directory(out) as folder:
            with (
                Spool(folder / ROWS) as spool,
                _book(coded_columns(schema), folder, max_values) as book,
            ):
                rows = Rows(schema, spool, profiles, book)
                with _hinted(format):
                    for frame in chunks:
                        rows.add(frame)
                splitter = rows.splitter(log, seed)
                survey = Survey(schema, rows.book)
                survey.add(rows.split(splitter, _part(progress, LEARNING)))
                if not given.sparse:
                    survey.warn_of_columns(log)
                survey.check(log, rows.num_lines)
                with Writer(folder, survey, min_count=least, max_values=max_values) as writer:
                    writer.add(rows.split(splitter, _part(progress, WRITING)))
                    meta = writer.finish() | splitter.to_dict()
            if profiles is not None:
                profiles.save(folder)
            meta |= {"source": Path(log.name).name, "min_count": least, **bound, MADE_OF: identity}
            bayes = bayes_log_loss(log, schema, meta)
            meta |= {"bayes_log_loss": bayes} if bayes else {}
            write_json(folder / META, meta | (annotate(folder) if annotate else {}))
        return Dataset.open(out)


def _book(names: list[str], folder: Path, max_values: int | None) -> AbstractContextManager[Book]:
    """What counts values: in memory, or on disk where few of them are kept."""
    if max_values is None:
        return nullcontext(CodeBook(names))
    return SpilledCodeBook(names, folder, max_values)


@contextmanager
def _hinted(format: Path | str | Schema) -> Iterator[None]:  # noqa: A002
    """Say how other tables are read where one does not have the layout that its format names."""
    try:
        yield
    except LayoutError as error:
        if isinstance(format, Schema) or Path(format).suffix == ".toml":
            raise
        raise DataError(f"{error}{OTHER_TABLES}") from None


@contextmanager
def _room_for(out: Path) -> Iterator[None]:
    """Name the folder where its files cannot be written, such as on a full disk."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise DataError(f"{out}: expected room for the dataset, got: {reason}") from error


def _check_out(out: Path) -> None:
    """Refuse to replace anything but a dataset."""
    above = next((folder for folder in out.parents if folder.exists()), out)
    if not above.is_dir():
        raise DataError(f"{out}: expected a path below a folder, found the file {above}")
    if out.exists() and not (out / META).exists() and not (out.is_dir() and _is_empty(out)):
        raise DataError(f"{out}: expected a new folder or a dataset, found something else")


def _is_empty(folder: Path) -> bool:
    return next(folder.iterdir(), None) is None


def _part(progress: Progress | None, part: int) -> Progress | None:
    """Progress of reading, learning or writing as progress of all, in thousandths."""
    if progress is None:
        return None
    first, last = SHARES[part : part + 2]
    return lambda done, total: progress(
        first + (last - first) * done // max(total or 1, 1), SHARES[-1]
    )
