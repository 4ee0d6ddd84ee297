"""Two ways to write finished runs: one transaction for many, or MLflow's client call by call.

If the store is a SQL database that this process can open, the table rows of several runs are
inserted in one transaction: a run appears with all its parameters, metrics and tags, or not at all.
MLflow's client needs three calls of several transactions for each run. It is used for tracking
servers, and for databases of MLflow versions with unknown tables.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from nasrec_opt._foreign.mlflow import rows_of, run_tables
from nasrec_opt.tracking._record import IDENTITY_TAGS, RunRecord
from nasrec_opt.tracking._values import MAX_PARAM

logger = logging.getLogger(__name__)

# Of one `log_batch`: MLflow accepts 100 parameters, 100 tags, 1,000 values and a megabyte.
MAX_TEXTS, MAX_VALUES, MAX_CHARACTERS = 100, 1000, 200_000


class ClientWriter:
    """Writes through `MlflowClient`, which every store understands.

    Args:
        client: The client.
        experiment_id: Of the experiment.
    """

    def __init__(self, client: Any, experiment_id: str) -> None:
        self._client = client
        self._experiment_id = experiment_id

    def write(self, records: Sequence[RunRecord]) -> list[str]:
        """Create runs, write everything about them, and return their identifiers."""
        return [self._create(record) for record in records]

    def complete(self, run_id: str, record: RunRecord) -> None:
        """Write the missing parts of a run, and end it; existing parts stay as they are."""
        from mlflow.entities import Metric, Param, RunTag

        moment = record.end_ms
        metrics = [Metric(m.name, m.value, moment, m.step) for m in record.metrics]
        params = [Param(name, value) for name, value in record.params.items()]
        tags = [RunTag(name, value) for name, value in record.tags.items()]
        for batch in _batches(metrics, params, tags):
            self._client.log_batch(run_id, *batch)
        for name, text in record.files.items():
            self._client.log_text(run_id, text, name)
        self._client.set_terminated(run_id, record.status, record.end_ms)

    def _create(self, record: RunRecord) -> str:
        run = self._client.create_run(
            self._experiment_id,
            start_time=record.start_ms,
            tags={name: record.tags[name] for name in IDENTITY_TAGS if name in record.tags},
            run_name=record.name,
        )
        self.complete(run.info.run_id, record)
        return str(run.info.run_id)


def _batches(
    metrics: list[Any], params: list[Any], tags: list[Any]
) -> Iterator[tuple[list[Any], list[Any], list[Any]]]:
    """The arguments of `log_batch`: one call if possible, else several."""
    small = (
        len(params) <= MAX_TEXTS
        and len(tags) <= MAX_TEXTS
        and len(metrics) + len(params) + len(tags) <= MAX_VALUES
        and sum(len(text.value) for text in (*params, *tags)) <= MAX_CHARACTERS
    )
    if small:
        yield metrics, params, tags
        return
    few = MAX_CHARACTERS // MAX_PARAM
    for start in range(0, len(tags), few):
        yield [], [], tags[start : start + few]
    for start in range(0, len(params), few):
        yield [], params[start : start + few], []
    for start in range(0, len(metrics), MAX_VALUES):
        yield metrics[start : start + MAX_VALUES], [], []


class TransactionWriter:
    """Inserts the rows of many runs in one transaction.

    Args:
        store: MLflow's `SqlAlchemyStore`, with the tables of `run_tables`.
        experiment: MLflow's experiment.
        fallback: Writes what the database refused, and everything from then on.
    """

    def __init__(self, store: Any, experiment: Any, fallback: ClientWriter) -> None:
        self._engine = store.engine
        self._sanitize = store.sanitize_metric_value  # NaN and infinities, as MLflow keeps them
        self._experiment_id = int(experiment.experiment_id)
        self._artifacts = experiment.artifact_location.rstrip("/")
        self._fallback = fallback
        tables = run_tables()
        assert tables is not None  # `sql_store` found them
        self._tables = tables
        self.is_direct = True

    def write(self, records: Sequence[RunRecord]) -> list[str]:
        """Create runs with everything about them, and return their identifiers."""
        from sqlalchemy import insert
        from sqlalchemy.exc import SQLAlchemyError

        if not self.is_direct:
            return self._fallback.write(records)
        if any(record.files for record in records):  # which no transaction takes
            plain = iter(self.write([record for record in records if not record.files]))
            return [self._fallback.write([r])[0] if r.files else next(plain) for r in records]
        run_ids = [uuid.uuid4().hex for _ in records]
        rows = rows_of(
            dict(zip(run_ids, records, strict=True)),
            self._experiment_id,
            self._artifacts,
            self._sanitize,
        )
        try:
            with self._engine.begin() as connection:
                for name, table in self._tables.items():
                    if rows[name]:
                        connection.execute(insert(table), rows[name])
        except SQLAlchemyError as error:
            # Nothing was written. Either MLflow's tables changed, or the client fails as well and
            # says why.
            logger.debug("runs are written through the client: %s", error)
            run_ids = self._fallback.write(records)
            self.is_direct = False
        return run_ids
