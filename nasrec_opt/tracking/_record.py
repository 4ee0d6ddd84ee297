"""The record of one run as plain values, without Optuna's or MLflow's classes.

A record holds everything to write, including times, so that writing it twice writes the same. A
half-written run is completed by writing it again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optuna.trial import TrialState

PARENT_TAG = "mlflow.parentRunId"  # MLflow's own name: the run is nested
KIND_TAG = "nasrec.kind"  # study, trial, model, ensemble, baseline or learning_rate
STUDY_TAG = "nasrec.study"
BEGAN_TAG = "nasrec.began"  # when trial 0 ended: distinguishes studies of one name
TRIAL_TAG = "nasrec.trial"
STATE_TAG = "nasrec.state"
MODEL_TAG = "nasrec.model"
BASELINE_TAG = "nasrec.baseline"  # its name
WINNER_TAG = "nasrec.winner"  # a sentence on the best of models and baselines
GENOTYPE_TAG = "nasrec.genotype"
SAMPLER_TAG = "nasrec.sampler"
SPACE_TAG = "nasrec.space"  # all its choices; of the study alone
SPACE_NAME_TAG = "nasrec.space_name"
DATA_TAG = "nasrec.dataset"
FEATURES_TAG = "nasrec.features"
BALANCE_TAG = "nasrec.balance"  # whether dot products project their vectors: true or false
LAYER_NORM_TAG = "nasrec.layer_norm"  # of retrained models: true or false; true if missing
TABLE_ROWS_TAG = "nasrec.max_table_rows"  # of one column's embedding table; none for full tables
SCORED_BITS_TAG = "nasrec.scored_bits"  # genotype, or float where bits were left out of the score
SEED_TAG = "nasrec.seed"  # of the whole study; `nasrec.seed.model` and so on of a part
VERSION_TAG = "nasrec.version"
COMMIT_TAG = "mlflow.source.git.commit"  # MLflow's own name: shown as the version of a run
REASON_TAG = "nasrec.fail_reason"
INCOMPLETE_TAG = "nasrec.incomplete"  # why a run is not written in full; sync tries again
# What a half-written run is of.
IDENTITY_TAGS = (PARENT_TAG, KIND_TAG, TRIAL_TAG, MODEL_TAG, BASELINE_TAG, DATA_TAG)

STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "KILLED", TrialState.FAIL: "FAILED"}

INTERMEDIATE = "intermediate"


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
        name: Displayed name.
        status: `FINISHED`, `FAILED` or `KILLED`.
        start_ms: Milliseconds since the epoch.
        end_ms: Milliseconds since the epoch; also the moment of its metrics.
        params: By name.
        metrics: All steps.
        tags: By name.
        files: Texts that become artifacts, by their names.
    """

    name: str
    status: str
    start_ms: int
    end_ms: int
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def milliseconds(moment: datetime | None = None) -> int:
    """Milliseconds since the epoch, of a moment or of now."""
    return int((moment.timestamp() if moment else time.time()) * 1000)


def one_line(error: BaseException) -> str:
    """The message of an error, without the SQL that follows."""
    cause: Any = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(error).__name__
