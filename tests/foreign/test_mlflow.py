"""MLflow has the shape that is expected, and where it has another, nothing is lost but time."""

from __future__ import annotations

import logging
import re
import sqlite3
from contextlib import closing

import pytest
from tracking import studies

pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")

from mlflow.store.db import utils as store_utils
from mlflow.store.tracking import sqlalchemy_store
from mlflow.store.tracking.dbmodels import models
from mlflow.tracking import MlflowClient
from mlflow.tracking._tracking_service import utils
from mlflow_stores import create, tables_of_a_new_store
from sqlalchemy import create_engine

from nasrec_opt._foreign import mlflow as foreign
from nasrec_opt.tracking import MLflowLogger
from nasrec_opt.tracking._store import Store


@pytest.fixture
def uri(tmp_path) -> str:
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def test_the_tables_are_those_that_rows_are_written_to():
    tables = foreign.run_tables()
    assert tables is not None
    assert list(tables) == list(foreign.COLUMNS)
    assert callable(utils._artifact_repos_cache.clear)
    assert "mlflow.store.db.utils" in logging.root.manager.loggerDict


def test_a_new_store_has_all_places_that_may_move(uri, tmp_path):
    Store(uri, "any")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        assert tuple(foreign._present(connection)) == foreign.ADDRESSES
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    assert foreign.STORE_TABLE in names


def test_a_store_that_a_test_copies_is_one_that_mlflow_makes(tmp_path):
    own = getattr(store_utils._initialize_tables, "__wrapped__", store_utils._initialize_tables)
    statements = tables_of_a_new_store(own)
    assert create(str(tmp_path / "copied.db"), statements)
    assert not create(str(tmp_path / "copied.db"), statements)  # nothing is lost
    engine = create_engine(f"sqlite:///{tmp_path / 'made.db'}")
    own(engine)
    found = []
    for name in ("copied", "made"):
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as connection:
            schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")
            statements_of = [*(" ".join(map(str, row)) for row in schema), *connection.iterdump()]
            # The order of a table's constraints is another one each time.
            found.append(sorted(sorted(re.split(r"[\s,()]+", text)) for text in statements_of))
    assert found[0] == found[1]
    assert any("alembic_version" in line and "INSERT" in line for line in statements)


def required_column(patch: pytest.MonkeyPatch) -> None:
    """A column that MLflow wants to have a value, and that is not known here."""
    patch.setattr(models.SqlParam.__table__.columns["value"], "name", "content")


CHANGES = {
    "another store": lambda patch: patch.delattr(sqlalchemy_store, "SqlAlchemyStore"),
    "no table": lambda patch: patch.delattr(models, "SqlLatestMetric"),
    "no column": lambda patch: patch.setitem(foreign.COLUMNS, "SqlTag", ("run_uuid", "label")),
    "a column more": required_column,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_mlflow_is_written_to_through_its_client(change, uri, monkeypatch):
    store = Store(uri, "any")
    assert store.writer is not store.through_client
    with monkeypatch.context() as patch:
        change(patch)
        assert foreign.sql_store(store.client) is None


def test_another_client_is_written_to_through_itself(uri):
    store = Store(uri, "any")
    del store.client._tracking_client
    assert foreign.sql_store(store.client) is None


def written(uri: str) -> list[tuple]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("toy").experiment_id
    runs = client.search_runs([experiment], "tags.`nasrec.kind` = 'trial'")
    return sorted(
        (
            run.data.tags["nasrec.trial"],
            run.info.status,
            sorted(run.data.params.items()),
            sorted(run.data.metrics.items()),
            run.data.tags["nasrec.genotype"],
        )
        for run in runs
    )


def test_the_client_writes_the_same_study(tmp_path, monkeypatch):
    study, found = studies.create(), []
    for name in ("fast", "slow"):
        if name == "slow":
            monkeypatch.setitem(foreign.COLUMNS, "SqlTag", ("run_uuid", "label"))
        uri = f"sqlite:///{tmp_path / name}.db"
        with MLflowLogger(uri) as logger:
            if name == "fast":
                study.optimize(studies.objective, n_trials=3, callbacks=[logger])
            else:
                assert logger.sync(study) == 3
        found.append(written(uri))
    assert found[0] == found[1]
    assert len(found[0]) == 3


def test_places_are_forgotten_where_mlflow_has_such_a_cache(monkeypatch):
    monkeypatch.setattr(utils, "_artifact_repos_cache", {"run": "where the original is"})
    foreign.forget_places()
    assert utils._artifact_repos_cache == {}
    monkeypatch.delattr(utils, "_artifact_repos_cache")
    foreign.forget_places()
