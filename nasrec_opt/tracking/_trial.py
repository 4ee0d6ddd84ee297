"""The record of a finished trial: everything in it, under distinct names.

Metrics have one namespace for objectives, reports, constraints and attributes of a trial, which are
added in this order. A name that is already taken gets a prefix such as `attr/`. Values that MLflow
cannot store (a step beyond 64 bits, a parameter of 10,000 characters) are stored in full in the
artifact `trial.json`, and a tag of the run lists them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from nasrec_opt._foreign.optuna import FAIL_REASON
from nasrec_opt.objective import FAILED
from nasrec_opt.tracking._names import encode
from nasrec_opt.tracking._notes import IN_FULL, Notes
from nasrec_opt.tracking._record import (
    GENOTYPE_TAG,
    INCOMPLETE_TAG,
    INTERMEDIATE,
    KIND_TAG,
    PARENT_TAG,
    REASON_TAG,
    SPACE_NAME_TAG,
    STATE_TAG,
    STATUS,
    TRIAL_TAG,
    Metric,
    RunRecord,
    milliseconds,
)
from nasrec_opt.tracking._values import (
    MAX_TAG,
    as_json,
    as_number,
    is_exact,
    is_step,
    shortened,
    storable,
)


def trial_record(trial: FrozenTrial, metric_names: list[str], tags: Mapping[str, str]) -> RunRecord:
    """Build the record of a finished trial.

    Args:
        trial: A trial that is complete, pruned or failed.
        metric_names: Of the objectives, in order.
        tags: Further tags of the run.
    """
    notes = Notes()
    metrics, rest = _metrics(trial, metric_names, notes)
    other: dict[Any, Any] = {}
    for name, value in rest.items():
        other[_free(f"attr/{name}", "attr", {**tags, **other})] = value
    return RunRecord(
        **_frame(trial),
        params=notes.params(trial.params),
        metrics=metrics,
        tags={
            **notes.tags({**other, **tags, **_own_tags(trial)}),
            **notes.remarks(),
        },
        files={IN_FULL: _in_full(trial)} if notes.cut else {},
    )


def safe_record(trial: FrozenTrial, metric_names: list[str], tags: Mapping[str, str]) -> RunRecord:
    """The record of a finished trial, or the smallest one where that fails."""
    try:
        return trial_record(trial, metric_names, tags)
    except Exception as error:  # the boundary to what people put into trials
        return least_record(trial, tags, error)


def least_record(trial: FrozenTrial, tags: Mapping[str, str], error: BaseException) -> RunRecord:
    """The smallest record of a trial that cannot be written in full: state and error."""
    own = {KIND_TAG: "trial", TRIAL_TAG: str(trial.number), STATE_TAG: trial.state.name}
    reason = shortened(storable(f"{type(error).__name__}: {error}"), MAX_TAG)
    parent = {PARENT_TAG: tags[PARENT_TAG]}
    return RunRecord(**_frame(trial), tags={**parent, **own, INCOMPLETE_TAG: reason})


def _metrics(
    trial: FrozenTrial, metric_names: list[str], notes: Notes
) -> tuple[tuple[Metric, ...], dict[Any, Any]]:
    """The metrics, and the attributes that are not metrics."""
    taken: dict[Any, Any] = dict.fromkeys(metric_names)  # even if the trial has no values
    taken |= dict(zip(metric_names, trial.values or (), strict=False))
    steps = _free(INTERMEDIATE, "report", taken)
    taken[steps] = None
    other: dict[Any, Any] = {}
    for name, value in trial.constraints.items():
        taken[_free(f"constraint.{name}", "constraint", taken)] = value
    for name, value in trial.user_attrs.items():
        if (
            name == "seconds"
            and isinstance(value, Mapping)
            and all(map(_is_number, value.values()))
        ):
            for part, number in value.items():
                taken[_free(f"seconds.{part}", "seconds", taken)] = number
        elif name != "genotype" or not isinstance(value, str):
            is_number = _is_number(value)
            if is_number:
                taken[_free(name, "attr", taken)] = value
            if not is_number or not is_exact(value):
                other[name] = value
    found = list(notes.metrics(taken))
    for step, value in sorted(trial.intermediate_values.items()):
        if is_step(step):
            found.append(Metric(name=encode(steps), value=float(value), step=int(step)))
        else:
            notes.cut.append(f"step {shortened(as_json(step), 100)} of a report")
    return tuple(found), other


def _free(name: Any, source: str, taken: Mapping[Any, Any]) -> Any:
    """A free name: the name itself, or with its origin as prefix."""
    while name in taken:
        name = f"{source}/{name}"
    return name


def _is_number(value: Any) -> bool:
    return as_number(value) is not None


def _frame(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "name": f"trial-{trial.number:05d}",
        "status": STATUS[trial.state],
        "start_ms": milliseconds(trial.datetime_start or trial.datetime_complete),
        "end_ms": milliseconds(trial.datetime_complete),
    }


def _own_tags(trial: FrozenTrial) -> dict[str, str]:
    tags = {KIND_TAG: "trial", TRIAL_TAG: str(trial.number), STATE_TAG: trial.state.name}
    if isinstance(genotype := trial.user_attrs.get("genotype"), str):
        tags |= {GENOTYPE_TAG: genotype, **_space_name(genotype)}
    reason = trial.user_attrs.get(FAILED, trial.system_attrs.get(FAIL_REASON))
    if trial.state == TrialState.FAIL and reason is not None:
        tags[REASON_TAG] = str(reason)
    return tags


def _space_name(genotype: str) -> dict[str, str]:
    """The tag of a genotype's space; none if the attribute is not a genotype of ours."""
    try:
        return {SPACE_NAME_TAG: str(json.loads(genotype)["space"])}
    except (ValueError, LookupError, TypeError):
        return {}


def _in_full(trial: FrozenTrial) -> str:
    """The whole trial as JSON, with its own names."""
    values = {
        "number": trial.number,
        "state": trial.state.name,
        "values": trial.values,
        "params": trial.params,
        "intermediate_values": trial.intermediate_values,
        "user_attrs": trial.user_attrs,
        "constraints": trial.constraints,
    }
    return as_json(values, indent=1)
