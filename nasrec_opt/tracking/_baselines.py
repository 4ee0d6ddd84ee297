"""Runs of baselines, beside the runs of the studies on the same data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nasrec_opt.tracking._notes import Notes
from nasrec_opt.tracking._parent import Parent
from nasrec_opt.tracking._record import (
    BASELINE_TAG,
    DATA_TAG,
    KIND_TAG,
    RunRecord,
    milliseconds,
)

KIND = "baseline"
SHARED = ("dataset", "data.fingerprint")  # parameters by which studies and baselines are listed


def keep_baselines(parent: Parent, baselines: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a run for each baseline, unless the experiment has the same one on the same data.

    Args:
        parent: The run of a study; the data is that of the study.
        baselines: Figures of each by its name.
    """
    fingerprint = parent.tags.get(DATA_TAG, "")
    before: dict[str, list[Any]] = {}
    for run in parent.store.runs(f"tags.`{KIND_TAG}` = '{KIND}'"):
        if run.data.tags.get(DATA_TAG, "") == fingerprint:
            before.setdefault(run.data.tags.get(BASELINE_TAG, ""), []).append(run)
    params = parent.store.client.get_run(parent.run_id).data.params
    shared = {name: params[name] for name in SHARED if name in params}
    for name, figures in baselines.items():
        record = _record(name, figures, fingerprint, shared)
        known = before.get(record.tags[BASELINE_TAG], [])
        wanted = {metric.name: metric.value for metric in record.metrics}
        same = [run for run in known if run.data.metrics == wanted]
        if not same:
            parent.store.writer.write([record])
        for run in known:
            if run not in same[:1]:
                parent.store.client.delete_run(run.info.run_id)


def _record(
    name: str, figures: Mapping[str, Any], fingerprint: str, shared: Mapping[str, str]
) -> RunRecord:
    now = milliseconds()
    tags = {KIND_TAG: KIND, BASELINE_TAG: name, DATA_TAG: fingerprint}
    return RunRecord(
        name=name.replace("_", " "),
        status="FINISHED",
        start_ms=now - int(1000 * float(figures.get("seconds") or 0)),
        end_ms=now,
        params=Notes().params(figures.get("hyperparameters", {})) | dict(shared),
        metrics=Notes().metrics(figures),
        tags=Notes().tags(tags),
    )
