"""Has a worker wait for ever, which keeps a named pipe open while it lives: `LEDGER PIPE`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from threading import Event
from typing import Any

from nasrec_opt.pipeline import SilentReporter
from studies._ledger import Ledger
from studies._workers import run_tasks


def wait(task: dict[str, Any]) -> None:
    with Path(task["pipe"]).open("w") as pipe:
        print(os.getpid(), file=pipe, flush=True)
        Event().wait()


def main() -> None:
    ledger, pipe = sys.argv[1:]
    run_tasks(
        "wait", wait, [{"pipe": pipe}], Ledger(Path(ledger), ["pipe"]), SilentReporter(), workers=1
    )
