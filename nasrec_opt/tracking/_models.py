"""Runs of retrained models, and files beside the runs of models and trials."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from nasrec_opt.space import Genotype
from nasrec_opt.tracking._artifacts import put
from nasrec_opt.tracking._notes import Notes
from nasrec_opt.tracking._parent import Parent
from nasrec_opt.tracking._record import (
    GENOTYPE_TAG,
    KIND_TAG,
    LAYER_NORM_TAG,
    MODEL_TAG,
    SCORED_BITS_TAG,
    TABLE_ROWS_TAG,
    TRIAL_TAG,
    RunRecord,
    milliseconds,
)

ENSEMBLE, RATE = "ensemble", "learning_rate"


def put_files(parent: Parent, files: Mapping[int, Sequence[Path]]) -> None:
    """Copy files to the artifacts of the runs of some trials, by their numbers."""
    for run in parent.nested():
        number = run.data.tags.get(TRIAL_TAG)
        if number is not None:
            _copy(parent, run.info.run_id, files.get(int(number), ()))


def replace_models(
    parent: Parent,
    models: Sequence[Mapping[str, Any]],
    files: Sequence[Sequence[Path]],
    ensemble: Mapping[str, Any] | None = None,
) -> None:
    """Write a run for each model, the ensemble and each learning rate that was compared.

    The previous ones are deleted.
    """
    before = [run for run in parent.nested() if MODEL_TAG in run.data.tags]
    records = [_record(*entry, parent) for entry in enumerate(models, start=1)]
    if ensemble is not None:
        records.append(_record_of_ensemble(ensemble, parent))
    for place, model in enumerate(models, start=1):
        records += _records_of_rates(place, model, parent)
    run_ids = parent.store.writer.write(records)
    for run_id, paths in zip(run_ids, files, strict=False):  # files of none, or of each
        _copy(parent, run_id, paths)
    parent.log_best_model(models)
    for run in before:
        parent.store.client.delete_run(run.info.run_id)


def _record_of_ensemble(ensemble: Mapping[str, Any], parent: Parent) -> RunRecord:
    now = milliseconds()
    params = {
        f"member.{place}": json.dumps(member, sort_keys=True)
        for place, member in enumerate(ensemble["members"], start=1)
    }
    return RunRecord(
        name=ENSEMBLE,
        status="FINISHED",
        start_ms=now,
        end_ms=now,
        params=Notes().params(params),
        metrics=Notes().metrics(ensemble),
        tags=Notes().tags({**parent.tags, KIND_TAG: ENSEMBLE, MODEL_TAG: ENSEMBLE}),
    )


def _records_of_rates(place: int, model: Mapping[str, Any], parent: Parent) -> list[RunRecord]:
    """The trials of a model's learning rate; none where there was only one rate."""
    compared, now = model.get("rate_trials") or [], milliseconds()
    return [
        RunRecord(
            name=f"retrained-{place}-rate-{rate:g}",
            status="FINISHED" if isfinite(value) else "FAILED",
            start_ms=now,
            end_ms=now,
            params=Notes().params({"learning_rate": f"{rate:g}"}),
            metrics=Notes().metrics({"log_loss": value}),
            tags=Notes().tags(
                {**parent.tags, KIND_TAG: RATE, MODEL_TAG: f"{place}, learning rate {rate:g}"}
            ),
        )
        for rate, value in (compared if len(compared) > 1 else [])
    ]


def _copy(parent: Parent, run_id: str, paths: Sequence[Path]) -> None:
    for path in paths:
        put(parent.store.client, run_id, path)


def _record(place: int, model: Mapping[str, Any], parent: Parent) -> RunRecord:
    genotype = Genotype.from_dict(model["genotype"]).to_json()
    now = milliseconds()
    tags = {KIND_TAG: "model", MODEL_TAG: str(place), GENOTYPE_TAG: genotype}
    # It is trained and scored at its bits, with a row for every value.
    tags |= {TABLE_ROWS_TAG: "none", SCORED_BITS_TAG: "genotype"}
    if not model.get("layer_norm", True):
        tags[LAYER_NORM_TAG] = "false"
    if "trial" in model:
        tags["nasrec.found_by"] = str(model["trial"])
    return RunRecord(
        name=f"retrained-{place}",
        status="FINISHED",
        start_ms=now - int(1000 * float(model.get("seconds", 0))),
        end_ms=now,
        params=Notes().params({"genotype": genotype}),
        metrics=Notes().metrics({k: v for k, v in model.items() if k != "trial"}),
        tags=Notes().tags({**parent.tags, **tags}),
    )
