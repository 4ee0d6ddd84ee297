"""The protocol of trackers, which record a search, and a tracker that records nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import optuna
from optuna.trial import FrozenTrial

from nasrec_opt.features import FeatureSpec
from nasrec_opt.objective import Objective
from nasrec_opt.tracking._registry import Champion, Registered


class Tracker(Protocol):
    """Records studies: `MLflowLogger`, `NullTracker`, or an object of your own.

    A tracker is a callback of `study.optimize`. Leave its `with` block to end the recording. A
    class that derives from `NullTracker` defines what it records; the rest does nothing.
    """

    def __enter__(self) -> Self:
        """Begin the recording."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the recording, as failed where an exception ended the block."""
        return

    def __call__(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Record a finished trial.

        Args:
            study: The trial's study.
            trial: A finished trial.
        """
        return

    def sync(self, study: optuna.Study) -> int:
        """Record the finished trials that an earlier process left out.

        Args:
            study: The study.

        Returns:
            Number of trials that were missing.
        """

    def flush(self) -> None:
        """Wait until every trial is recorded."""
        return

    def log_dataset(
        self,
        study: optuna.Study,
        summary: Mapping[str, Any],
        *,
        features: FeatureSpec | None = None,
    ) -> None:
        """Record what the data is.

        Args:
            study: The study.
            summary: Flat or nested plain values.
            features: Shape of the input, or None where it is not known.
        """
        return

    def log_study(self, study: optuna.Study, objective: Objective) -> None:
        """Record what it takes to build the models of a study again.

        Args:
            study: The study.
            objective: What its trials are scored with.
        """
        return

    def log_settings(self, study: optuna.Study, settings: Mapping[str, Any]) -> None:
        """Record the settings of a study.

        Args:
            study: The study.
            settings: Flat or nested plain values.
        """
        return

    def log_artifact(self, study: optuna.Study, path: Path | str) -> None:
        """Keep a file of a study.

        Args:
            study: The study.
            path: The file.
        """
        return

    def log_files(self, study: optuna.Study, files: Mapping[int, Sequence[Path]]) -> None:
        """Keep files of trials.

        Args:
            study: The study.
            files: By the numbers of trials; a file of the same name is replaced.
        """
        return

    def log_models(
        self,
        study: optuna.Study,
        models: Sequence[Mapping[str, Any]],
        *,
        files: Sequence[Sequence[Path]] = (),
        winner: str | None = None,
        ensemble: Mapping[str, Any] | None = None,
    ) -> None:
        """Record the retrained models of a study; those recorded before are replaced.

        Args:
            study: The study that found them.
            models: Entries of `results.json`: `genotype` and figures.
            files: Files and folders of each model.
            winner: Sentence on the winner among models and baselines.
            ensemble: Of `results.json`, where several models are averaged.
        """
        return

    def log_baselines(
        self, study: optuna.Study, baselines: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Record the baselines that the models of a study have to beat.

        Args:
            study: The study.
            baselines: Figures of each by its name.
        """
        return

    def log_metrics(self, study: optuna.Study, metrics: Mapping[str, float]) -> None:
        """Record figures of a whole study, such as the seconds that it took.

        Args:
            study: The study.
            metrics: By name; a later value replaces an earlier one.
        """
        return

    def log_champion(self, study: optuna.Study, champion: Champion) -> Registered | None:
        """Register the best model of a study for those who serve it.

        Args:
            study: The study that found it.
            champion: The model; one that is registered already gets no new version.

        Returns:
            The version, or None where there is no registry.
        """
        return None


class NullTracker(Tracker):
    """A tracker that records nothing: for searches without MLflow.

    Example:
        >>> import optuna
        >>> with NullTracker() as tracker:
        ...     study = optuna.create_study()
        ...     study.optimize(lambda t: t.suggest_float("x", -1, 1) ** 2, 2, callbacks=[tracker])
        >>> tracker.sync(study)
        0
    """

    def __init__(self) -> None:  # in place of the protocol's, which takes any arguments
        pass

    def __enter__(self) -> Self:
        return self

    def sync(self, study: optuna.Study) -> int:
        """Find no trial missing.

        Args:
            study: Ignored.

        Returns:
            0.
        """
        return 0
