"""Opening a run folder: it is corrected after a copy or a move, and commands are printed."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nasrec_opt._addresses import in_shell
from nasrec_opt._files import read_json
from nasrec_opt._sqlite import sqlite_url
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._storage import home_of
from nasrec_opt.serving import find_results
from nasrec_opt.tracking import relocate

READ_ONLY = (
    "This folder cannot be written, which optuna-dashboard and MLflow need: copy it to open it "
    "with them. The report opens as it is."
)
MLFLOW_UI = "http://127.0.0.1:5000"  # where `mlflow ui` serves by default


def open_run(path: Path) -> str:
    """Describe how to open a run folder, which may have been copied or moved.

    Args:
        path: The folder, or a `results.json` in it.

    Returns:
        The text of `how_to_open`; paths in MLflow's store are corrected.

    Raises:
        StudyError: The path is no run folder, or MLflow's store must be written and cannot be.
    """
    folder = RunFolder(find_results(path)[1] if path.is_file() else path)
    if not folder.record():
        raise StudyError(f"{path}: expected a run folder, found no {folder.record_path.name} there")
    settle(folder)
    commands = how_to_open(folder)
    return commands if _is_writable(folder) else f"{commands}\n{READ_ONLY}"


def settle(folder: RunFolder) -> bool:
    """Make a run folder self-contained after a copy or a move.

    MLflow's store names artifacts by their absolute path, which has then changed. A folder on a
    read-only mount stays as it is.

    Returns:
        Whether the folder had been moved or copied.

    Raises:
        StudyError: MLflow's store cannot be read or written.
    """
    return _is_writable(folder) and relocate(folder.mlflow_db, folder.artifacts)


def _is_writable(folder: RunFolder) -> bool:
    return os.access(folder.path, os.W_OK)


def how_to_open(folder: RunFolder, search: str = "") -> str:
    """List where the results of a run are, and the commands that open them, quoted for a shell.

    Args:
        folder: The run folder.
        search: The search whose report is named: empty for the first one, else the name of its
            study.

    Returns:
        A few lines of text.
    """
    report = folder.report_of(search)
    lines: list[tuple[object, ...]] = [
        ("HTML report", report, f"open {report.absolute().as_uri()} in a browser"),
        _optuna(folder),
        _mlflow(folder),
    ]
    served = _served(folder, search)
    if served:
        lines.append(served)
    if folder.comparison.exists():
        page = folder.comparison
        lines.insert(1, ("All searches", page, f"open {page.absolute().as_uri()} in a browser"))
    return "\n".join(
        "\n".join((f"{what:<15} {path}", *(f"{'':<15} {how}" for how in ways)))
        for what, path, *ways in lines
    )


def _optuna(folder: RunFolder) -> tuple[object, ...]:
    """The lines on the Optuna storage; the dashboard cannot read from a proxy."""
    home = home_of(folder)
    is_here = home == str(folder.study_db)
    study = sqlite_url(folder.study_db) if is_here else home.removeprefix("journal://")
    if study.startswith("grpc:"):
        return "Optuna storage", home
    command = f"optuna-dashboard {in_shell(study)} --artifact-dir {_argument(folder.drawings)}"
    return "Optuna storage", home, command


def _mlflow(folder: RunFolder) -> tuple[object, ...]:
    """The lines on the MLflow store; a tracking server has a page without starting anything."""
    logged, address = _logged(folder), _store(folder)
    if urlsplit(address).scheme in ("http", "https"):
        page = f"{address.rstrip('/')}{logged['page']}"
        return "MLflow server", address, f"open {page} in a browser"
    command = f"mlflow ui --backend-store-uri {in_shell(address)}"
    where = folder.mlflow_db if logged["uri"] is None else address
    return "MLflow store", where, command, f"open {MLFLOW_UI}{logged['page']} in a browser"


def _served(folder: RunFolder, search: str) -> tuple[object, ...]:
    """The lines on the registered model; none without one."""
    try:
        record = read_json(folder.registered_of(search))
        address = f"{record['address']} (version {record['version']})"
    except (OSError, ValueError, TypeError, KeyError):
        return ()
    where = in_shell(_store(folder))
    model = shlex.quote(record["address"])
    command = f"MLFLOW_TRACKING_URI={where} mlflow models serve -m {model} --env-manager local"
    return "Champion", address, command


def _store(folder: RunFolder) -> str:
    """The tracking URI of a run, without a user name: MLflow has variables of its own for it."""
    uri: str | None = _logged(folder)["uri"]
    if uri is None:
        return sqlite_url(folder.mlflow_db)
    if not uri.startswith(("http://", "https://")):
        return uri
    server = urlsplit(uri)
    return server._replace(netloc=server.netloc.rpartition("@")[2]).geturl()


def _logged(folder: RunFolder) -> dict[str, Any]:
    try:
        return {"uri": None, "page": "", **read_json(folder.mlflow_record)}
    except (OSError, ValueError, TypeError):
        return {"uri": None, "page": ""}  # a folder from before


def _argument(path: Path) -> str:
    """A path as a shell argument that neither the shell nor the program misinterprets."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)
