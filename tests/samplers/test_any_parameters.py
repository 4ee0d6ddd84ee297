"""Studies over any parameters: small ranges, choices that are lists, conditions, few values."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import TrialState
from samplers.distributions import NAN, distributions
from samplers.studies import open_storage

from nasrec_opt.errors import MissingExtraError
from nasrec_opt.samplers import RegularizedEvolutionSampler, make_sampler
from nasrec_opt.samplers._values import contains, key_of
from nasrec_opt.space import SearchSpace

optuna.logging.set_verbosity(optuna.logging.ERROR)
HIDDEN_UNITS = [[400, 400], [256, 128], [64]]
CHOICES = {
    "hidden units": HIDDEN_UNITS,
    "tuples": [(400, 400), (256, 128), (64,)],
    "of one length": [[1, 2], [3, 4]],
    "dicts": [{"units": [64], "dropout": 0.5}, {"units": []}],
    "keys that are no text": [{1: 2}, {3: None}],
    "mixed": [None, [1], "x", 1.5, {"a": None}],
    "alike": [[1], [1], [2]],
    "NaN": [NAN, 1.0],
    "NaN within": [[1, NAN], [2]],
    "equal": ["adam", "adam"],
    "equal numbers": [0, False, 0.0],
    "all NaN": [NAN, NAN],
}
FAST_STORAGES = ("memory", "journal")
STORAGES = (*FAST_STORAGES, "sqlite")
OF_OPTUNA = ("tpe", "nsga2", "nsga3", "random")
HARD_CHOICES = ("hidden units", "of one length", "dicts", "mixed", "NaN")
SIZES = {"population_size": 4, "children_per_round": 2}


@pytest.fixture(autouse=True)
def _without_warnings() -> Iterator[None]:
    """Optuna says that persistent storages may not take such choices; they do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def searched(
    sampler: BaseSampler, objective: Callable, n_trials: int, address: str = "memory://", count=1
) -> optuna.Study:
    study = optuna.create_study(
        study_name="study",
        storage=open_storage(address),
        sampler=sampler,
        directions=["minimize"] * count,
        load_if_exists=True,
    )
    study.optimize(objective, n_trials=n_trials)
    return study


def asks(space: dict[str, BaseDistribution], count: int = 1, conditional: bool = False) -> Callable:
    """An objective that asks every parameter of a space, or the last only now and then."""

    def objective(trial: optuna.Trial) -> list[float]:
        places = []
        for name, distribution in space.items():
            if conditional and name == max(space) and sum(places) % 2:
                continue
            value = trial._suggest(name, distribution)
            places.append(hash(str(key_of(value))) % 7)
        if conditional:
            trial.set_constraint("sum", sum(places) - 8.0)
        return [float(sum(places[place::count])) for place in range(count)]

    return objective


@pytest.mark.parametrize(("kind", "screening"), [*product(FAST_STORAGES, [1, 4]), ("sqlite", 1)])
@pytest.mark.parametrize("name", CHOICES)
def test_choices_of_every_kind_are_searched(tmp_path, kind, screening, name):
    def objective(trial: optuna.Trial) -> float:
        value = trial.suggest_categorical("c", CHOICES[name])
        if isinstance(value, list | tuple | dict):  # an object of the user's own
            assert any(value is choice for choice in CHOICES[name])
        return len(str(value)) + trial.suggest_float("x", 0, 1)

    sampler = RegularizedEvolutionSampler(**SIZES, screening=screening, seed=0)
    study = searched(sampler, objective, 14, f"{kind}:///{tmp_path / 'study'}")
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 14
    assert len(sampler.population(study)) == 4
    keys = {key_of(choice) for choice in CHOICES[name]}
    assert {key_of(trial.params["c"]) for trial in study.trials} <= keys


@pytest.mark.parametrize("kind", STORAGES)
def test_a_child_keeps_the_list_of_its_parent_or_changes_that_alone(tmp_path, kind):
    def objective(trial: optuna.Trial) -> float:
        units = trial.suggest_categorical("units", CHOICES["tuples"])
        return sum(units) + trial.suggest_int("n", 0, 10**6) * 1e-9

    sampler = RegularizedEvolutionSampler(**SIZES, seed=0)
    study = searched(sampler, objective, 24, f"{kind}:///{tmp_path / 'study'}")
    assert list(study.best_params["units"]) == [64]
    first = [trial.params for trial in study.trials]
    for number in range(4, 24):
        assert any(
            sum(key_of(first[number][name]) != key_of(parent[name]) for name in parent) <= 1
            for parent in first[max(number - 6, 0) : number]
        )


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_a_stopped_study_of_lists_goes_on_as_one_left_alone(tmp_path, kind):
    def objective(trial: optuna.Trial) -> float:
        return sum(trial.suggest_categorical("units", HIDDEN_UNITS)) + trial.suggest_int("n", 0, 1)

    def sampler() -> BaseSampler:
        return RegularizedEvolutionSampler(**SIZES, mutations=2, decay_rounds=3, seed=1)

    alone = searched(sampler(), objective, 18)
    for stop in (3, 4, 11, 18):
        address = f"{kind}:///{tmp_path / 'study'}"
        done = len(study.trials) if stop > 3 else 0  # noqa: F821 -- bound by the round before
        study = searched(sampler(), objective, stop - done, address)
    assert [t.params for t in study.trials] == [t.params for t in alone.trials]


