"""Time of logging a trial to MLflow, and what it takes from a search.

    python -m benchmarks.tracking [--trials 60] [--busy-ms 100] [--uri sqlite:///mlflow.db]

First, milliseconds a trial of three ways to write the same trials (61 parameters, 10 metrics, the
genotype): ours, several in a transaction; `MlflowClient` with three calls a trial; and with a call
a value. They take turns in one process, on stores of their own, and leave equal runs.

Second, a search whose objective keeps the interpreter busy, the worst case for a background thread
since both want its lock, in slices with and without the logger. The share of logging is the extra
time, after everything is written, over the time without.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable

import optuna

from nasrec_opt.space import SearchSpace
from nasrec_opt.tracking import MLflowLogger
from nasrec_opt.tracking._record import RunRecord
from nasrec_opt.tracking._store import Store
from nasrec_opt.tracking._trial import trial_record

SPACE = SearchSpace.codesign()
METRIC_NAMES = ["log_loss", "latency_us", "energy_uj"]
SLICE = 20


def objective(busy_ms: float = 0.0) -> Callable[[optuna.Trial], tuple[float, float, float]]:
    """An objective with the attributes of ours that works for `busy_ms` of processor time."""

    def score(trial: optuna.Trial) -> tuple[float, float, float]:
        genotype = SPACE.suggest(trial)
        trial.set_user_attr("genotype", genotype.to_json())
        trial.set_user_attr("seconds", {"oracle": 0.1, "cost": 0.01})
        for name in ("auc", "mflops", "parameters", "area_mm2"):
            trial.set_user_attr(name, 1.0)
        until = time.thread_time() + busy_ms / 1e3  # work, not time: a slower search shows
        while time.thread_time() < until:
            sum(range(100))
        return 0.45, 100.0, 10.0

    return score


def create() -> optuna.Study:
    """A study in memory with the names of its metrics."""
    study = optuna.create_study(
        directions=["minimize"] * 3, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(METRIC_NAMES)
    return study


def call_a_value(store: Store, records: list[RunRecord]) -> list[str]:
    """As `optuna_integration.MLflowCallback` and most scripts do."""
    ids = []
    for record in records:
        run = store.client.create_run(store.experiment_id, record.start_ms, run_name=record.name)
        run_id = run.info.run_id
        for name, value in record.params.items():
            store.client.log_param(run_id, name, value)
        for metric in record.metrics:
            store.client.log_metric(run_id, metric.name, metric.value, record.end_ms, metric.step)
        for name, value in record.tags.items():
            store.client.set_tag(run_id, name, value)
        store.client.set_terminated(run_id, record.status, record.end_ms)
        ids.append(run_id)
    return ids


def writing(trials: int, folder: str) -> dict[str, list[float]]:
    """Milliseconds a trial, by way and slice."""
    study = create()
    study.optimize(objective(), n_trials=SLICE)
    records = [trial_record(trial, METRIC_NAMES, {"a": "b"}) for trial in study.trials]
    store = Store(f"sqlite:///{folder}/writing.db", "writing")
    if store.writer is store.through_client:
        raise SystemExit("this MLflow has other tables: runs are written through its client")
    ways: dict[str, Callable[[list[RunRecord]], list[str]]] = {
        "ours, 20 a transaction": store.writer.write,
        "ours, 1 a transaction": lambda some: [store.writer.write([one])[0] for one in some],
        "client, 3 calls a trial": store.through_client.write,
        "client, a call a value": lambda some: call_a_value(store, some[:2]),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    runs = {}
    for turn in range(-1, max(3, trials // SLICE)):  # the first warms up and shows equality
        for name, write in ways.items():
            start = time.perf_counter()
            ids = write(records)
            if turn < 0:
                data = store.client.get_run(ids[0]).data
                runs[name] = (data.params, data.metrics, data.tags)
            else:
                times[name].append(1e3 * (time.perf_counter() - start) / len(ids))
    if any(run != runs["client, 3 calls a trial"] for run in runs.values()):
        raise SystemExit("the ways to write leave different runs behind")
    return times


def searching(trials: int, busy_ms: float, uri: str) -> dict[str, list[float]]:
    """Milliseconds a trial with and without the logger, by slice; and inside the callback."""
    score = objective(busy_ms)
    times: dict[str, list[float]] = {"without": [], "with": [], "callback": []}
    quiet, loud = create(), create()
    with MLflowLogger(uri, experiment="searching") as logger:

        def timed(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
            start = time.perf_counter()
            logger(study, trial)
            times["callback"].append(1e3 * (time.perf_counter() - start))

        loud.optimize(score, n_trials=2, callbacks=[logger])  # creates the parent run
        logger.flush()
        for _ in range(max(3, trials // SLICE)):
            start = time.perf_counter()
            quiet.optimize(score, n_trials=SLICE)
            times["without"].append(1e3 * (time.perf_counter() - start) / SLICE)
            start = time.perf_counter()
            loud.optimize(score, n_trials=SLICE, callbacks=[timed])
            logger.flush()
            times["with"].append(1e3 * (time.perf_counter() - start) / SLICE)
    return times


def main() -> None:
    """Read the options, and print what logging takes from a search."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100, help="per way")
    parser.add_argument("--busy-ms", type=float, default=100.0, help="of the objective")
    parser.add_argument("--uri", help="MLflow store of the search (default: a fresh SQLite file)")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        written = writing(options.trials, folder)
        uri = options.uri or f"sqlite:///{folder}/searching.db"
        searched = searching(options.trials, options.busy_ms, uri)
    ours, *others = written
    mine = statistics.median(written[ours])
    print("| what | ms a trial | of ours | quartiles |")
    print("|---|---|---|---|")
    for name in (ours, *others):
        low, median, high = statistics.quantiles(written[name], n=4)
        print(f"| {name} | {median:.2f} | {median / mine:.1f} | {low:.2f} to {high:.2f} |")
    pairs = zip(searched["with"], searched["without"], strict=True)
    shares = [100 * (a / b - 1) for a, b in pairs]
    low, share, high = statistics.quantiles(shares, n=4)
    without = statistics.median(searched["without"])
    print(f"\nsearch of {without:.0f} ms a trial: {share:+.1f} % with the logger ", end="")
    print(f"({low:+.1f} to {high:+.1f}), callback {statistics.median(searched['callback']):.3f} ms")


if __name__ == "__main__":
    main()
