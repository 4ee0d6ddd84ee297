"""What an objective stores in a trial: intermediate log losses, constraints, times."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from optuna import TrialPruned
from optuna.trial import BaseTrial


class ToTrial:
    """Reports intermediate log losses to a trial, and stops it if the study's pruner says so."""

    def __init__(self, trial: BaseTrial) -> None:
        self._trial = trial
        self.log_loss: float | None = None

    def __call__(self, step: int, log_loss: float) -> None:
        value = float(log_loss)
        self._trial.report(value, step)
        self.log_loss = value
        if self._trial.should_prune():
            raise TrialPruned(f"log loss {value:.6f} after {step:,} steps")


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Record how long the block takes, even if it raises."""
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[name] = round(time.perf_counter() - started, 6)


def set_constraint(trial: BaseTrial, name: str, value: float) -> None:
    """Set the value of a constraint of a trial, above 0 if it is violated."""
    # A trial that continues after a kill has some already; Optuna warns about a second report.
    if name not in getattr(trial, "constraints", {}):
        trial.set_constraint(name, value)
