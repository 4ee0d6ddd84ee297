"""optuna-dashboard: a picture beside a finished trial.

`optuna.artifacts.upload_artifact` writes into the trial, which is closed once it has ended. The
dashboard also looks for artifacts of trials among the attributes of the study, under a key of its
own. Where the installed one has another key, the picture is an artifact of the study, by the public
interface, and names its trial.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import uuid
import warnings
from pathlib import Path

import optuna
from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta, upload_artifact
from optuna.trial import FrozenTrial

from nasrec_opt._foreign.optuna import (
    add_study_note,
    number_in_storage,
    storage_of,
    study_notes,
)

PREFIX = "dashboard:artifacts:{trial}:"  # of an attribute of the study; the artifact's id follows
MIMETYPE = "image/svg+xml"


def has_pictures_of_trials() -> bool:
    """Whether the dashboard finds artifacts of trials under `PREFIX`; as far as is known."""
    try:
        from optuna_dashboard.artifact import _backend
    except ImportError:
        return True  # not installed: whoever looks at the study has one of the usual shape
    prefix = getattr(_backend, "_dashboard_artifact_prefix", None)
    try:
        return prefix is not None and prefix(7) == PREFIX.format(trial=7)
    except TypeError:
        return False


def attach_picture(
    study: optuna.Study, trial: FrozenTrial, picture: Path, folder: Path, identity: str
) -> None:
    """Make an SVG an artifact of a finished trial; once, however often it is done.

    Args:
        study: Has the trial.
        trial: The trial.
        picture: The SVG.
        folder: Where Optuna's artifacts are: `optuna-dashboard --artifact-dir`.
        identity: Equal for equal pictures of one trial.
    """
    folder.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        store = FileSystemArtifactStore(folder)
        if storage_of(study) is None or not has_pictures_of_trials():
            _attach_to_study(study, f"trial-{trial.number}-{picture.name}", picture, store)
            return
    artifact_id = str(uuid.uuid5(uuid.NAMESPACE_OID, identity))
    key = PREFIX.format(trial=number_in_storage(trial)) + artifact_id
    if key in study_notes(study):
        return
    with picture.open("rb") as stream:
        store.write(artifact_id, stream)
    meta = {"artifact_id": artifact_id, "filename": picture.name, "mimetype": MIMETYPE}
    add_study_note(study, key, json.dumps(meta))


def _attach_to_study(
    study: optuna.Study, name: str, picture: Path, store: FileSystemArtifactStore
) -> None:
    if any(meta.filename == name for meta in get_all_artifact_meta(study)):
        return
    with tempfile.TemporaryDirectory() as scratch:
        named = Path(scratch) / name
        shutil.copyfile(picture, named)
        upload_artifact(
            artifact_store=store, file_path=str(named), study_or_trial=study, mimetype=MIMETYPE
        )
