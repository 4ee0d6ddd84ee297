"""The best model of a run in MLflow's registry, for those who serve it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna

from nasrec_opt._addresses import resolved
from nasrec_opt._files import read_json, write_json
from nasrec_opt._results import read_results
from nasrec_opt._sqlite import sqlite_url
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline._dashboard import MAX_MODEL_BYTES
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._logging import URI
from nasrec_opt.pipeline._opening import settle
from nasrec_opt.pipeline._searches import studies_of
from nasrec_opt.pipeline._storage import as_study_error, home_of, writable_storage
from nasrec_opt.serving import ModelChoice, Predictor, export, find_results
from nasrec_opt.tracking import Champion, MLflowLogger, Registered, Tracker

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]*")
MODEL_TAG = "nasrec.model"  # rank, or `ensemble`
COMMAND = "nasrec-opt register {run} --model {model}"


def register_winner(
    folder: RunFolder, place: str, study: optuna.Study, tracker: Tracker
) -> Registered:
    """Register the winner of a search under the name of its study.

    Args:
        folder: The run folder.
        place: Of the search in it.
        study: The search.
        tracker: Of the study.

    Returns:
        The version; it is in the folder's record as well.

    Raises:
        StudyError: A baseline wins, the model is large, runs are not logged, or the registry is
            away or refuses the model.
        MissingExtraError: MLflow is not installed.
    """
    results = folder.results_of(place)
    found = read_results(results)
    chosen = _winner(found)
    if chosen is None:
        name = found["winner"]["name"].replace("_", " ")
        raise StudyError(
            f"{name} is better; the best of the trained models is registered by "
            f"{COMMAND.format(run=folder.path, model=1)}"
        )
    predictor = Predictor.load(results, model=chosen)
    size = sum(w.numel() * w.element_size() for w in predictor.model.state_dict().values())
    if size > MAX_MODEL_BYTES:
        raise StudyError(
            f"a model of {size / 1e6:,.0f} MB is copied to the registry on request: "
            f"{COMMAND.format(run=folder.path, model=chosen)}"
        )
    version = _register(predictor, results, chosen, study, tracker, study.study_name)
    if version is None:
        raise StudyError("runs are not logged")
    _keep(folder.registered_of(place), version, chosen)
    return version


def register_model(
    run: Path, *, model: ModelChoice = "best", name: str | None = None
) -> Registered:
    """Register a trained model of a run as the champion.

    Args:
        run: A run folder, or a `results.json` in one.
        model: Rank of the model, `"best"` or `"ensemble"`.
        name: In the registry, or None for the study's.

    Returns:
        The version. A model that is registered under the name already has no other version.

    Raises:
        StudyError: There is no such model, or the registry is away or refuses it.
        MissingExtraError: MLflow is not installed.
    """
    if name is not None and not NAME.fullmatch(name):
        raise StudyError(f"--name: expected letters, digits, spaces, '.', '_' or '-', got {name!r}")
    results, path = find_results(run)
    folder = RunFolder(path)
    is_first = results.absolute() == folder.results.absolute()
    place = "" if is_first else results.absolute().parent.name
    predictor = Predictor.load(results, model=model)
    if model == "best":
        model = _winner(read_results(results)) or 1
    with folder.locked():
        settle(folder)
        study = study_at(folder, place)
        with tracker_of(folder, study) as tracker:
            found = _register(predictor, results, model, study, tracker, name or study.study_name)
        assert found is not None  # of MLflow's
        _keep(folder.registered_of(place), found, model)
    return found


def _register(
    predictor: Predictor,
    results: Path,
    model: ModelChoice,
    study: optuna.Study,
    tracker: Tracker,
    name: str,
) -> Registered | None:
    with tempfile.TemporaryDirectory() as scratch:
        export(predictor, Path(scratch) / "model", format="mlflow")
        champion = Champion(
            folder=Path(scratch) / "model",
            name=name,
            digest=predictor.digest(),
            tags={MODEL_TAG: str(model), **_figures(read_results(results), model)},
        )
        return tracker.log_champion(study, champion)


def _winner(results: Mapping[str, Any]) -> ModelChoice | None:
    """The winner of a run, or None where a baseline wins."""
    choices: dict[str, ModelChoice] = {"model": 1, "ensemble": "ensemble"}
    return choices.get((results.get("winner") or {}).get("name", "model"))


def _figures(results: Mapping[str, Any], model: ModelChoice) -> dict[str, str]:
    """Log losses of the model, for the list of versions."""
    entry = results["ensemble"] if model == "ensemble" else results["models"][int(model) - 1]
    names = ("validation_log_loss", "test_log_loss")
    return {f"nasrec.{name}": str(entry[name]) for name in names if name in entry}


def study_at(folder: RunFolder, place: str) -> optuna.Study:
    """Open the study of a search of a folder.

    Args:
        folder: The run folder.
        place: Of the search in it.

    Raises:
        StudyError: There is none, or it cannot be read.
    """
    names = list(studies_of(folder))
    if not names:
        raise StudyError(f"{home_of(folder)}: expected the study of the run, found none there")
    with as_study_error(home_of(folder)):
        return optuna.load_study(study_name=place or names[0], storage=writable_storage(folder))


def tracker_of(folder: RunFolder, study: optuna.Study) -> MLflowLogger:
    """Open MLflow's store where a run was logged.

    Args:
        folder: The run folder.
        study: Of the run.

    Raises:
        MissingExtraError: MLflow is not installed.
    """
    try:
        record = dict(read_json(folder.mlflow_record))
    except (OSError, ValueError, TypeError):
        record = {}  # it was not
    uri = record.get("uri")
    return MLflowLogger(
        resolved(URI, uri) if uri else sqlite_url(folder.mlflow_db),
        experiment=record.get("experiment") or study.study_name,
        artifact_location=None if uri else folder.artifacts.resolve().as_uri(),
    )


def _keep(file: Path, found: Registered, model: ModelChoice) -> None:
    write_json(
        file,
        {"name": found.name, "version": found.version, "address": found.address, "model": model},
    )
