"""MLflow runs of a study: one for the whole, a nested one for each line of its table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nasrec_opt.errors import MissingExtraError

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
    """
    try:
        from mlflow.entities import Metric, Param, RunTag
        from mlflow.tracking import MlflowClient
        from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
    except ImportError as error:
        raise MissingExtraError("MLflow", "mlflow") from error
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(study)
    if experiment is None:
        location = (folder / "mlartifacts").resolve().as_uri()
        identity = client.create_experiment(study, artifact_location=location)
    else:
        identity = experiment.experiment_id
    text = json.dumps(parameters, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    for run in client.search_runs([identity], f"tags.`{TAG}` = '{digest}'", max_results=5000):
        client.delete_run(run.info.run_id)
    tags = {TAG: digest}
    parent = client.create_run(identity, run_name=study, tags=tags).info.run_id
    plain = {k: v if isinstance(v, str | int) else json.dumps(v) for k, v in parameters.items()}
    client.log_batch(parent, params=[Param(name, str(value)) for name, value in plain.items()])
    for name, own, metrics in runs:
        child = client.create_run(identity, run_name=name, tags=tags).info
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
