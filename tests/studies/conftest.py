"""Workers of the studies begin at once."""

from __future__ import annotations

import multiprocessing
import sys
from importlib.util import find_spec
from multiprocessing import forkserver

import pytest
from cli_server import WITHOUT_THREADS

LOADED = "tests.studies.libraries_and_studies"


@pytest.fixture(scope="module", autouse=True)
def workers_are_forked() -> None:
    """From a process that has our packages loaded too; it starts with the first module."""
    if sys.platform != "linux":
        return
    context = multiprocessing.get_context("forkserver")
    assert find_spec(LOADED), "it would do without, and say nothing"
    context.set_forkserver_preload([LOADED])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in WITHOUT_THREADS.items():
            patch.setenv(name, value)
        forkserver.ensure_running()
