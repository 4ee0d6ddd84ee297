"""The metrics of a model: names, labels and meanings, in one table.

A trial's attributes, the study file, `cost --json`, results, report and MLflow use these names.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric.

    Args:
        name: Name in study files, trials and results; ends in the unit, if there is one.
        label: Text in tables and on axes.
        meaning: What is counted, as a sentence without full stop; empty if the label is enough.
    """

    name: str
    label: str
    meaning: str = ""


LOG_LOSS = Metric(name="log_loss", label="log loss")
AUC = Metric(name="auc", label="AUC")
SHAPE = (  # known from genotype and shape of the input
    Metric(
        name="mflops",
        label="MFLOPs",
        meaning="millions of multiply-accumulates of one sample in linear layers and batched "
        "products; layer norm, element-wise work and embedding lookups are not counted",
    ),
    Metric(
        name="mflops_paper",
        label="MFLOPs (paper)",
        meaning="the same by the rule of the paper's Table 5, which pads the narrower input of a "
        "Gate with zeros",
    ),
    Metric(
        name="parameters",
        label="parameters",
        meaning="trained numbers outside the embedding tables",
    ),
)
COST = (  # known with an accelerator
    Metric(name="latency_us", label="latency (µs)", meaning="of one sample"),
    Metric(name="energy_uj", label="energy (µJ)", meaning="of one sample"),
    Metric(name="area_mm2", label="area (mm²)"),
)
ALL = (LOG_LOSS, AUC, *SHAPE, *COST)  # in the order of tables

SHAPE_METRICS = tuple(metric.name for metric in SHAPE)
COST_METRICS = tuple(metric.name for metric in COST)
METRICS = ("log_loss", *COST_METRICS, *SHAPE_METRICS)  # what an objective may be
LABELS = {metric.name: metric.label for metric in ALL}


def definitions(*names: str) -> str:
    """Definitions of some metrics, as sentences for below a table.

    Args:
        names: Of metrics that have a `meaning`.
    """
    return " ".join(f"{m.label}: {m.meaning}." for m in ALL if m.name in names)
