"""A run folder as people open it: set right after a copy or a move, and the commands to type."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from nasrec_opt._sqlite import sqlite_url
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.tracking import relocate


def open_run(path: Path) -> str:
    """What `how_to_open` says of a run folder, which may have been copied or moved to its place.

    Args:
        path: The folder.

    Raises:
        StudyError: It is no run folder, or MLflow's store must be written and cannot be.
    """
    folder = RunFolder(path)
    if not folder.record():
        raise StudyError(f"{path}: expected a run folder, found no {folder.record_path.name} there")
    settle(folder)
    return how_to_open(folder)


def settle(folder: RunFolder) -> bool:
    """Make a run folder whole by itself, wherever it was copied or moved from.

    MLflow's store names its artifacts by their absolute path, which was another one then. A folder
    on a read-only mount stays as it is.

    Returns:
        Whether the folder had been elsewhere.

    Raises:
        StudyError: MLflow's store cannot be read or written.
    """
    return os.access(folder.path, os.W_OK) and relocate(folder.mlflow_db, folder.artifacts)


def how_to_open(folder: RunFolder, search: str = "") -> str:
    """Where the results of a run are, and the commands that open them, quoted for a shell.

    Args:
        folder: The run folder.
        search: Of which search the report is: empty for the first one, else its study's name.
    """
    report = folder.report_of(search)
    study, runs = sqlite_url(folder.study_db), sqlite_url(folder.mlflow_db)
    lines = [
        ("HTML report", report, f"open {report.absolute().as_uri()} in a browser"),
        (
            "Optuna storage",
            folder.study_db,
            f"optuna-dashboard {shlex.quote(study)} --artifact-dir {_argument(folder.drawings)}",
        ),
        (
            "MLflow store",
            folder.mlflow_db,
            f"mlflow ui --backend-store-uri {shlex.quote(runs)}",
        ),
    ]
    if folder.comparison.exists():
        page = folder.comparison
        lines.insert(1, ("All searches", page, f"open {page.absolute().as_uri()} in a browser"))
    return "\n".join(f"{what:<15} {path}\n{'':<15} {command}" for what, path, command in lines)


def _argument(path: Path) -> str:
    """A path for a shell, which neither it nor the program takes for something else."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)
