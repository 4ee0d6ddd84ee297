"""The run of a study, in which the runs of its trials are nested: found again, or created."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import optuna

from nasrec_opt import __version__
from nasrec_opt.tracking._names import encode_title
from nasrec_opt.tracking._notes import Notes
from nasrec_opt.tracking._record import (
    BEGAN_TAG,
    COMMIT_TAG,
    DATA_TAG,
    FEATURES_TAG,
    KIND_TAG,
    PARENT_TAG,
    SAMPLER_TAG,
    SPACE_NAME_TAG,
    SPACE_TAG,
    STUDY_TAG,
    VERSION_TAG,
)
from nasrec_opt.tracking._store import Store
from nasrec_opt.tracking._values import joined
from nasrec_opt.tracking._writer import MAX_TEXTS

INHERITED = (DATA_TAG, FEATURES_TAG)  # by trials, from the run of their study


@dataclass
class Parent:
    """The run of one study.

    Args:
        store: Where it is.
        run_id: Its identifier.
        metric_names: Of the study's objectives, in order.
        tags: Of each run that is nested in it.
        is_dated: Whether the run knows when the study's first trial ended.
    """

    store: Store
    run_id: str
    metric_names: list[str]
    tags: dict[str, str] = field(default_factory=dict)
    is_dated: bool = False

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Tag the run, and those nested in it from now on with what they inherit."""
        from mlflow.entities import RunTag

        entities = [RunTag(name, value) for name, value in Notes().tags(tags).items()]
        self.store.client.log_batch(self.run_id, tags=entities)
        self.tags |= {name: tags[name] for name in INHERITED if name in tags}

    def add_params(self, params: Mapping[str, str]) -> None:
        """Write parameters; one that is there already stays, since MLflow never changes any."""
        from mlflow.entities import Param

        known = self.store.client.get_run(self.run_id).data.params
        new = [Param(name, value) for name, value in params.items() if name not in known]
        for start in range(0, len(new), MAX_TEXTS):
            self.store.client.log_batch(self.run_id, params=new[start : start + MAX_TEXTS])

    def nested(self, *, with_deleted: bool = False) -> list[Any]:
        """The runs nested in it."""
        return self.store.runs(f"tags.`{PARENT_TAG}` = '{self.run_id}'", with_deleted=with_deleted)

    def date(self, moment: str | None) -> None:
        """Write down when the first trial ended, once it has."""
        if not self.is_dated and moment is not None:
            self.set_tags({BEGAN_TAG: moment})
            self.is_dated = True


def find_parent(store: Store, study: optuna.Study, tags: Mapping[str, str]) -> Parent:
    """The run of a study, opened again; created where there is none.

    Args:
        store: The experiment.
        study: The study.
        tags: Of a run that is created, and of those nested in it.
    """
    found = _matching(store, study)
    if not found:
        created = store.client.create_run(
            store.experiment_id,
            tags=Notes().tags(_description(study) | dict(tags)),
            run_name=encode_title(study.study_name),
        ).info.run_id
        # Two workers may create one at the same moment: both keep the older.
        found = _matching(store, study)
        if found and found[0].info.run_id != created:
            store.client.delete_run(created)
    run = found[0]
    if run.info.status != "RUNNING":
        store.client.update_run(run.info.run_id, status="RUNNING")
    known = {name: joined(run.data.tags, name) for name in INHERITED}
    inherited = {name: text for name, text in known.items() if text is not None}
    own = {PARENT_TAG: run.info.run_id, **code_version()}
    return Parent(
        store=store,
        run_id=run.info.run_id,
        metric_names=metric_names(study),
        tags={SAMPLER_TAG: type(study.sampler).__name__, **tags, **inherited, **own},
        is_dated=BEGAN_TAG in run.data.tags,
    )


def metric_names(study: optuna.Study) -> list[str]:
    """Names of the objectives; `value_0` and so on where the study has none, or some twice."""
    names = study.metric_names or []
    if len(set(names)) == len(study.directions):
        return list(names)
    return [f"value_{i}" for i in range(len(study.directions))]


def began(study: optuna.Study) -> str | None:
    """When trial 0 ended, if it has: what tells apart two studies of one name."""
    first = study.get_trials(deepcopy=False)[:1]
    ended = first[0].datetime_complete if first and first[0].state.is_finished() else None
    return ended.isoformat() if ended else None


@cache
def code_version() -> dict[str, str]:
    """Version of this library, and the commit where it runs from a checkout of its own."""
    package = Path(__file__).resolve().parents[1]
    tags = {VERSION_TAG: __version__, "mlflow.source.name": "nasrec-opt"}
    if not (package.parent / ".git").exists():
        return tags  # an installed wheel; never the repository that a virtual environment is in
    try:
        commit, changes = (
            subprocess.run(
                ["git", "-C", str(package.parent), *command],
                capture_output=True,
                text=True,
                timeout=10,
                check=True,
            ).stdout.strip()
            for command in (("rev-parse", "HEAD"), ("status", "--porcelain", "-uno", package.name))
        )
    except (OSError, subprocess.SubprocessError):
        return tags  # no git here
    return tags | {COMMIT_TAG: commit, "nasrec.uncommitted_changes": str(bool(changes)).lower()}


def _matching(store: Store, study: optuna.Study) -> list[Any]:
    """The runs of this study, oldest first; not those of another study of the same name."""
    moment = began(study)
    runs = [
        run
        for run in store.runs(f"tags.`{KIND_TAG}` = 'study'")
        if run.data.tags.get(STUDY_TAG) == encode_title(study.study_name)
        and run.data.tags.get(BEGAN_TAG) in (None, moment)
    ]
    return sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id))


def _description(study: optuna.Study) -> dict[str, str]:
    tags = {
        KIND_TAG: "study",
        STUDY_TAG: encode_title(study.study_name),
        "nasrec.metrics": ",".join(metric_names(study)),
        "nasrec.directions": ",".join(d.name.lower() for d in study.directions),
        SAMPLER_TAG: type(study.sampler).__name__,
        **code_version(),
    }
    space = study.user_attrs.get("space")  # written by a run of this library
    if isinstance(space, dict):
        tags[SPACE_TAG] = json.dumps(space)
        tags[SPACE_NAME_TAG] = str(space.get("name"))
    return tags
