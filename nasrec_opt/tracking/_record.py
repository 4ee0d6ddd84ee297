"""What is written of one run, as plain values: neither Optuna's trial nor MLflow's entities.

A record holds all there is to write and the moments at which it happened, so that writing it twice
writes the same rows: a half-written run is completed by writing it again.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optuna.trial import FrozenTrial, TrialState

PARENT_TAG = "mlflow.parentRunId"  # MLflow's own name: the run is nested
KIND_TAG = "nasrec.kind"  # study, trial or model
STUDY_TAG = "nasrec.study"
BEGAN_TAG = "nasrec.began"  # when trial 0 ended: tells studies of one name apart
TRIAL_TAG = "nasrec.trial"
STATE_TAG = "nasrec.state"
MODEL_TAG = "nasrec.model"
GENOTYPE_TAG = "nasrec.genotype"
SAMPLER_TAG = "nasrec.sampler"
SPACE_TAG = "nasrec.space"  # all its choices; of the study alone
SPACE_NAME_TAG = "nasrec.space_name"
QUANTIZED_TAG = "nasrec.quantized"
DATA_TAG = "nasrec.dataset"
FEATURES_TAG = "nasrec.features"
SEED_TAG = "nasrec.seed"  # of the whole study; `nasrec.seed.model` and so on of a part
VERSION_TAG = "nasrec.version"
COMMIT_TAG = "mlflow.source.git.commit"  # MLflow's own name: shown as the version of a run
REASON_TAG = "nasrec.fail_reason"

STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "KILLED", TrialState.FAIL: "FAILED"}

# MLflow's limits: it refuses longer names and values, and other characters in names.
MAX_NAME, MAX_PARAM, MAX_TAG, MAX_PARAMS = 250, 6000, 5000, 100
_REFUSED = re.compile(r"[^\w.\- :]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One value of a run, with its step."""

    name: str
    value: float
    step: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A finished run.

    Args:
        name: As people see it.
        status: `FINISHED`, `FAILED` or `KILLED`.
        start_ms: Milliseconds since the epoch.
        end_ms: Milliseconds since the epoch; also the moment of its metrics.
        params: By name.
        metrics: All steps.
        tags: By name.
    """

    name: str
    status: str
    start_ms: int
    end_ms: int
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


def trial_record(trial: FrozenTrial, metric_names: list[str], tags: Mapping[str, str]) -> RunRecord:
    """What is written of a finished trial.

    Args:
        trial: A trial that is complete, pruned or failed.
        metric_names: Of the objectives, in order.
        tags: What else the run is tagged with.
    """
    own = {KIND_TAG: "trial", TRIAL_TAG: str(trial.number), STATE_TAG: trial.state.name}
    if (genotype := trial.user_attrs.get("genotype")) is not None:
        own[GENOTYPE_TAG] = str(genotype)
        own |= _space_name(own[GENOTYPE_TAG])
    if (reason := trial.system_attrs.get("fail_reason")) is not None:
        own[REASON_TAG] = str(reason)[:MAX_TAG]
    metrics = trial_metrics(trial, metric_names)
    steps = sorted(trial.intermediate_values.items())
    return RunRecord(
        name=f"trial-{trial.number:05d}",
        status=STATUS[trial.state],
        start_ms=milliseconds(trial.datetime_start or trial.datetime_complete),
        end_ms=milliseconds(trial.datetime_complete),
        params=as_params(dict(list(trial.params.items())[:MAX_PARAMS])),
        metrics=(
            *as_metrics(metrics),
            *(Metric(name="intermediate", value=value, step=step) for step, value in steps),
        ),
        tags={**tags, **own},
    )


def trial_metrics(trial: FrozenTrial, metric_names: list[str]) -> dict[str, float]:
    """The objectives, the numbers among the user attributes, and the constraints of a trial."""
    values = trial.values or ()
    metrics = {name: v for name, v in trial.user_attrs.items() if is_number(v)}
    metrics |= {f"seconds.{k}": v for k, v in _numbers(trial.user_attrs.get("seconds")).items()}
    metrics |= {f"constraint.{name}": value for name, value in trial.constraints.items()}
    return metrics | dict(zip(metric_names, values, strict=False))


def as_params(values: Mapping[str, Any]) -> dict[str, str]:
    """Parameters by names and with values that MLflow takes."""
    return {clean(name): str(value)[:MAX_PARAM] for name, value in values.items()}


def as_metrics(values: Mapping[str, Any]) -> tuple[Metric, ...]:
    """The numbers among some values, by names that MLflow takes."""
    cleaned = {clean(name): float(v) for name, v in values.items() if is_number(v)}
    return tuple(Metric(name=name, value=value) for name, value in cleaned.items())


def clean(name: str) -> str:
    """A name as MLflow takes it: letters, digits, and `_ - . :` and spaces."""
    return _REFUSED.sub("_", name)[:MAX_NAME]


def is_number(value: Any) -> bool:
    """Whether a value can be a metric; a truth value cannot."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def milliseconds(moment: datetime | None = None) -> int:
    """Milliseconds since the epoch, of a moment or of now."""
    return int((moment.timestamp() if moment else time.time()) * 1000)


def one_line(error: BaseException) -> str:
    """What an error says, without the SQL that follows."""
    cause: Any = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _space_name(genotype: str) -> dict[str, str]:
    """The tag of a genotype's space; none where somebody else calls something a genotype."""
    try:
        return {SPACE_NAME_TAG: str(json.loads(genotype)["space"])}
    except (ValueError, LookupError, TypeError):
        return {}


def _numbers(values: Any) -> dict[str, float]:
    return {k: v for k, v in values.items() if is_number(v)} if isinstance(values, Mapping) else {}
