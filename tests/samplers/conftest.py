"""Every storage that a study can be in, by the address at which any process opens it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers import PostgreSQL, grpc_proxy, postgresql_programs

KINDS = ("sqlite", "journal", "postgresql", "grpc")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server of this session's own."""
    pytest.importorskip("psycopg", reason="the extra 'postgresql' is not installed")
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("needs the programs of PostgreSQL: initdb, pg_ctl")
    server = PostgreSQL(programs)
    yield server
    server.stop()


@pytest.fixture(params=KINDS)
def address(request: pytest.FixtureRequest, tmp_path) -> Iterator[str]:
    """Where a new, empty storage of each kind is."""
    if request.param == "postgresql":
        yield request.getfixturevalue("postgresql").database()
    elif request.param == "grpc":
        pytest.importorskip("grpc", reason="the extra 'dev' is not installed")
        with grpc_proxy(f"sqlite:///{tmp_path / 'study.db'}") as proxy:
            yield proxy
    else:
        yield f"{request.param}:///{tmp_path / 'study.db'}"
