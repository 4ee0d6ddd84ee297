"""The run of a study, in which the runs of its trials are nested: found again, or created."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import optuna

from nasrec_opt import __version__
from nasrec_opt.errors import StudyError
from nasrec_opt.objective import MODELS
from nasrec_opt.tracking._names import encode, encode_title
from nasrec_opt.tracking._notes import Notes
from nasrec_opt.tracking._progress import Progress
from nasrec_opt.tracking._record import (
    BALANCE_TAG,
    BEGAN_TAG,
    COMMIT_TAG,
    DATA_TAG,
    FEATURES_TAG,
    KIND_TAG,
    PARENT_TAG,
    SAMPLER_TAG,
    SCORED_BITS_TAG,
    SEED_TAG,
    SPACE_NAME_TAG,
    SPACE_TAG,
    STUDY_TAG,
    TABLE_ROWS_TAG,
    VERSION_TAG,
    milliseconds,
)
from nasrec_opt.tracking._store import Store
from nasrec_opt.tracking._values import as_number, joined
from nasrec_opt.tracking._writer import MAX_TEXTS, MAX_VALUES

REFERENCE_PARAM = "reference_point"  # of the hypervolume
INHERITED = (
    DATA_TAG,
    FEATURES_TAG,
    BALANCE_TAG,
    TABLE_ROWS_TAG,
    SCORED_BITS_TAG,
)  # by trials, from the run of their study


@dataclass
class Parent:
    """The run of one study.

    Args:
        store: The store of the run.
        run_id: Its identifier.
        metric_names: Names of the study's objectives, in order.
        tags: Tags of each run that is nested in it.
        objectives: Their names and directions, as a parameter of the run.
        is_dated: Whether the run records when the study's first trial ended.
        given_reference: Reference point of the hypervolume, if a user gave one.
        progress: Progress of the study.
    """

    store: Store
    run_id: str
    metric_names: list[str]
    tags: dict[str, str] = field(default_factory=dict)
    objectives: str = ""
    is_dated: bool = False
    given_reference: Sequence[float] | None = None
    progress: Progress = field(default_factory=lambda: Progress((), ()))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Tag the run, and later nested runs with the tags that they inherit."""
        from mlflow.entities import RunTag

        entities = [RunTag(name, value) for name, value in Notes().tags(tags).items()]
        self.store.client.log_batch(self.run_id, tags=entities)
        self.tags |= {name: tags[name] for name in INHERITED if name in tags}

    def add_params(self, params: Mapping[str, str]) -> None:
        """Write parameters; an existing one stays, since MLflow never changes parameters."""
        from mlflow.entities import Param

        known = self.store.client.get_run(self.run_id).data.params
        new = [Param(name, value) for name, value in params.items() if name not in known]
        for start in range(0, len(new), MAX_TEXTS):
            self.store.client.log_batch(self.run_id, params=new[start : start + MAX_TEXTS])

    def log_progress(self, study: optuna.Study, *, is_last: bool = False) -> None:
        """Log the progress of the study, for the list of studies and for comparisons.

        Args:
            study: The study.
            is_last: Whether no more trials are expected for a while.
        """
        from mlflow.entities import Metric as MLflowMetric

        progress = self.progress
        progress.add(study.get_trials(deepcopy=False))
        if progress.has_hypervolume and progress.reference is None:
            progress.reference = self._reference(progress.first_reference(is_last=is_last))
        metrics = [
            MLflowMetric(encode(point.name), point.value, point.moment_ms, point.step)
            for point in progress.points()
        ]
        for start in range(0, len(metrics), MAX_VALUES):
            self.store.client.log_batch(self.run_id, metrics[start : start + MAX_VALUES])

    def log_best_model(self, models: Sequence[Mapping[str, Any]]) -> None:
        """Write the scores of the model that is best on validation rows, over its seeds."""
        scored = [m for m in models if as_number(m.get("validation_log_loss")) is not None]
        if not scored:
            return
        mean, own = "mean_validation_log_loss", "validation_log_loss"
        key = mean if all(as_number(m.get(mean)) is not None for m in scored) else own
        best = min(scored, key=lambda model: float(model[key]))
        self.log_metrics({k: v for k, v in best.items() if k.startswith(("test_", "validation_"))})

    def log_metrics(self, figures: Mapping[str, Any]) -> None:
        """Write the numbers among some figures of the whole study."""
        from mlflow.entities import Metric as MLflowMetric

        metrics = [
            MLflowMetric(metric.name, metric.value, milliseconds(), 0)
            for metric in Notes().metrics(figures)
        ]
        self.store.client.log_batch(self.run_id, metrics)

    def _reference(self, first: tuple[float, ...] | None) -> tuple[float, ...] | None:
        """The run's reference point; a run without one gets it as soon as it is known."""
        known = self.store.client.get_run(self.run_id).data.params.get(REFERENCE_PARAM)
        if known is None:
            found: Any = self.given_reference
            if found is None:
                found = self._reference_of_others() or first
            if found is None:
                return None
            self.add_params({REFERENCE_PARAM: _reference_text(self.metric_names, found)})
            # Another process may have been first.
            known = self.store.client.get_run(self.run_id).data.params[REFERENCE_PARAM]
        values = json.loads(known)
        return tuple(float(values[name]) for name in self.metric_names)

    def _reference_of_others(self) -> list[float] | None:
        """The reference point of the experiment's oldest study with the same objectives, if any."""
        runs = self.store.runs(f"tags.`{KIND_TAG}` = 'study'")
        for run in sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id)):
            params = run.data.params
            if params.get("objectives") == self.objectives and REFERENCE_PARAM in params:
                values = json.loads(params[REFERENCE_PARAM])
                return [float(values[name]) for name in self.metric_names]
        return None

    def nested(self, *, with_deleted: bool = False) -> list[Any]:
        """The runs nested in it."""
        return self.store.runs(f"tags.`{PARENT_TAG}` = '{self.run_id}'", with_deleted=with_deleted)

    def date(self, moment: str | None) -> None:
        """Write down when the first trial ended, once it has."""
        if not self.is_dated and moment is not None:
            self.set_tags({BEGAN_TAG: moment})
            self.is_dated = True


