"""The runs of studies that a logger has opened."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

import optuna

from nasrec_opt.tracking._parent import Parent, find_parent
from nasrec_opt.tracking._store import Store, as_study_error, is_away, require_reachable

logger = logging.getLogger(__name__)

PROGRESS_S = 2.0  # seconds between two updates of a study's progress


class Parents:
    """Opens the run of a study when it is first needed, and ends all of them together.

    Safe with several threads.

    Args:
        uri: URI of the MLflow store.
        experiment: Name of the experiment; None means the name of each study.
        tags: Tags of each run that is created.
        artifact_location: See `MLflowLogger`.
        reference_point: See `MLflowLogger`.
    """

    def __init__(
        self,
        uri: str,
        experiment: str | None,
        *,
        tags: Mapping[str, str],
        artifact_location: str | None,
        reference_point: Mapping[str, float] | None,
    ) -> None:
        self._uri = uri
        self._experiment = experiment
        self._tags = tags
        self._artifact_location = artifact_location
        self._reference_point = reference_point
        self._lock = threading.RLock()
        self._stores: dict[str, Store] = {}
        self._open: dict[str, tuple[optuna.Study, Parent]] = {}  # by the study's name
        self._progress_at = -PROGRESS_S  # when it was written last

    def store(self, study_name: str) -> Store:
        """Open the store of a study's experiment."""
        experiment = self._experiment or study_name
        if experiment not in self._stores:
            self._stores[experiment] = Store(self._uri, experiment, self._artifact_location)
        return self._stores[experiment]

    def of(self, study: optuna.Study) -> Parent:
        """Find the run of a study, or create it."""
        with self._lock, as_study_error(self._uri):
            name = study.study_name
            if name not in self._open:
                parent = find_parent(self.store(name), study, self._tags, self._reference_point)
                self._open[name] = study, parent
            return self._open[name][1]

    def is_progress_due(self) -> bool:
        """Whether the last update of progress is long ago."""
        return time.monotonic() - self._progress_at >= PROGRESS_S

    def log_progress(self, *, is_last: bool) -> None:
        """Log the progress of the studies; an error here loses no trial."""
        with self._lock:
            for name, (study, parent) in self._open.items():
                try:
                    parent.log_progress(study, is_last=is_last)
                except Exception as error:  # the boundary to MLflow, and to the study's storage
                    if is_away(error):
                        raise
                    logger.warning("%s: %s: no progress logged: %s", self._uri, name, error)
            self._progress_at = time.monotonic()

    def end(self, status: str) -> None:
        """Log the progress a last time and end the runs; `of` opens them again."""
        with self._lock, as_study_error(self._uri):
            require_reachable(self._uri)
            self.log_progress(is_last=True)
            ended, self._open = self._open, {}
            for _, parent in ended.values():
                parent.store.client.set_terminated(parent.run_id, status)
