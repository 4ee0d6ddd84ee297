"""The two ways to write runs leave the same behind."""

from __future__ import annotations

import math

import pytest
from tracking import studies

pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")

from nasrec_opt.tracking._record import Metric, RunRecord
from nasrec_opt.tracking._store import Store
from nasrec_opt.tracking._trial import trial_record


@pytest.fixture
def store(uri) -> Store:
    return Store(uri, "writers")


def records() -> list[RunRecord]:
    """Trials of every state, and values that MLflow keeps in ways of its own."""
    toy = studies.create()
    toy.optimize(studies.objective, n_trials=3)
    trials = [*toy.trials, *studies.single().trials]
    odd = RunRecord(
        name="odd",
        status="FINISHED",
        start_ms=1_700_000_000_000,
        end_ms=1_700_000_000_500,
        params={f"p{i}": "v" * 6000 for i in range(100)},
        metrics=(
            Metric(name="nan", value=math.nan),
            Metric(name="-inf", value=-math.inf),
            *(Metric(name="steps", value=float(step % 7), step=step) for step in range(1500)),
        ),
        tags={"mlflow.parentRunId": "0" * 32, "quoted": 'it\'s `x` "y" \u00e9'},
    )
    return [*(trial_record(t, studies.METRIC_NAMES, {"a": "b"}) for t in trials), odd]


def described(store: Store, run_id: str) -> tuple[object, ...]:
    """All that is stored of a run but its identifier; NaN as text, since it differs from itself."""
    run = store.client.get_run(run_id)
    info = dict(run.info)
    info["artifact_uri"] = info["artifact_uri"].replace(run_id, "ID")
    del info["run_id"]
    history = {
        name: sorted(
            (m.step, m.timestamp, str(m.value))
            for m in store.client.get_metric_history(run_id, name)
        )
        for name in run.data.metrics
    }
    metrics = {name: str(value) for name, value in run.data.metrics.items()}
    return info, metrics, history, run.data.params, run.data.tags


def test_one_transaction_writes_what_the_client_writes(store):
    written = records()
    by_transaction = store.writer.write(written)
    assert store.writer.is_direct  # the installed MLflow has the tables that are known here
    by_client = store.through_client.write(written)
    for ours, theirs in zip(by_transaction, by_client, strict=True):
        assert described(store, ours) == described(store, theirs)


def test_what_the_database_refuses_goes_through_the_client(store):
    twice = RunRecord(
        name="twice", status="FINISHED", start_ms=1, end_ms=2,
        metrics=(Metric(name="x", value=1.0), Metric(name="x", value=1.0)),
    )  # fmt: skip
    (run_id,) = store.writer.write([twice])
    assert not store.writer.is_direct
    assert store.client.get_run(run_id).data.metrics == {"x": 1.0}
    assert len(store.runs()) == 1  # the refused transaction left nothing


def test_completing_a_complete_run_changes_nothing(store):
    record = records()[0]
    (run_id,) = store.writer.write([record])
    before = described(store, run_id)
    store.through_client.complete(run_id, record)
    assert described(store, run_id) == before
