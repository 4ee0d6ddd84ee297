"""Models trained at once by other processes: the same models, and nobody is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from processes import wait_until_gone
from safetensors.torch import load_file
from study_files import tiny_study_with

from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.distributed import WorkerPool, _number
from nasrec_opt.pipeline import StudyConfig, run_study
from nasrec_opt.pipeline import _trainers as trainers
from nasrec_opt.pipeline import _workers as workers
from nasrec_opt.pipeline._trainers import Job, train_ahead
from nasrec_opt.pipeline._workers import default_trainers
from nasrec_opt.retrain import RetrainConfig
from nasrec_opt.space import SearchSpace

SPACE = SearchSpace.nasrec_small(num_blocks=2, wide=(False, True))
SHORT = RetrainConfig(learning_rates=(0.003,), epochs=2, batch_size=128, patience=0, least_steps=0)
LONG = RetrainConfig(learning_rates=(0.003,), epochs=4000, batch_size=128, least_steps=10**6)


def study_file(count: int) -> str:
    """A study with a ladder whose models are trained by so many processes."""
    return tiny_study_with(
        search={"n_trials": 8, "ladder": {"models": 4, "epochs": 0.5, "probes": 2}},
        retrain={
            "top": 2,
            "workers": count,
            "model": {"learning_rates": [0.003], "epochs": 2, "batch_size": 128},
        },
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    folder = tmp_path_factory.mktemp("log") / "dataset"
    generate_synthetic(folder, rows=2000, seed=0)
    return Dataset.open(folder, binned_dense=True)


@pytest.fixture(autouse=True)
def _one_thread():
    """As in those processes: a product over several threads adds up in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def jobs(folder: Path, config: RetrainConfig = SHORT) -> list[Job]:
    rng = np.random.default_rng(0)
    genotypes = [SPACE.sample(rng) for _ in range(3)]
    return [
        Job(genotypes[0], folder / "0", config),
        Job(genotypes[1], folder / "1", config, epochs=0.5),
        Job(genotypes[2], folder / "2", config, first=1.0),
    ]


def weights_in(folder: Path) -> list[Path]:
    return sorted(file.relative_to(folder) for file in folder.rglob("*.safetensors"))


@pytest.fixture
def started(monkeypatch):
    """The identifiers of the processes of `train_ahead`."""
    found: list[int] = []

    class Watched(WorkerPool):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            found.extend(self.pids)

    monkeypatch.setattr(trainers, "WorkerPool", Watched)
    return found


def test_models_are_those_that_one_process_trains(dataset, tmp_path):
    told = []
    train_ahead(jobs(tmp_path / "ahead"), dataset, 2, lambda done, of: told.append((done, of)))
    for job in jobs(tmp_path / "alone"):
        job.run(dataset)
    files = sorted(
        f.relative_to(tmp_path / "alone") for f in (tmp_path / "alone").rglob("*.safetensors")
    )
    assert files == sorted(
        f.relative_to(tmp_path / "ahead") for f in (tmp_path / "ahead").rglob("*.safetensors")
    )
    assert len(files) >= 4
    for file in files:
        one, other = (load_file(tmp_path / where / file) for where in ("alone", "ahead"))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_comes_to_the_same_however_many_train(tmp_path):
    def without_times(value):
        if isinstance(value, dict):
            return {k: without_times(v) for k, v in value.items() if "seconds" not in k}
        return [without_times(v) for v in value] if isinstance(value, list) else value

    found = []
    for count in (1, 2):
        out = tmp_path / str(count)
        out.mkdir()
        (out / "tiny.toml").write_text(study_file(count))
        run_study(StudyConfig.from_toml(out / "tiny.toml"), out / "run")
        results = json.loads((out / "run" / "retrained" / "results.json").read_text())
        found.append(without_times(results))
    assert found[0] == found[1]
    record = json.loads((out / "run" / "run.json").read_text())
    assert "workers" not in json.dumps(record)


def test_what_is_there_already_starts_nobody(dataset, tmp_path, started):
    for job in jobs(tmp_path):
        job.run(dataset)
    train_ahead(jobs(tmp_path), dataset, 2, lambda done, of: None)
    train_ahead(jobs(tmp_path / "other")[:1], dataset, 8, lambda done, of: None)
    assert not started
    others = [replace(job, config=replace(SHORT, seed=1)) for job in jobs(tmp_path)]
    assert not any(job.is_done(dataset) for job in others)  # what is there is of other seeds
    assert default_trainers(dataset) == 1  # a log as short as this one


def test_memory_bounds_how_many_there_are(dataset, monkeypatch):
    monkeypatch.setattr(workers, "SMALL_LOG", 100)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert default_trainers(dataset) in range(1, workers.MOST_TRAINERS + 1)
    for gigabytes, expected in ((1000, workers.MOST_TRAINERS), (4, 2), (0.5, 1)):
        monkeypatch.setattr(_number, "memory", lambda held=gigabytes: held * 2**30)
        assert default_trainers(dataset) == expected


def test_a_process_that_dies_costs_its_model_alone(dataset, tmp_path, started):
    asked = jobs(tmp_path, LONG)
    asked[1:] = [Job(job.genotype, job.folder, SHORT) for job in asked[1:]]

    def kill(done, of):
        if all(job.is_done(dataset) for job in asked[1:]):
            for pid in started:
                with suppress(ProcessLookupError):  # told of the last step before it died
                    os.kill(pid, signal.SIGKILL)

    train_ahead(asked, dataset, 2, kill)
    assert [job.is_done(dataset) for job in asked] == [False, True, True]


def test_an_interrupted_run_leaves_no_process(dataset, tmp_path, started):
    def interrupt(done, of):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_ahead(jobs(tmp_path, LONG), dataset, 2, interrupt)
    assert len(started) == 2
    assert wait_until_gone(started)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_a_killed_run_leaves_no_process(dataset, tmp_path):
    script = f"""
import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[1])!r}]
from pathlib import Path
from test_trainers import LONG, jobs
from nasrec_opt.data import Dataset
from nasrec_opt.pipeline import _trainers
class Shown(_trainers.WorkerPool):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        print(*self.pids, flush=True)
_trainers.WorkerPool = Shown
dataset = Dataset.open({str(dataset.path)!r}, binned_dense=True)
asked = jobs(Path({str(tmp_path)!r}), LONG)
_trainers.train_ahead(asked, dataset, 2, lambda done, of: print("step", flush=True))
"""
    run = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert run.stdout is not None
    pids = [int(pid) for pid in run.stdout.readline().split()]
    assert len(pids) == 2
    assert run.stdout.readline() == "step\n"
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert wait_until_gone(pids)
