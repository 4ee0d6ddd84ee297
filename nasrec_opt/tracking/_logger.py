"""An Optuna callback that logs trials to MLflow, off the critical path.

A study has a parent run, and each trial a nested run. The callback only submits the trial to a
background thread. `sync` finds what a killed process left unwritten.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.objective import Objective, note_models
from nasrec_opt.tracking._artifacts import put
from nasrec_opt.tracking._background import PATIENCE_S, Background
from nasrec_opt.tracking._baselines import keep_baselines
from nasrec_opt.tracking._dataset import dataset_input, dataset_params, flat
from nasrec_opt.tracking._models import put_files, replace_models
from nasrec_opt.tracking._notes import Notes
from nasrec_opt.tracking._parent import Parent, began, model_tags
from nasrec_opt.tracking._parents import Parents
from nasrec_opt.tracking._record import (
    DATA_TAG,
    FEATURES_TAG,
    SEED_TAG,
    SPACE_NAME_TAG,
    SPACE_TAG,
    WINNER_TAG,
    RunRecord,
)
from nasrec_opt.tracking._registry import Champion, Registered, register
from nasrec_opt.tracking._repair import repair
from nasrec_opt.tracking._store import (
    Store,
    as_study_error,
    is_away,
    require_mlflow,
)
from nasrec_opt.tracking._trial import safe_record
from nasrec_opt.tracking._view import VIEW

logger = logging.getLogger(__name__)

_Item = tuple[optuna.Study, FrozenTrial]


class MLflowLogger:
    """Logs a study to MLflow; what `study.optimize(..., callbacks=[...])` takes.

    Trials are written in the background: use it as a context manager, or call `close` at the end;
    a process that ends otherwise still writes what is queued, unless it is killed. Then `sync`
    writes what is missing. Safe with several threads (`n_jobs`) and several processes.

    A tracking server may go away during a study. Trials then wait in memory and are written once it
    is back; it is asked after 0.5 s, then less and less often, but at least every 30 s. If `close`
    gives up, a later `sync` writes the missing trials.

    Args:
        tracking_uri: URI of the MLflow store: a database, or a tracking server.
        experiment: Name of the experiment; None means the study's name.
        tags: Tags of every trial's run.
        seeds: Seeds by what they seed, e.g. `{"search": 0, "model": 0}`; tags of every trial's run.
        artifact_location: URI under which a new experiment keeps its artifacts; None means, for
            SQLite, the folder `mlartifacts` beside the database, else the store's default.
        reference_point: Reference point of the hypervolume, a value for each objective; None means
            that of the experiment, which the first study with the same objectives sets.
        patience_s: How long `flush` and `close` wait for a tracking server that is away.

    Raises:
        MissingExtraError: MLflow is not installed.
        StudyError: The store cannot be opened.

    Example:
        >>> import optuna
        >>> study = optuna.create_study(study_name="parabola")
        >>> with MLflowLogger("sqlite:///mlflow.db", seeds={"search": 0}) as logger:
        ...     written = logger.sync(study)  # what an earlier process left unwritten
        ...     study.optimize(lambda t: t.suggest_float("x", -1, 1) ** 2, 4, callbacks=[logger])
    """

    def __init__(
        self,
        tracking_uri: str = "sqlite:///mlflow.db",
        *,
        experiment: str | None = None,
        tags: Mapping[str, str] | None = None,
        seeds: Mapping[str, int] | None = None,
        artifact_location: str | None = None,
        reference_point: Mapping[str, float] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        require_mlflow()
        self._uri = tracking_uri
        named = {f"{SEED_TAG}.{name}": str(seed) for name, seed in (seeds or {}).items()}
        self._parents = Parents(
            tracking_uri,
            experiment,
            tags={**(tags or {}), **named},
            artifact_location=artifact_location,
            reference_point=reference_point,
        )
        self._lock = threading.Lock()
        self._is_registered = False  # to be closed at the end of the process
        self._background: Background[_Item] = Background(
            functools.partial(self._write, Store.write),
            tracking_uri,
            again=functools.partial(self._write, Store.write_again),
            is_away=is_away,
            patience_s=patience_s,
        )
        if experiment is not None:
            self._parents.store(experiment)

    def __enter__(self) -> MLflowLogger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        try:
            self.close(status)
        except StudyError as unwritten:
            error.add_note(str(unwritten))  # must not hide why the search ended

    def __call__(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Queue a finished trial; a store that refuses it never ends the study.

        Args:
            study: The trial's study.
            trial: A finished trial.
        """
        self._close_when_the_process_ends()
        self._background.submit((study, trial))

    def sync(self, study: optuna.Study) -> int:
        """Log the finished trials that have no run yet, and complete half-written runs.

        A killed process leaves such trials behind; nothing is logged twice. Call it before the
        search, while no other process logs this study.

        Args:
            study: The study.

        Returns:
            Number of trials queued or completed.

        Raises:
            StudyError: A trial could not be written.
        """
        self._background.flush()
        with as_study_error(self._uri):
            parent = self._parent(study)
            trials = {
                trial.number: trial
                for trial in study.get_trials(deepcopy=False)
                if trial.state.is_finished()
            }
            logged, repaired = repair(parent, trials)
        missing = [trial for number, trial in trials.items() if number not in logged]
        for trial in missing:
            self(study, trial)
        return len(missing) + repaired

    def flush(self) -> None:
        """Wait until every queued trial and the progress of its study are written.

        Raises:
            StudyError: One could not be written.
        """
        self._background.flush()
        self._parents.log_progress(is_last=True)

    def close(self, status: str = "FINISHED") -> None:
        """Write what is queued, and end the parent runs; logging again opens them again.

        Args:
            status: Of the parent runs: `FINISHED`, `FAILED` or `KILLED`.

        Raises:
            StudyError: A trial could not be written.
        """
        try:
            self._background.close()
        except StudyError:
            with contextlib.suppress(StudyError):  # the first error says what is missing
                self._end_parents(status)
            raise
        self._end_parents(status)

    def log_dataset(
        self,
        study: optuna.Study,
        summary: Mapping[str, Any],
        *,
        features: FeatureSpec | None = None,
    ) -> None:
        """Log the data: an MLflow dataset, and parameters of the parent run.

        Trials logged from now on are tagged with its fingerprint and the shape of the input.

        Args:
            study: The study.
            summary: Flat or nested plain values. `source`, `fingerprint`, `rows`, `num_dense`,
                `num_sparse` and `column_names` describe the MLflow dataset.
            features: Shape of the input; None means the summary's entry `features`, if any.

        Raises:
            StudyError: It could not be written.
        """
        tags = {}
        shape = features.to_dict() if features else summary.get("features")
        if shape:
            tags[FEATURES_TAG] = json.dumps(shape)
        if "fingerprint" in summary:
            tags[DATA_TAG] = str(summary["fingerprint"])
        with as_study_error(self._uri):
            parent = self._parent(study)
            client = parent.store.client
            data = dataset_input(summary, features)
            client.log_inputs(parent.run_id, datasets=[data])
            parent.add_params({"dataset": data.dataset.name, **dataset_params(summary)})
            parent.set_tags(tags)

    def log_study(self, study: optuna.Study, objective: Objective) -> None:
        """Write what it takes to build the models of a study again, beside their genotypes.

        That is the search space, the shape of the input, the dataset's fingerprint, whether dot
        products project their vectors, the size of embedding tables, and at which bits models were
        scored. Trials logged from now on are tagged with it. A study of `objective.create_study`
        is logged with all of it by itself.

        Args:
            study: The study.
            objective: What its trials are scored with.

        Raises:
            StudyError: It could not be written, or the study's models are others.
        """
        note_models(study, objective.models)
        space = objective.space.to_dict()
        with as_study_error(self._uri):
            tags = {SPACE_TAG: json.dumps(space), SPACE_NAME_TAG: objective.space.name}
            self._parent(study).set_tags(tags | model_tags(study))

    def log_settings(self, study: optuna.Study, settings: Mapping[str, Any]) -> None:
        """Write settings as parameters of the study's run, by which studies are compared.

        Args:
            study: The study.
            settings: Flat or nested plain values; nested names are joined by dots. A parameter that
                was written before keeps its value, as always in MLflow.

        Raises:
            StudyError: They could not be written.
        """
        with as_study_error(self._uri):
            self._parent(study).add_params(Notes().params(flat(settings)))

    def log_artifact(self, study: optuna.Study, path: Path | str) -> None:
        """Copy a file to the parent run's artifacts.

        Args:
            study: The study whose parent run gets the file.
            path: The file.

        Raises:
            StudyError: It could not be copied.
        """
        with as_study_error(self._uri):
            parent = self._parent(study)
            put(parent.store.client, parent.run_id, Path(path))

    def log_files(self, study: optuna.Study, files: Mapping[int, Sequence[Path]]) -> None:
        """Copy files to the artifacts of trials' runs, which must have been logged.

        Args:
            study: The study.
            files: By the numbers of trials; one of the same name is replaced.

        Raises:
            StudyError: They could not be copied.
        """
        self.flush()
        with as_study_error(self._uri):
            put_files(self._parent(study), files)

    def log_models(
        self,
        study: optuna.Study,
        models: Sequence[Mapping[str, Any]],
        *,
        files: Sequence[Sequence[Path]] = (),
        winner: str | None = None,
        ensemble: Mapping[str, Any] | None = None,
    ) -> None:
        """Log a nested run for each retrained model; previous ones are replaced.

        Args:
            study: The study that found them.
            models: Entries of `results.json`: `genotype` and figures.
            files: Files and folders that are copied to the artifacts of each model's run.
            winner: Sentence on the winner among models and baselines; a tag of the study's run.
            ensemble: Of `results.json`, where several models are averaged: one more nested run.

        Raises:
            StudyError: They could not be written.
        """
        with as_study_error(self._uri):
            replace_models(self._parent(study), models, files, ensemble)
            if winner:
                self._parent(study).set_tags({WINNER_TAG: winner})

    def log_baselines(
        self, study: optuna.Study, baselines: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Log a run for each baseline, beside that of the study and not nested in it.

        Studies on the same data share them: a baseline with the same figures is kept, and one with
        others is replaced.

        Args:
            study: A study on the data of the baselines.
            baselines: Figures of each by its name, such as `test_log_loss`; those under
                `hyperparameters` are its parameters.

        Raises:
            StudyError: They could not be written.
        """
        with as_study_error(self._uri):
            keep_baselines(self._parent(study), baselines)

    def log_metrics(self, study: optuna.Study, metrics: Mapping[str, float]) -> None:
        """Log figures of the whole study as metrics of its run, such as the seconds it took.

        Args:
            study: The study.
            metrics: By name; a later value replaces an earlier one in lists of runs.

        Raises:
            StudyError: They could not be written.
        """
        with as_study_error(self._uri):
            self._parent(study).log_metrics(metrics)

    def log_champion(self, study: optuna.Study, champion: Champion) -> Registered:
        """Log a model to the run of a study, and register it with the alias `champion`.

        Args:
            study: The study that found it.
            champion: The model; one that is registered gets no new version.

        Returns:
            The version.

        Raises:
            StudyError: The store is away or refuses the model.
        """
        with as_study_error(self._uri):
            return register(self._parent(study), champion)

    def page(self, experiment: str) -> str:
        """Locate the studies and baselines of an experiment on MLflow's pages.

        Args:
            experiment: Name of the experiment.

        Returns:
            What follows the address of the server, beginning with `/#/`.

        Raises:
            StudyError: The store cannot be opened.
        """
        number = self._parents.store(experiment).experiment_id
        # Without the type of work, MLflow 3 opens on traces of agents, whatever the experiment is.
        page = f"/#/experiments/{number}/runs?workflowType=machine_learning"
        return f"{page}&viewStateShareKey={VIEW}"

    def _parent(self, study: optuna.Study) -> Parent:
        self._close_when_the_process_ends()
        return self._parents.of(study)

    def _end_parents(self, status: str) -> None:
        atexit.unregister(self._close_at_exit)
        self._is_registered = False
        self._parents.end(status)

    def _close_when_the_process_ends(self) -> None:
        with self._lock:
            if not self._is_registered:
                atexit.register(self._close_at_exit)  # a strong reference until `close`
                self._is_registered = True

    def _close_at_exit(self) -> None:
        """At the end of the process, write what is queued; an error is one line."""
        try:
            self.close()
        except StudyError as error:
            logger.error("%s", error)

    def _write(
        self, write: Callable[[Store, Sequence[RunRecord]], Any], items: list[_Item]
    ) -> None:
        """Write records in the background, one transaction for each experiment."""
        by_store: dict[Store, list[RunRecord]] = {}
        studies = {study.study_name: study for study, _ in items}
        parents = {name: self._parent(study) for name, study in studies.items()}
        for study, trial in items:
            parent = parents[study.study_name]
            by_store.setdefault(parent.store, []).append(
                safe_record(trial, parent.metric_names, parent.tags)
            )
        for store, records in by_store.items():
            write(store, records)
        for name, parent in parents.items():
            if not parent.is_dated:
                parent.date(began(studies[name]))
        if self._parents.is_progress_due():
            self._parents.log_progress(is_last=False)
