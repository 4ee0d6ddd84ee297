"""Optuna has the shape that is expected, and where it has another, nothing is lost but time."""

from __future__ import annotations

import re
import warnings
from importlib.metadata import version
from pathlib import Path

import optuna
import pytest
from conftest import REPOSITORY
from optuna.storages import InMemoryStorage, RDBStorage
from optuna.trial import TrialState

from nasrec_opt import Objective, RegularizedEvolutionSampler, SearchSpace, search
from nasrec_opt._foreign import CHECKED, optuna_rdb
from nasrec_opt._foreign import optuna as foreign
from nasrec_opt.objective import requeue_interrupted
from nasrec_opt.report import importance_figure

SPACE = SearchSpace.nasrec_small(num_blocks=2)


def loss(genotype) -> float:
    return 0.5 - sum(block.dense_width for block in genotype.blocks) / 1e4


def sampler() -> RegularizedEvolutionSampler:
    return RegularizedEvolutionSampler(SPACE, population_size=6, tournament_size=3, seed=0)


def told(study: optuna.Study) -> list[tuple]:
    return [(t.number, t.state, t.values, t.params) for t in study.trials]


@pytest.fixture
def other(monkeypatch) -> None:
    """An Optuna whose studies and trials have other private names."""
    for name in ("_STORAGE", "_STUDY_ID", "_TRIAL_ID", "_FIXED"):
        monkeypatch.setattr(foreign, name, "_of_another_name")


def test_the_versions_that_were_looked_at_are_those_that_are_tested_together():
    pins = dict(re.findall(r"^([\w-]+)==(.*)$", (REPOSITORY / "constraints.txt").read_text(), re.M))
    assert {name: pins[name] for name in CHECKED} == CHECKED
    assert version("optuna") == CHECKED["optuna"]


def test_private_names_stand_in_one_place():
    """Whoever reads another library's private name does it in `_foreign`."""
    private = re.compile(
        r"^\s*(?:from|import) (?:optuna|optuna_dashboard|mlflow|ax|botorch|gpytorch|torch|sklearn)"
        r"[\w.]*(?:\._| import _)|\._storage\b|\._trial_id\b|\._study_id\b|\"fixed_params\"",
        re.MULTILINE,
    )
    ours = [p for p in (REPOSITORY / "nasrec_opt").rglob("*.py") if p.parent.name != "_foreign"]
    found = {
        f"{path.relative_to(REPOSITORY)}: {match.group().strip()}"
        for path in ours
        for match in private.finditer(_without_own_modules(path))
    }
    assert not found


def _without_own_modules(path: Path) -> str:
    return re.sub(r"nasrec_opt\.[\w.]+", "", path.read_text())


def test_studies_and_trials_have_the_private_names():
    study = optuna.create_study(storage=InMemoryStorage())
    study.enqueue_trial({"x": 0.5})
    assert foreign.storage_of(study) is not None
    assert foreign.enqueued_params(study.trials[0]) == {"x": 0.5}
    trial = study.ask()
    assert foreign.fixed_params(trial) == {"x": 0.5} == trial._fixed_params
    [running] = study.trials
    foreign.add_note(study, running, "a", [1])
    foreign.set_attribute(study, running, "b", 2)
    [running] = study.trials
    assert (running.system_attrs["a"], running.user_attrs["b"]) == ([1], 2)
    foreign.give_back(study, running)
    assert study.trials[0].state == TrialState.WAITING


def test_a_step_reported_twice_is_warned_of_in_the_words_that_are_left_out():
    trial = optuna.create_study().ask()
    trial.report(1.0, 0)
    with pytest.warns(UserWarning, match=foreign.REPEATED_REPORT):
        trial.report(1.0, 0)


def test_optuna_writes_why_it_failed_a_trial_itself():
    study = optuna.create_study()
    study.optimize(lambda trial: float("nan"), n_trials=1)
    assert foreign.FAIL_REASON == "fail_reason"
    assert study.trials[0].state == TrialState.FAIL


