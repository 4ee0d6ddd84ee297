"""Trains models for a run: reads a job per line, and writes its result to standard output.

`nasrec_opt.pipeline._trainers` starts it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import torch

from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline._trainers import Job

TELL_S = 0.5  # between two reports


def main() -> None:
    """Train the jobs of standard input, one per line, until it ends or the parent is gone."""
    torch.set_num_threads(1)
    parent, told = os.getppid(), sys.stdout
    sys.stdout = sys.stderr  # nothing else may get between the lines
    opened: dict[str, Dataset] = {}
    last = 0.0

    def tell(**values: Any) -> None:
        told.write(json.dumps(values) + "\n")
        told.flush()

    def progress(done: int, of: int | None) -> None:
        nonlocal last
        if os.getppid() != parent:
            os._exit(1)  # the run was killed
        if time.monotonic() - last > TELL_S:
            last = time.monotonic()
            tell(done=done, of=of or 0)

    for line in sys.stdin:
        asked = json.loads(line)
        key = json.dumps([asked["dataset"], asked["view"]])
        if key not in opened:
            opened[key] = Dataset.open(asked["dataset"], **asked["view"])
        try:
            Job.from_dict(asked["job"]).run(opened[key], progress)
        except StudyError as error:
            tell(error=str(error))
        else:
            tell(error=None)


if __name__ == "__main__":
    main()
