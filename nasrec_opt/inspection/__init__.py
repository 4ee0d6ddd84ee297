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
    Weights,
    sum_of_weights,
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
    "Weights",
    "dataset_warnings",
    "inspect_dataset",
    "percent",
    "sum_of_weights",
]
