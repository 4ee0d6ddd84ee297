"""The surroundings of a command that trains."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasrec_opt.pipeline import ConsoleReporter


@contextmanager
def reporting() -> Iterator[ConsoleReporter]:
    """Report progress on the terminal; import what loads torch inside this context, not before."""
    # Read when torch is loaded. Threads that spin while they wait for each other are a sixth faster
    # on idle cores, but four times slower as soon as another process needs one of the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import optuna

    from nasrec_opt.pipeline import ConsoleReporter

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # the reporter prints the progress
    with ConsoleReporter() as reporter:
        yield reporter