@pytest.mark.parametrize(
    ("kind", "name", "choices"),
    [
        *product(FAST_STORAGES, OF_OPTUNA, HARD_CHOICES),
        *product(["sqlite"], ["tpe"], HARD_CHOICES),
        *product(["sqlite"], ["nsga2", "nsga3", "random"], ["mixed"]),
    ],
)
def test_samplers_of_optuna_take_lists_too(tmp_path, kind, name, choices):
    options = {"tpe": {"n_startup_trials": 4}, "random": {}}.get(name, {"population_size": 4})
    sampler = make_sampler(name, None, seed=0, **options)

    def objective(trial: optuna.Trial) -> float:
        kept = trial.suggest_categorical("optimizer", ["adam", "sgd"])
        value = trial.suggest_categorical("c", CHOICES[choices])
        return len(str(value)) + len(kept) + trial.suggest_float("x", 0, 1)

    study = searched(sampler, objective, 14, f"{kind}:///{tmp_path / 'study'}")
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 14


@pytest.mark.parametrize("kind", STORAGES)
@pytest.mark.parametrize("name", ["evolution", "pool_bayes", "ax"])
def test_a_list_beside_a_genotype(tmp_path, kind, name):
    space = SearchSpace.nasrec_small(2)
    try:
        if name == "pool_bayes":
            from nasrec_opt.bayes import PoolBayesSampler

            sampler: Any = PoolBayesSampler(space, num_startup=4, pool_size=8, seed=0)
        elif name == "ax":
            from nasrec_opt.ax import AxSampler

            sampler = AxSampler(space, metric_names=["width"])
        else:
            sampler = RegularizedEvolutionSampler(space, **SIZES, seed=0)
    except MissingExtraError as error:
        pytest.skip(str(error))

    def objective(trial: optuna.Trial) -> float:
        units = trial.suggest_categorical("units", HIDDEN_UNITS)
        return space.suggest(trial).blocks[-1].dense_width + sum(units)

    study = searched(sampler, objective, 8, f"{kind}:///{tmp_path / 'study'}")
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 8
    assert {tuple(trial.params["units"]) for trial in study.trials} <= set(map(tuple, HIDDEN_UNITS))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    space=st.dictionaries(st.sampled_from("abcd"), distributions(), min_size=1),
    count=st.integers(1, 3),
    conditional=st.booleans(),
    options=st.fixed_dictionaries(
        {},
        optional={
            "screening": st.just(3),
            "archive": st.just(True),
            "mutations": st.integers(1, 4),
            "decay_rounds": st.integers(1, 3),
        },
    ),
    kind=st.sampled_from(["memory", "journal"]),
    number=st.integers(0, 10**9),
)
def test_any_parameters_are_searched_and_the_search_resumed(
    tmp_path, space, count, conditional, options, kind, number
):
    objective = asks(space, count, conditional)

    def sampler() -> BaseSampler:
        return RegularizedEvolutionSampler(**SIZES, **options, seed=number)

    address = f"{kind}:///{tempfile.mkdtemp(dir=tmp_path)}/study"
    alone = searched(sampler(), objective, 12, count=count)
    if kind == "journal":
        for n_trials in (5, 2, 5):
            study = searched(sampler(), objective, n_trials, address, count)
        keys = [
            [{name: key_of(v) for name, v in t.params.items()} for t in one.trials[:12]]
            for one in (study, alone)
        ]
        assert keys[0] == keys[1]
    for trial in alone.trials:
        assert trial.state == TrialState.COMPLETE
        for name, value in trial.params.items():
            distribution = trial.distributions[name]
            has_step = getattr(distribution, "step", None) not in (None, 1)
            # Of steps that floats tell apart badly, Optuna refuses its own values, and of a range
            # of integers none of which is a float, all values, since it keeps floats.
            assert contains(distribution, value) or has_step or not has_floats(distribution)


def has_floats(distribution: BaseDistribution) -> bool:
    """Whether a float holds any number of a range of integers."""
    if not isinstance(distribution, IntDistribution):
        return True
    least = float(distribution.low)
    if least < distribution.low:
        least = math.nextafter(least, math.inf)
    return least <= distribution.high


@pytest.mark.parametrize(("low", "high"), [(2**60 + 1, 2**60 + 2), (2**60 + 1, 2**60 + 300)])
def test_integers_that_few_floats_hold_are_searched(low, high):
    space: dict[str, BaseDistribution] = {"n": IntDistribution(low, high)}
    study = searched(RegularizedEvolutionSampler(**SIZES, seed=0), asks(space), 12)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 12
    found = {trial.params["n"] for trial in study.trials}
    assert found <= {2**60, 2**60 + 256}
    if has_floats(space["n"]):
        assert found == {2**60 + 256}


@pytest.mark.parametrize("screening", [1, 4])
def test_a_space_of_two_values_outlives_its_last_new_one(screening):
    sampler = RegularizedEvolutionSampler(**SIZES, screening=screening, seed=0)
    space: dict[str, BaseDistribution] = {"c": CategoricalDistribution([False, True])}
    study = searched(sampler, asks(space), 100)
    assert {trial.params["c"] for trial in study.trials} == {False, True}
    assert len(study.trials) == 100
