"""A look at a prepared log: what its columns hold, and what of it will hurt a model."""

from nasrec_opt.inspection._figures import (
    Bar,
    DenseFigures,
    Drift,
    Finding,
    Inspection,
    Signal,
    SparseFigures,
    SplitFigures,
    Unseen,
    ValueFigures,
)
from nasrec_opt.inspection._inspect import dataset_warnings, inspect_dataset
from nasrec_opt.inspection._words import percent

__all__ = [
    "Bar",
    "DenseFigures",
    "Drift",
    "Finding",
    "Inspection",
    "Signal",
    "SparseFigures",
    "SplitFigures",
    "Unseen",
    "ValueFigures",
    "dataset_warnings",
    "inspect_dataset",
    "percent",
]
