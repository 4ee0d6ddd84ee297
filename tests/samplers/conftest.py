"""Every storage that a study can be in, by the address at which any process opens it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers import grpc_proxy

KINDS = ("sqlite", "journal", "postgresql", "grpc")


@pytest.fixture(params=KINDS)
def address(request: pytest.FixtureRequest, tmp_path) -> Iterator[str]:
    """Where a new, empty storage of each kind is."""
    if request.param == "postgresql":
        yield request.getfixturevalue("postgresql").database()
    elif request.param == "grpc":
        pytest.importorskip("grpc", reason="the extra 'dev' is not installed")
        with grpc_proxy(
            request.getfixturevalue("start_code"), f"sqlite:///{tmp_path / 'study.db'}"
        ) as proxy:
            yield proxy
    else:
        yield f"{request.param}:///{tmp_path / 'study.db'}"
