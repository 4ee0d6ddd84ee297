"""Does one worker's share of a study, however often it is killed: `ADDRESS WORKER SHARE LOG`.

Each line of standard input begins a life of the worker: a process forked from this one, which has
the packages loaded and has opened nothing. Its number is printed, what it says, and how it ended.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import optuna
from optuna.trial import TrialState
from samplers.studies import heartbeat, objective, open_at

from nasrec_opt.objective import finished_trials, search


def main(address: str, worker: int, share: int, log: Path) -> None:
    study = open_at(address, **heartbeat())

    def evaluate(trial: optuna.Trial) -> tuple[float, float]:
        trial.set_user_attr("worker", worker)
        values = objective(trial)
        print(trial.number, flush=True)
        time.sleep(0.02)  # stands for the model; most kills should fall into it
        with log.open("a") as stream:
            stream.write(f"{trial.number}\n")
        return values

    def done() -> int:
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return sum(trial.user_attrs["worker"] == worker for trial in complete)

    while done() < share:
        search(study, evaluate, n_trials=len(finished_trials(study)) + 1, shared=True)


def live() -> None:
    print(os.getpid(), flush=True)
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    while sys.stdin.readline():
        if not (life := os.fork()):
            live()
            break
        print("ended", os.waitstatus_to_exitcode(os.waitpid(life, 0)[1]), flush=True)
