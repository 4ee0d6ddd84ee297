"""Checks of an oracle's options and data against its supernet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasrec_opt._files import read_json
from nasrec_opt.data import Dataset, Split
from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.supernet import TRAINING

VIEW = (("min_count", int), ("binned_dense", bool))  # options of `Dataset.open`


def check_features(dataset: Dataset, ours: FeatureSpec) -> None:
    """Refuse a dataset whose rows the supernet cannot read."""
    theirs = dataset.features
    if (ours.num_dense, ours.cardinalities) != (theirs.num_dense, theirs.cardinalities):
        raise StudyError(
            f"{dataset.path}: expected the features of the supernet ({_shape(ours)}), "
            f"got {_shape(theirs)}"
        )


def rows_of(dataset: Dataset, name: str) -> Split:
    """A split that is not empty."""
    split = dataset.split(name)
    if not split.num_rows:
        raise StudyError(f"{dataset.path}: expected {name} rows, found none")
    return split


def training_data(path: Path) -> dict[str, Any]:
    """Path, fingerprint and view of the dataset that a supernet was trained on."""
    file = path / TRAINING
    try:
        found = read_json(file)["dataset"]
        view = {name: kind(found["view"][name]) for name, kind in VIEW if name in found["view"]}
        return {
            "path": str(found["path"]),
            "fingerprint": str(found["fingerprint"]),
            "view": view,
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(
            f"{file}: expected the description of a finished training, got: {error!r}"
        ) from error


def _shape(features: FeatureSpec) -> str:
    total = sum(features.cardinalities)
    return f"{features.num_dense} dense, {features.num_sparse} sparse with {total:,} values"
