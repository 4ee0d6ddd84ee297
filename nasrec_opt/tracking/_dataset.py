"""A dataset as MLflow shows it: name, digest, rows and columns of the data of a study."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from nasrec_opt.features import FeatureSpec
from nasrec_opt.tracking._notes import Notes

MAX_DIGEST = 36  # MLflow refuses longer ones; the whole fingerprint is a tag
MAX_SCHEMA, MAX_PROFILE = 60_000, 16_000


def dataset_input(summary: Mapping[str, Any], features: FeatureSpec | None = None) -> Any:
    """MLflow's `DatasetInput` of a summary.

    Args:
        summary: As `MLflowLogger.log_dataset` takes it.
        features: Shape of the input, before the summary's counts.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = str(summary.get("source", "click log"))
    rows = summary.get("rows")
    profile = {"rows": rows}
    if isinstance(rows, Mapping):
        profile = {"num_rows": sum(rows.values()), **{f"rows_{k}": n for k, n in rows.items()}}
    dataset = Dataset(
        name=PurePath(source).name or source,
        digest=str(summary.get("fingerprint", "unknown"))[:MAX_DIGEST],
        source_type="local",
        source=json.dumps({"uri": source}),
        schema=_fitting(_schema(summary, features), MAX_SCHEMA),
        profile=_fitting(profile, MAX_PROFILE),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "search")])


def dataset_params(summary: Mapping[str, Any]) -> dict[str, str]:
    """A summary as parameters `data.…`; long lists (columns, cardinalities) are not for tables."""
    values = {f"data.{name}": value for name, value in flat(summary).items()}
    return Notes().params({k: v for k, v in values.items() if not isinstance(v, (list, tuple))})


def _schema(summary: Mapping[str, Any], features: FeatureSpec | None) -> dict[str, Any]:
    """Columns in the form of `mlflow.types.Schema`."""
    dense = features.num_dense if features else int(summary.get("num_dense", 0))
    sparse = features.num_sparse if features else int(summary.get("num_sparse", 0))
    names = list(summary.get("column_names") or [])
    if len(names) != dense + sparse:
        names = [f"dense_{i}" for i in range(dense)] + [f"sparse_{i}" for i in range(sparse)]
    types = ["float"] * dense + ["integer"] * sparse
    columns = [
        {"type": kind, "name": str(name), "required": True}
        for kind, name in zip(types, names, strict=True)
    ]
    return {"mlflow_colspec": columns}


def _fitting(value: Any, longest: int) -> str | None:
    text = json.dumps(value)
    return text if len(text) <= longest else None


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by their joined names, separated by dots."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        found |= flat(value, f"{key}.") if isinstance(value, Mapping) else {key: value}
    return found
