"""MLflow runs of a study: one for the whole, a nested one for each line of its table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nasrec_opt.tracking import Store, as_study_error

TAG = "nasrec.study"


def log_runs(
    folder: Path,
    study: str,
    parameters: Mapping[str, Any],
    runs: Sequence[tuple[str, Mapping[str, Any], Mapping[str, float]]],
    files: Sequence[Path],
) -> None:
    """Log a study anew; runs of the same study from before are replaced.

    Args:
        folder: The runs are in its `mlflow.db`.
        study: Name of the experiment and of the run for the whole.
        parameters: Of the whole.
        runs: Name, parameters and metrics of each nested run.
        files: Artifacts of the whole.

    Raises:
        MissingExtraError: MLflow is not installed.
        StudyError: The store cannot be written.
    """
    store = Store(f"sqlite:///{folder / 'mlflow.db'}", study)
    with as_study_error(store.uri):
        _log(store, study, parameters, runs, files)


def _log(
    store: Store,
    study: str,
    parameters: Mapping[str, Any],
    runs: Sequence[tuple[str, Mapping[str, Any], Mapping[str, float]]],
    files: Sequence[Path],
) -> None:
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

    client = store.client
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:16]
    for run in store.runs(f"tags.`{TAG}` = '{digest}'"):
        client.delete_run(run.info.run_id)
    tags = {TAG: digest}
    parent = client.create_run(store.experiment_id, run_name=study, tags=tags).info.run_id
    plain = {k: v if isinstance(v, str | int) else json.dumps(v) for k, v in parameters.items()}
    client.log_batch(parent, params=[Param(name, str(value)) for name, value in plain.items()])
    for name, own, metrics in runs:
        child = client.create_run(store.experiment_id, run_name=name, tags=tags).info
        client.log_batch(
            child.run_id,
            params=[Param(key, str(value)) for key, value in own.items()],
            metrics=[Metric(k, float(v), child.start_time, 0) for k, v in metrics.items()],
            tags=[RunTag(MLFLOW_PARENT_RUN_ID, parent)],
        )
        client.set_terminated(child.run_id)
    for file in files:
        client.log_artifact(parent, str(file))
    client.set_terminated(parent)