@pytest.mark.parametrize("stop", [5, 9])
def test_a_search_proposes_the_same_without_the_private_names(stop, other, monkeypatch):
    objective = Objective(SPACE, loss)
    study = objective.create_study(sampler=sampler())
    search(study, objective, n_trials=stop)
    study.sampler = sampler()  # another process
    search(study, objective, n_trials=14)
    monkeypatch.undo()
    alone = objective.create_study(sampler=sampler())
    search(alone, objective, n_trials=14)
    assert told(study) == told(alone)


def test_a_proposal_is_found_again_without_the_private_names(other):
    objective = Objective(SPACE, loss)
    study = objective.create_study(sampler=sampler())
    asked = study.ask()
    SPACE.suggest(asked)
    [running] = study.trials
    proposed = foreign.note_of(study, running, "nasrec:proposal")
    assert proposed is not None
    assert proposed.items() >= running.params.items()


def test_an_interrupted_trial_is_evaluated_without_the_private_names(other):
    objective = Objective(SPACE, loss)
    study = objective.create_study(sampler=sampler())
    genotype = SPACE.suggest(study.ask())
    assert requeue_interrupted(study) == 1
    search(study, objective, n_trials=1)
    failed, again = study.trials
    assert failed.state == TrialState.FAIL
    assert SPACE.decode(again.params) == genotype


def test_a_model_is_enqueued_once_without_the_private_names(other):
    study = optuna.create_study()
    [genotype] = {SPACE.suggest(optuna.create_study().ask())}
    assert [SPACE.enqueue(study, genotype) for _ in range(3)] == [0, 0, 0]
    assert SPACE.suggest(study.ask()) == genotype
    assert len(study.trials) == 1


def test_importances_are_shown_without_the_private_names(other):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(
        lambda t: t.suggest_float("x", 0, 1) + len(t.suggest_categorical("l", [[1], [1, 2]])), 30
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert importance_figure(study) is not None


def test_optuna_has_the_tables_and_methods_that_are_buffered():
    assert optuna_rdb.can_buffer()
    assert hasattr(RDBStorage("sqlite:///:memory:"), "engine")


@pytest.mark.parametrize(
    "change",
    [
        lambda patch: patch.setattr(optuna_rdb, "models", None),
        lambda patch: patch.delattr(RDBStorage, "_create_new_trial"),
        lambda patch: patch.setattr(RDBStorage, "_get_trials", lambda self, study_id: []),
        lambda patch: patch.setitem(optuna_rdb._COLUMNS, "TrialParamModel", {"trial_id"}),
    ],
    ids=["no tables", "no method", "other parameters", "other columns"],
)
def test_another_relational_storage_is_used_unbuffered(change, monkeypatch, tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    with monkeypatch.context() as patch:
        change(patch)
        storage = optuna_rdb.run_storage if not optuna_rdb.can_buffer() else None
        assert storage is not None
        kinds = []
        patch.setattr(optuna_rdb, "BufferedStorage", kinds.append)
        patch.setattr(optuna_rdb, "SQLiteStorage", lambda url: kinds.append("plain"))
        storage(url)
        assert kinds == ["plain"]


def test_an_unbuffered_run_ends_with_the_same_trials(monkeypatch, tmp_path):
    objective, trials = Objective(SPACE, loss), {}
    for name in ("buffered", "plain"):
        if name == "plain":
            monkeypatch.setattr(optuna_rdb, "models", None)
        storage = optuna_rdb.run_storage(f"sqlite:///{tmp_path / name}.db")
        assert isinstance(storage, optuna_rdb.BufferedStorage) == (name == "buffered")
        study = objective.create_study(storage=storage, sampler=sampler())
        search(study, objective, n_trials=8)
        trials[name] = told(study)
    assert trials["plain"] == trials["buffered"]
