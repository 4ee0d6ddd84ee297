"""The folder of a dataset: one process at a time makes it, and what it is made of is kept."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nasrec_opt._files import read_json
from nasrec_opt.data._dataset import META, Dataset
from nasrec_opt.data._parquet import content_stamp
from nasrec_opt.data._schema import Schema
from nasrec_opt.data._sources import Log
from nasrec_opt.data._split import SPLITS
from nasrec_opt.errors import DataError

MADE_OF = "made_of"  # key of the description


def made_of(log: Log, schema: Schema, **options: Any) -> dict[str, Any]:
    """What identifies the input of a dataset: its files by name, size, time and parts, and options.

    A table in memory is identified by the content of the columns that are read.

    Args:
        log: The files, or the table.
        schema: The columns, resolved.
        options: Everything else that the dataset depends on, as JSON values.

    Raises:
        DataError: The table has a column that cannot be read.
    """
    options["schema"] = schema.to_dict()
    if log.in_memory:
        return {"files": [], "stamp": content_stamp(log, schema), **options}
    stats = [(path.name, path.stat()) for path in log.paths]
    files = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]
    return {"files": files, "stamp": log.stamp(), **options}


def unchanged(out: Path, identity: dict[str, Any]) -> Dataset | None:
    """The dataset of a folder if it is whole and made of the same, else None."""
    with suppress(OSError, ValueError, AttributeError, DataError):
        if read_json(out / META).get(MADE_OF) == identity:
            dataset = Dataset.open(out)
            for name in SPLITS:
                dataset.split(name)
            return dataset
    return None


@contextmanager
def making(out: Path) -> Iterator[None]:
    """Lock a folder that is to be made, and tidy up what a killed process has left beside it.

    Raises:
        DataError: Another process makes it, or its parent cannot be written.
    """
    parent, path = out.parent, out.parent / f".{out.name}.lock"
    created = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    lock = FileLock(path)  # released when its process ends, however it ends
    try:
        parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise DataError(
            f"{out}: another process prepares this dataset; wait for it, or give another folder"
        ) from None
    except OSError as error:
        raise DataError(
            f"{out}: expected a folder that can be written, got: {error.strerror}"
        ) from error
    try:
        _tidy(out)
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):  # a folder that is not empty stays
            for folder in created:
                folder.rmdir()


def _tidy(out: Path) -> None:
    """Remove the temporary folders of `atomic_directory`; one that replaced `out` is put back."""
    temporary = re.compile(rf"\.{re.escape(out.name)}\.(old\.)?[a-z0-9_]{{8}}")
    for folder in out.parent.iterdir():
        if temporary.fullmatch(folder.name) and folder.is_dir():
            if (folder / "replaced").exists() and not out.exists():
                os.replace(folder / "replaced", out)
            shutil.rmtree(folder, ignore_errors=True)
