"""An Optuna callback that logs trials to MLflow, off the critical path.

One parent run a study, one nested run a trial. The callback only puts the trial into a queue; a
background thread writes it. What a killed process left unwritten is found by `sync`.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from nasrec_opt import __version__
from nasrec_opt.errors import StudyError
from nasrec_opt.space import Genotype
from nasrec_opt.tracking._store import (
    GENOTYPE_TAG,
    MODEL_TAG,
    PARENT_TAG,
    STUDY_TAG,
    TRIAL_TAG,
    Store,
)

STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "KILLED", TrialState.FAIL: "FAILED"}
ATTRIBUTE_METRICS = ("auc", "mflops", "parameters", "area_mm2")


class MLflowLogger:
    """Logs a study to MLflow; what `study.optimize(..., callbacks=[...])` takes.

    Use it as a context manager, or call `close` at the end: trials are written in the background.

    Args:
        tracking_uri: Of the MLflow store.
        experiment: Name of the experiment; nothing = the study's name.
        tags: Tags of every trial's run, e.g. the data's fingerprint and the seed.

    Raises:
        MissingExtraError: MLflow is not installed.
        StudyError: The store cannot be opened.

    Example:
        >>> with MLflowLogger("sqlite:///mlflow.db") as logger:
        ...     study.optimize(objective, n_trials=100, callbacks=[logger])
    """

    def __init__(
        self,
        tracking_uri: str = "sqlite:///mlflow.db",
        *,
        experiment: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self._uri = tracking_uri
        self._experiment = experiment
        self._tags = dict(tags or {})
        self._store: Store | None = None
        self._parents: dict[str, str] = {}
        self._queue: queue.Queue[tuple[str, FrozenTrial, list[str]] | None] = queue.Queue()
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None
        if experiment is not None:
            self._open(experiment)

    def __enter__(self) -> MLflowLogger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __call__(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Queue a finished trial.

        Raises:
            StudyError: An earlier trial could not be written.
        """
        self._raise()
        parent = self._parent(study)
        if self._thread is None:
            self._thread = threading.Thread(target=self._drain, name="mlflow", daemon=True)
            self._thread.start()
        self._queue.put((parent, trial, _metric_names(study)))

    def sync(self, study: optuna.Study) -> int:
        """Log the finished trials that have no finished run yet, as after a kill.

        Returns:
            Number of trials queued.
        """
        self.flush()
        parent = self._parent(study)
        store = self._open(study.study_name)
        logged = set()
        for run in store.runs(f"tags.`{PARENT_TAG}` = '{parent}'"):
            number = run.data.tags.get(TRIAL_TAG)
            if number is None:
                continue
            if run.info.status == "RUNNING" or int(number) in logged:
                store.client.delete_run(run.info.run_id)  # half-written: written anew below
            else:
                logged.add(int(number))
        missing = [
            trial
            for trial in study.get_trials(deepcopy=False)
            if trial.state.is_finished() and trial.number not in logged
        ]
        for trial in missing:
            self(study, trial)
        return len(missing)

    def flush(self) -> None:
        """Wait until every queued trial is written.

        Raises:
            StudyError: One could not be written.
        """
        self._queue.join()
        self._raise()

    def close(self) -> None:
        """Write what is queued, and end the parent runs.

        Raises:
            StudyError: A trial could not be written.
        """
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None
        if self._store is not None:
            for parent in self._parents.values():
                self._store.close(parent, "FINISHED")
        self._parents = {}
        self._raise()

    def log_dataset(self, study: optuna.Study, summary: Mapping[str, Any]) -> None:
        """Write what the data was as parameters of the parent run.

        Args:
            study: The study.
            summary: Flat or nested plain values, e.g. source, fingerprint, rows.
        """
        params = {f"data.{name}": value for name, value in _flat(summary).items()}
        run = self._parent(study)
        store = self._open(study.study_name)
        known = store.client.get_run(run).data.params
        store.write(run, params={k: v for k, v in params.items() if k not in known})

    def log_artifact(self, study: optuna.Study, path: Path | str) -> None:
        """Copy a file to the parent run's artifacts."""
        store = self._open(study.study_name)
        store.client.log_artifact(self._parent(study), str(path))

    def log_models(self, study: optuna.Study, models: Sequence[Mapping[str, Any]]) -> None:
        """A nested run for each retrained model; one logged before is replaced.

        Args:
            study: The study that found them.
            models: Entries of `results.json`: `genotype` and figures.
        """
        parent = self._parent(study)
        store = self._open(study.study_name)
        for run in store.runs(f"tags.`{PARENT_TAG}` = '{parent}'"):
            if MODEL_TAG in run.data.tags:
                store.client.delete_run(run.info.run_id)
        for place, model in enumerate(models, start=1):
            genotype = Genotype.from_dict(model["genotype"]).to_json()
            tags = self._tags | {PARENT_TAG: parent, MODEL_TAG: str(place), GENOTYPE_TAG: genotype}
            run_id = store.create(f"retrained-{place}", tags)
            metrics = {k: v for k, v in model.items() if _is_number(v)}
            store.write(run_id, params={"genotype": genotype}, metrics=metrics)
            store.close(run_id, "FINISHED")

    def _open(self, experiment: str) -> Store:
        if self._store is None:
            self._store = Store(self._uri, self._experiment or experiment)
        return self._store

    def _parent(self, study: optuna.Study) -> str:
        """The study's run: found again, or created."""
        name = study.study_name
        if name not in self._parents:
            store = self._open(name)
            found = store.runs(f"tags.`{STUDY_TAG}` = '{name}'")
            if found:
                self._parents[name] = found[0].info.run_id
                store.client.update_run(self._parents[name], status="RUNNING")
            else:
                tags = self._tags | {STUDY_TAG: name, "nasrec.version": __version__}
                tags["nasrec.metrics"] = ",".join(_metric_names(study))
                self._parents[name] = store.create(name, tags)
        return self._parents[name]

    def _drain(self) -> None:
        """The background thread: writes until it is told to end."""
        while True:
            item = self._queue.get()
            try:
                if item is None:
                    return
                if self._error is None:
                    self._write(*item)
            except Exception as error:  # a thread's boundary: handed to the caller's next call
                self._error = error
            finally:
                self._queue.task_done()

    def _write(self, parent: str, trial: FrozenTrial, metric_names: list[str]) -> None:
        assert self._store is not None
        tags = self._tags | {
            PARENT_TAG: parent,
            TRIAL_TAG: str(trial.number),
            "nasrec.state": trial.state.name,
            "nasrec.version": __version__,
        }
        genotype = trial.user_attrs.get("genotype")
        params = dict(trial.params)
        if genotype is not None:
            tags[GENOTYPE_TAG] = genotype
        start = int(trial.datetime_start.timestamp() * 1000) if trial.datetime_start else None
        run_id = self._store.create(f"trial-{trial.number:05d}", tags, start_ms=start)
        metrics = dict(zip(metric_names, trial.values or (), strict=False))
        for name in ATTRIBUTE_METRICS:
            if _is_number(trial.user_attrs.get(name)):
                metrics[name] = trial.user_attrs[name]
        self._store.write(run_id, params=params, metrics=metrics)
        end = int(trial.datetime_complete.timestamp() * 1000) if trial.datetime_complete else None
        self._store.close(run_id, STATUS[trial.state], end)

    def _raise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            reason = str(error).splitlines()[0]
            raise StudyError(f"{self._uri}: a trial could not be logged: {reason}") from error


def genotype_of(run: Any) -> Genotype:
    """The genotype of a trial's or a retrained model's MLflow run.

    Raises:
        StudyError: The run carries none.
    """
    text = run.data.tags.get(GENOTYPE_TAG)
    if text is None:
        raise StudyError(f"run {run.info.run_id}: expected the tag {GENOTYPE_TAG!r}, got none")
    return Genotype.from_json(text, f"run {run.info.run_id}")


def _metric_names(study: optuna.Study) -> list[str]:
    return study.metric_names or [f"value_{i}" for i in range(len(study.directions))]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        flat |= _flat(value, f"{key}.") if isinstance(value, Mapping) else {key: value}
    return flat
