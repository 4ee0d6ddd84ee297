"""What a tracker gets of a run besides its trials and models."""

from __future__ import annotations

from typing import Any

import optuna

from nasrec_opt._addresses import resolved
from nasrec_opt._files import write_json
from nasrec_opt._sqlite import sqlite_url
from nasrec_opt.data import Dataset
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._identity import settings_in_force
from nasrec_opt.pipeline._proposer import name_of_proposer
from nasrec_opt.tracking import MLflowLogger, Tracker

URI = "[mlflow]: uri"  # of an option, for messages


def open_tracker(config: StudyConfig, folder: RunFolder, fingerprint: str) -> Tracker:
    """MLflow as the tracker of a run; the folder keeps where it logs.

    Args:
        config: The study.
        folder: The run folder, which holds the store where the study names no server.
        fingerprint: Of the dataset.

    Raises:
        MissingExtraError: MLflow is not installed.
        StudyError: A variable of the address is not set, or the store cannot be opened.
    """
    where = config.mlflow
    experiment = where.experiment or config.name
    is_local = where.uri is None
    logger = MLflowLogger(
        sqlite_url(folder.mlflow_db) if where.uri is None else resolved(URI, where.uri),
        experiment=experiment,
        tags={
            **where.tags,
            "nasrec.dataset": fingerprint,
            "nasrec.seed": str(config.seed),
            "nasrec.sampler": name_of_proposer(config.search),
        },
        artifact_location=folder.artifacts.resolve().as_uri() if is_local else None,
        reference_point=where.reference_point,
    )
    page = logger.page(experiment)
    write_json(folder.mlflow_record, {"uri": where.uri, "experiment": experiment, "page": page})
    return logger


def describe_run(
    study: optuna.Study,
    tracker: Tracker,
    config: StudyConfig,
    folder: RunFolder,
    dataset: Dataset,
) -> None:
    """What the run of the study says of data and settings; before its trials are logged."""
    summary = data_summary(folder, dataset)
    tracker.log_dataset(study, summary, features=dataset.features)
    settings = settings_in_force(config, summary["source"])
    for name in ("n_trials", "ladder"):  # may change, and parameters in MLflow never do
        del settings["search"][name]
    tables = ("space", "supernet", "oracle", "hardware", "search")
    tracker.log_settings(study, {name: settings[name] for name in tables})


def data_summary(folder: RunFolder, dataset: Dataset) -> dict[str, Any]:
    """What MLflow and the report say of the data."""
    return {
        "source": folder.record()["prepare"]["settings"]["source"],
        "fingerprint": dataset.fingerprint,
        "num_dense": dataset.features.num_dense,
        "num_sparse": dataset.features.num_sparse,
        "rows": {n: dataset.split(n).num_rows for n in ("train", "validation", "test")},
        "bayes_log_loss": dataset.bayes_log_loss,
    }
