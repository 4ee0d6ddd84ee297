"""Repair of what a killed process left in MLflow."""

from __future__ import annotations

from collections.abc import Mapping

from optuna.trial import FrozenTrial

from nasrec_opt.tracking._parent import Parent
from nasrec_opt.tracking._record import INCOMPLETE_TAG, TRIAL_TAG
from nasrec_opt.tracking._trial import safe_record


def repair(parent: Parent, trials: Mapping[int, FrozenTrial]) -> tuple[set[int], int]:
    """Complete half-written runs and delete duplicates.

    Args:
        parent: The study's run.
        trials: The study's finished trials, by number.

    Returns:
        Numbers of the trials that have a run, and how many runs were completed.
    """
    logged: set[int] = set()
    repaired = 0
    runs = [run for run in parent.nested(with_deleted=True) if TRIAL_TAG in run.data.tags]
    # Whole runs first, so that of two runs of a trial the half-written one goes.
    for run in sorted(runs, key=lambda run: (run.info.status == "RUNNING", run.info.start_time)):
        number = int(run.data.tags[TRIAL_TAG])
        if run.info.lifecycle_stage != "active":
            logged.add(number)  # deleted by a person: it stays so
        elif number in logged:
            parent.store.client.delete_run(run.info.run_id)
        else:
            logged.add(number)
            is_half = run.info.status == "RUNNING" or INCOMPLETE_TAG in run.data.tags
            if is_half and number in trials:
                record = safe_record(trials[number], parent.metric_names, parent.tags)
                parent.store.through_client.complete(run.info.run_id, record)
                if INCOMPLETE_TAG in run.data.tags and INCOMPLETE_TAG not in record.tags:
                    parent.store.client.delete_tag(run.info.run_id, INCOMPLETE_TAG)
                repaired += 1
    return logged, repaired
