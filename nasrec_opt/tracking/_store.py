"""The MLflow store: opened quietly, written in as few transactions as it takes."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from nasrec_opt.errors import MissingExtraError, StudyError

MAX_PARAM_LENGTH = 6000
TRIAL_TAG = "nasrec.trial"
STUDY_TAG = "nasrec.study"
MODEL_TAG = "nasrec.model"
GENOTYPE_TAG = "nasrec.genotype"
PARENT_TAG = "mlflow.parentRunId"


class Store:
    """One experiment of an MLflow store.

    Args:
        tracking_uri: Of the store, e.g. `sqlite:///mlflow.db`.
        experiment: Its name; created where it is missing.

    Raises:
        MissingExtraError: MLflow is not installed.
        StudyError: The store cannot be opened.
    """

    def __init__(self, tracking_uri: str, experiment: str) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        try:
            from mlflow.entities import Metric, Param, RunTag, ViewType
            from mlflow.exceptions import MlflowException
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise MissingExtraError("MLflow", "mlflow") from error
        for name in ("alembic", "mlflow"):  # migrations and hints are not the user's business
            logging.getLogger(name).setLevel(logging.WARNING)
        self._metric, self._param, self._tag, self._all = Metric, Param, RunTag, ViewType.ALL
        self.uri = tracking_uri
        try:
            self.client = MlflowClient(tracking_uri)
            found = self.client.get_experiment_by_name(experiment)
            self.experiment_id = (
                found.experiment_id if found else self.client.create_experiment(experiment)
            )
        except (MlflowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise StudyError(f"{tracking_uri}: expected an MLflow store, got: {reason}") from error

    def runs(self, filter_string: str) -> list[Any]:
        """All runs of the experiment that match, newest first."""
        found: list[Any] = []
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id], filter_string, self._all, max_results=1000, page_token=token
            )
            found += page
            token = page.token
            if not token:
                return found

    def create(self, name: str, tags: Mapping[str, str], *, start_ms: int | None = None) -> str:
        """Create a run; its identifier."""
        run = self.client.create_run(
            self.experiment_id, start_time=start_ms or now_ms(), tags=dict(tags), run_name=name
        )
        return str(run.info.run_id)

    def write(
        self,
        run_id: str,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write everything of a run in one call."""
        moment = now_ms()
        self.client.log_batch(
            run_id,
            metrics=[
                self._metric(name, float(value), moment, 0)
                for name, value in (metrics or {}).items()
            ],
            params=[
                self._param(name, str(value)[:MAX_PARAM_LENGTH])
                for name, value in (params or {}).items()
            ],
            tags=[self._tag(name, value) for name, value in (tags or {}).items()],
        )

    def close(self, run_id: str, status: str, end_ms: int | None = None) -> None:
        """End a run as `FINISHED`, `FAILED` or `KILLED`."""
        self.client.set_terminated(run_id, status, end_ms or now_ms())


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return int(time.time() * 1000)
