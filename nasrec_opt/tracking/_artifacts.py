"""Files and folders as artifacts of a run, under names that every artifact store accepts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from nasrec_opt.tracking._names import encode


def put(client: Any, run_id: str, path: Path) -> None:
    """Copy a file or a folder to a run's artifacts.

    A name that MLflow would refuse or misinterpret (`#` and `?` have a meaning in the address of a
    tracking server) is encoded like the names of metrics.

    Args:
        client: MLflow's client.
        run_id: Of the run.
        path: The file or folder.
    """
    with tempfile.TemporaryDirectory() as scratch:
        clean = _cleanly_named(path.resolve(), encode(path.name), Path(scratch))
        if path.is_dir():
            client.log_artifacts(run_id, str(clean), clean.name)
        else:
            client.log_artifact(run_id, str(clean))


def _cleanly_named(path: Path, name: str, scratch: Path) -> Path:
    """The path itself, or a link with a clean name in a scratch folder."""
    inside = sorted(path.rglob("*")) if path.is_dir() else []
    if name == path.name and all(encode(file.name) == file.name for file in inside):
        return path
    clean = scratch / name
    if not path.is_dir():
        clean.symlink_to(path)
        return clean
    clean.mkdir()
    for file in inside:
        target = clean.joinpath(*map(encode, file.relative_to(path).parts))
        if file.is_dir():
            target.mkdir()
        else:
            target.symlink_to(file)
    return clean
