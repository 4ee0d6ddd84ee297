"""The click log of a run: files, or a dataset that is prepared already."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nasrec_opt._files import atomic_directory
from nasrec_opt.data import Dataset, find_log
from nasrec_opt.errors import DataError

Source = Path | Sequence[Path]


def source_name(source: Source) -> str:
    """Absolute paths as one text, for `run.json`: a path, or a list of several in JSON."""
    if isinstance(source, Path):
        return str(source.resolve())
    paths = sorted(str(path.resolve()) for path in source)
    return paths[0] if len(paths) == 1 else json.dumps(paths, ensure_ascii=False)


def named_source(name: str) -> Source:
    """Inverse of `source_name`."""
    paths = _paths(name)
    return Path(paths[0]) if len(paths) == 1 else tuple(map(Path, paths))


def _paths(name: str) -> list[str]:
    return json.loads(name) if name.startswith("[") else [name]  # other paths begin with their root


def is_dataset(source: Source) -> bool:
    """Whether a source is the folder of a dataset."""
    return isinstance(source, Path) and (source / "dataset.json").is_file()


def content_of(source: Source) -> str:
    """Identify what a source holds, without reading all of it.

    Raises:
        DataError: It is not there, or neither a log nor a dataset.
    """
    if is_dataset(source):
        return Dataset.open(source).fingerprint[:16]  # type: ignore[arg-type]
    return find_log(source).stamp()


def is_same_log(settings: dict[str, Any], source: Source) -> bool:
    """Whether a folder was prepared from a log, which may have been moved or removed since.

    Args:
        settings: Settings of the stage that prepared it.
        source: The log that is given now; if it is gone, its name decides.
    """
    then, now = str(settings["source"]), source_name(source)
    if then == now:
        return True
    content = settings.get("content")
    try:
        return bool(content == content_of(source))
    except DataError:
        names = [[Path(path).name for path in _paths(name)] for name in (then, now)]
        return content is not None and names[0] == names[1]


def copy_dataset(source: Path, out: Path) -> Dataset:
    """Copy a dataset; files on the same disk are linked, which takes no time and no room.

    Raises:
        DataError: It is damaged, or there is no room for it.
    """
    dataset = Dataset.open(source)
    for name in ("train", "validation", "test"):
        dataset.split(name)
    try:
        with atomic_directory(out) as folder:
            shutil.copytree(source, folder, copy_function=_linked, dirs_exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: expected room for the dataset, got: {error}") from error
    return Dataset.open(out)


def _linked(source: str, target: str) -> str:
    """Nothing writes into a finished dataset: a link is as good as a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
