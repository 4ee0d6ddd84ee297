"""Models in the registry of an MLflow store: a version for each model, and the alias `champion`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nasrec_opt.tracking._notes import Notes
from nasrec_opt.tracking._parent import Parent
from nasrec_opt.tracking._store import require_reachable

CHAMPION = "champion"
DIGEST_TAG = "nasrec.digest"  # of a version: what the model computes
LOGGED_NAME = "ctr-model"  # MLflow refuses dots, which the name of a study may have
PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    """A model for those who serve it.

    Args:
        folder: A model of MLflow, as `nasrec_opt.serving.export` writes it.
        name: In the registry.
        digest: Of what the model computes, such as `Predictor.digest()`: models with the same one
            are the same version.
        tags: Of a new version.
    """

    folder: Path
    name: str
    digest: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Registered:
    """A model in a registry.

    Args:
        name: Its name.
        version: The version.
        is_new: Whether it was not there before.
    """

    name: str
    version: str
    is_new: bool

    @property
    def address(self) -> str:
        """Of the champion, for MLflow."""
        return f"models:/{self.name}@{CHAMPION}"


def register(parent: Parent, champion: Champion) -> Registered:
    """Log a model to the run of a study and register it; one that is there is not logged again.

    Args:
        parent: The run of the study.
        champion: The model.

    Returns:
        The version, which has the alias `champion` from now on.

    Raises:
        OSError: The store is away.
    """
    require_reachable(parent.store.uri)
    client, name = parent.store.client, champion.name
    version = _version_of(client, name, champion.digest)
    is_new = version is None
    if version is None:
        is_named = _require_name(client, name)
        try:
            version = _new_version(parent, champion)
        except BaseException:
            with suppress(Exception):  # the first error is the one to report
                if is_named and not client.search_model_versions(f"name = '{name}'", 1):
                    client.delete_registered_model(name)
            raise
    client.set_registered_model_alias(name, CHAMPION, version)
    return Registered(name, str(version), is_new)


def _version_of(client: Any, name: str, digest: str) -> str | None:
    """The newest version with a digest, if there is one."""
    found = []
    token = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", PAGE, page_token=token)
        found += [int(entry.version) for entry in page if entry.tags.get(DIGEST_TAG) == digest]
        token = page.token
        if not token:
            return str(max(found)) if found else None


def _require_name(client: Any, name: str) -> bool:
    """Make sure that a name is in the registry; whether it is new there."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return False
    return True


def _new_version(parent: Parent, champion: Champion) -> str:
    """Copy the model to the artifacts of the experiment, and make a version of it."""
    from mlflow.entities import LoggedModelOutput

    client = parent.store.client
    logged = client.create_logged_model(
        parent.store.experiment_id, LOGGED_NAME, source_run_id=parent.run_id
    )
    try:
        client.log_model_artifacts(logged.model_id, str(champion.folder))
        client.finalize_logged_model(logged.model_id, "READY")
        version = client.create_model_version(
            champion.name,
            logged.artifact_location,  # models:/<id> is looked up in MLflow's default store
            run_id=parent.run_id,
            tags=Notes().tags({**champion.tags, DIGEST_TAG: champion.digest}),
            model_id=logged.model_id,
        ).version
    except BaseException:
        _take_back(parent, logged)
        raise
    client.log_outputs(parent.run_id, [LoggedModelOutput(logged.model_id, 0)])
    return str(version)


def _take_back(parent: Parent, logged: Any) -> None:
    """Remove a model that no version refers to, and its files, as far as the store lets us."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with suppress(Exception):  # the first error is the one to report
        where = logged.artifact_location
        files: Any = get_artifact_repository(where, tracking_uri=parent.store.uri)
        files.delete_artifacts()
    with suppress(Exception):
        parent.store.client.delete_logged_model(logged.model_id)