def find_parent(
    store: Store,
    study: optuna.Study,
    tags: Mapping[str, str],
    reference_point: Mapping[str, float] | None = None,
) -> Parent:
    """Find and reopen the run of a study, or create it.

    Args:
        store: The experiment.
        study: The study.
        tags: Of a run that is created, and of those nested in it.
        reference_point: Of the hypervolume, by objective; None means the experiment's.

    Raises:
        StudyError: The reference point is not of the study's objectives.
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
    names = metric_names(study)
    tags = {SAMPLER_TAG: type(study.sampler).__name__, **tags}
    inherited = {name: text for name, text in known.items() if text is not None}
    own = {PARENT_TAG: run.info.run_id, **code_version()}
    logged = int(run.data.metrics.get("trials", 0))
    measured = logged if "hypervolume" in run.data.metrics else 0
    compared = Notes().params(_compared(study, tags))
    parent = Parent(
        store=store,
        run_id=run.info.run_id,
        metric_names=names,
        tags={**tags, **inherited, **own},
        objectives=compared["objectives"],
        is_dated=BEGAN_TAG in run.data.tags,
        given_reference=_in_order(reference_point, names),
        progress=Progress(names, study.directions, logged, measured),
    )
    parent.add_params(compared)
    missing = {n: text for n, text in model_tags(study).items() if inherited.get(n) != text}
    if missing:
        parent.set_tags(missing)
    return parent


def model_tags(study: optuna.Study) -> dict[str, str]:
    """Tags of what the models of a study are built with, where the study says so."""
    models = study.user_attrs.get(MODELS)
    if not isinstance(models, dict):
        return {}
    tags = {
        BALANCE_TAG: json.dumps(models.get("balance", True)),
        TABLE_ROWS_TAG: str(models.get("max_table_rows")).lower(),
        SCORED_BITS_TAG: str(models.get("scored_bits", "genotype")),
    }
    if models.get("features") is not None:
        tags[FEATURES_TAG] = json.dumps(models["features"])
    if models.get("data_fingerprint") is not None:
        tags[DATA_TAG] = str(models["data_fingerprint"])
    return tags


def metric_names(study: optuna.Study) -> list[str]:
    """Names of the objectives, or `value_0` and so on without distinct names."""
    names = study.metric_names or []
    if len(set(names)) == len(study.directions):
        return list(names)
    return [f"value_{i}" for i in range(len(study.directions))]


def began(study: optuna.Study) -> str | None:
    """When trial 0 ended, if it has; this distinguishes two studies of one name."""
    first = study.get_trials(deepcopy=False)[:1]
    ended = first[0].datetime_complete if first and first[0].state.is_finished() else None
    return ended.isoformat() if ended else None


@cache
def code_version() -> dict[str, str]:
    """Version of this library, and the commit if it runs from its own checkout."""
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


def _compared(study: optuna.Study, tags: Mapping[str, str]) -> dict[str, str]:
    """Parameters of a study's run, by which studies are filtered and compared."""
    space = study.user_attrs.get("space")
    compared = {
        "sampler": tags[SAMPLER_TAG],
        "objectives": ", ".join(
            f"{name} ({direction.name.lower()})"
            for name, direction in zip(metric_names(study), study.directions, strict=True)
        ),
        **{
            name.removeprefix("nasrec."): text
            for name, text in tags.items()
            if name == SEED_TAG or name.startswith(f"{SEED_TAG}.")
        },
    }
    return compared | ({"space": str(space.get("name"))} if isinstance(space, dict) else {})


def _in_order(point: Mapping[str, float] | None, names: list[str]) -> list[float] | None:
    if point is None:
        return None
    if set(point) != set(names):
        raise StudyError(
            f"reference_point: expected a value for each of {', '.join(names)}, got "
            f"{', '.join(point) or 'none'}"
        )
    return [float(point[name]) for name in names]


def _reference_text(names: Sequence[str], point: Sequence[float]) -> str:
    return json.dumps(dict(zip(names, point, strict=True)))


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
