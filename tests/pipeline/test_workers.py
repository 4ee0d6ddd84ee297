"""A run whose trials several processes evaluate: how many there are, and what continues as what."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import optuna
import pytest
import torch
from study_files import tiny_study_with

from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.errors import StudyError
from nasrec_opt.objective import lag_of
from nasrec_opt.options import SearchConfig
from nasrec_opt.pipeline import SilentReporter, StudyConfig, run_study
from nasrec_opt.pipeline import _workers as workers


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return generate_synthetic(tmp_path_factory.mktemp("log") / "dataset", rows=2000, seed=0)


@pytest.fixture
def four_cores(monkeypatch):
    """A long log, on a machine with four cores and no GPU."""
    monkeypatch.setattr(workers, "SMALL_LOG", 100)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)


def begun(num_trials: int) -> optuna.Study:
    study = optuna.create_study()
    for _ in range(num_trials):
        study.tell(study.ask(), 0.0)
    return study


def test_there_are_as_many_workers_as_cores_and_one_lag_for_all_machines(
    dataset, four_cores, monkeypatch
):
    study = begun(0)
    assert workers.evaluators(SearchConfig(), dataset, study) == (4, 8)
    for cores in (1, 2, 64):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        assert workers.evaluators(SearchConfig(), dataset, study) == (min(cores, 4), 8)
        assert workers.evaluators(SearchConfig(), dataset, begun(0)) == (min(cores, 4), 8)
    assert workers.evaluators(SearchConfig(workers=1), dataset, study) == (1, 1)
    assert workers.evaluators(SearchConfig(), dataset, study) == (1, 1)  # the last number holds
    assert workers.evaluators(SearchConfig(workers=3), dataset, study) == (3, 6)


def test_one_worker_leaves_no_trace_in_a_study_and_is_what_an_older_study_had(dataset, four_cores):
    older, alone = begun(3), begun(0)
    assert workers.evaluators(SearchConfig(), dataset, older) == (1, 1)
    assert workers.evaluators(SearchConfig(workers=1), dataset, alone) == (1, 1)
    assert older.user_attrs == alone.user_attrs == {}


def test_a_short_log_or_a_pruner_has_one_worker(dataset, four_cores, monkeypatch):
    pruned = SearchConfig(objectives=("log_loss",), pruner="median")
    assert workers.evaluators(pruned, dataset, begun(0)) == (1, 1)
    monkeypatch.setattr(workers, "SMALL_LOG", 10**6)
    assert workers.evaluators(SearchConfig(), dataset, begun(0)) == (1, 1)
    with pytest.raises(StudyError, match=r"workers: expected 1 with a pruner, .* got 2"):
        SearchConfig(objectives=("log_loss",), pruner="median", workers=2)
    with pytest.raises(StudyError, match="workers: expected 1 or more, got 0"):
        SearchConfig(workers=0)


class Interrupting(SilentReporter):
    """Presses Ctrl-C once a search has so many trials."""

    def __init__(self, at: int) -> None:
        self.at = at

    def advance(self, done, total):
        """Interrupt."""
        if done == self.at:
            raise KeyboardInterrupt


def run(folder: Path, count: int | None, reporter=None) -> list[tuple]:
    """The trials of the tiny study with so many workers, after a run in the folder."""
    file = folder.parent / f"{folder.name}.toml"
    file.write_text(tiny_study_with(search={"workers": count, "n_trials": 14}))
    run_study(StudyConfig.from_toml(file), folder, until="search", reporter=reporter)
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{folder}/study.db")
    return [(t.number, t.state, t.params, t.values) for t in study.trials]


def test_an_interrupted_run_continues_with_its_own_lag_or_another(tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in workers
    file = tmp_path / "trained.toml"
    file.write_text(tiny_study_with())
    run_study(StudyConfig.from_toml(file), tmp_path / "trained", until="train")
    for name in ("alone", "stopped"):
        shutil.copytree(tmp_path / "trained", tmp_path / name)
    alone = run(tmp_path / "alone", 2)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", 2, Interrupting(8))
    shutil.copytree(tmp_path / "stopped", tmp_path / "other")
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{tmp_path}/stopped/study.db")
    assert study.user_attrs[workers.LAG] == lag_of(2)
    assert run(tmp_path / "stopped", None) == alone  # here by one process, with the same lag
    others = run(tmp_path / "other", 1)  # what was open is evaluated, and then proposals are new
    assert others[:11] == alone[:11]
    assert len(others) >= 14
    assert "workers" not in (tmp_path / "alone" / "run.json").read_text()
    torch.set_num_threads(threads)
