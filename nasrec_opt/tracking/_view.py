"""A view of MLflow's list of runs: studies and baselines, with what people compare them by.

MLflow keeps a shared view as a tag of the experiment, and its address names the view.
"""

from __future__ import annotations

import json

VIEW = "studies"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
KINDS_APART = ("trial", "model", "ensemble")  # those nested in the run of a study
METRICS = (
    "test_log_loss",
    "test_auc",
    "validation_log_loss",
    "validation_auc",
    "best_log_loss",
    "best_auc",
    "hypervolume",
    "front_size",
    "trials",
    "seconds",
)
PARAMETERS = ("sampler", "space", "dataset")


def view_state() -> str:
    """The view as MLflow reads it: filter, order and columns; the least test log loss first."""
    columns = [
        *(f"metrics.`{name}`" for name in METRICS),
        *(f"params.`{name}`" for name in PARAMETERS),
    ]
    state = {
        "searchFilter": " and ".join(f"tags.nasrec.kind != '{kind}'" for kind in KINDS_APART),
        "orderByKey": f"metrics.`{METRICS[0]}`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": ["attributes.`Created`", *columns],
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "viewMaximized": True,
        "runListHidden": False,
    }
    return json.dumps(state)
