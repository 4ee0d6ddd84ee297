"""Regularized evolution: the paper's algorithm, derived from the study alone."""

from __future__ import annotations

import pickle
import zlib
from collections import deque

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from nasrec_opt.errors import StudyError
from nasrec_opt.options import EvolutionConfig
from nasrec_opt.samplers import RegularizedEvolutionSampler
from nasrec_opt.samplers._tournament import mutations_in
from nasrec_opt.space import Genotype, SearchSpace, liveness

optuna.logging.set_verbosity(optuna.logging.ERROR)
SPACE = SearchSpace.nasrec_full(4)
SIZES = {"population_size": 12, "tournament_size": 5, "children_per_round": 3}


def cost(genotype: Genotype) -> float:
    """A stand-in for a score: distinct for most genotypes, and with a slope to climb."""
    total = 0.0
    for number, (block, live) in enumerate(zip(genotype.blocks, liveness(genotype), strict=True)):
        total += live.dense_pre * block.dense_width * (1 + 0.1 * number)
        total += live.sparse_pre * block.sparse_width * (3 + len(block.sparse_inputs))
    return total + 7 * len(genotype.blocks[-1].dense_inputs)


def naive_evolution(space: SearchSpace, seed: int, rounds: int) -> list[Genotype]:
    """The algorithm as a textbook has it: a queue, no storage, all duplicates refused."""
    population_size, tournament_size, children = SIZES.values()

    def stream(number: int, name: str) -> np.random.Generator:
        return np.random.default_rng([seed, number, zlib.crc32(name.encode())])

    history: list[Genotype] = []

    def first_new(propose) -> Genotype:
        seen = {genotype.canonical() for genotype in history}
        while (child := propose()).canonical() in seen:
            pass
        return child

    while len(history) < population_size:
        rng = stream(len(history), "")
        history.append(first_new(lambda: space.sample(rng)))  # noqa: B023
    queue = deque(history, maxlen=population_size)
    for round_ in range(rounds):
        rng = stream(round_, "tournament")
        drawn = rng.choice(population_size, size=tournament_size, replace=False)
        parent = queue[min(drawn, key=lambda i: (cost(queue[i]), i))]
        born = []
        for _ in range(children):
            rng = stream(len(history), "")
            child = first_new(lambda: space.mutate(parent, rng))  # noqa: B023
            history.append(child)
            born.append(child)
        queue.extend(born)  # as many of the oldest fall out
    return history


def searched(study: optuna.Study) -> list[Genotype]:
    return [SPACE.decode(trial.params) for trial in study.trials]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_equals_a_naive_simulation(direction):
    sign = 1 if direction == "minimize" else -1
    sampler = RegularizedEvolutionSampler(SPACE, **SIZES, seed=3)
    study = optuna.create_study(direction=direction, sampler=sampler)
    study.optimize(lambda trial: sign * cost(SPACE.suggest(trial)), n_trials=12 + 30 * 3)
    assert searched(study) == naive_evolution(SPACE, seed=3, rounds=30)


def test_is_better_than_random_search():
    best = {}
    for name, sampler in (
        ("evolution", RegularizedEvolutionSampler(SPACE, **SIZES, seed=0)),
        ("random", optuna.samplers.RandomSampler(seed=0)),
    ):
        study = optuna.create_study(sampler=sampler)
        study.optimize(lambda trial: cost(SPACE.suggest(trial)), n_trials=150)
        best[name] = study.best_value
    assert best["evolution"] < best["random"]


def test_children_of_a_round_share_a_parent_and_differ_from_it_by_one_mutation():
    sampler = RegularizedEvolutionSampler(SPACE, **SIZES, seed=1)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: cost(SPACE.suggest(trial)), n_trials=12)
    batch = [study.ask() for _ in range(3)]  # told only later, as by three workers
    children = [SPACE.suggest(trial) for trial in batch]
    parents = {
        parent.canonical()
        for parent in searched(study)[:12]
        if all(_blocks_that_differ(parent, child) == 1 for child in children)
    }
    assert len(parents) == 1
    assert len({child.canonical() for child in children}) == 3


def _blocks_that_differ(one: Genotype, other: Genotype) -> int:
    return sum(a != b for a, b in zip(one.blocks, other.blocks, strict=True))


def test_the_oldest_leave_however_good():
    # Trial 0 is the best by far and stays the parent until it is too old.
    sampler = RegularizedEvolutionSampler(
        SPACE, population_size=4, tournament_size=4, children_per_round=1, seed=0
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: [cost(SPACE.suggest(trial)), trial.number][1], n_trials=9)
    genotypes = searched(study)
    for number in range(4, 9):
        parent = genotypes[number - 4]  # values rise with the number, so the oldest is the best
        assert _blocks_that_differ(parent, genotypes[number]) == 1


@pytest.mark.parametrize("num_objectives", [1, 3])
def test_no_model_is_proposed_twice(num_objectives):
    space = SearchSpace(
        num_blocks=2, dense_ops=("fc", "sum"), sparse_ops=("efc",), dense_widths=(16,),
        sparse_widths=(16,), mergers=False,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    models = {space.sample(rng).canonical() for _ in range(1000)}
    sampler = RegularizedEvolutionSampler(
        space, population_size=8, tournament_size=4, children_per_round=2, seed=0
    )
    study = optuna.create_study(directions=["minimize"] * num_objectives, sampler=sampler)
    n_trials = int(0.75 * len(models))
    study.optimize(lambda trial: [cost(space.suggest(trial))] * num_objectives, n_trials=n_trials)
    proposed = {space.decode(trial.params).canonical() for trial in study.trials}
    assert len(proposed) == n_trials
    study.optimize(
        lambda trial: [cost(space.suggest(trial))] * num_objectives, n_trials=len(models)
    )  # more trials than models: it goes on, with duplicates


def test_an_enqueued_genotype_is_tried_and_not_proposed_again():
    sampler = RegularizedEvolutionSampler(SPACE, **SIZES, seed=0)
    first = optuna.create_study(sampler=sampler)
    proposal = SPACE.suggest(first.ask())
    study = optuna.create_study(sampler=RegularizedEvolutionSampler(SPACE, **SIZES, seed=0))
    study.enqueue_trial(SPACE.encode(proposal))
    study.optimize(lambda trial: cost(SPACE.suggest(trial)), n_trials=20)
    assert searched(study)[0] == proposal
    assert len({genotype.canonical() for genotype in searched(study)}) == 20


def test_an_enqueued_genotype_is_not_proposed_while_it_waits():
    def study() -> optuna.Study:
        sampler = RegularizedEvolutionSampler(SPACE, **SIZES, seed=0)
        return optuna.create_study(sampler=sampler)

    proposal = SPACE.suggest(study().ask())
    waiting = study()
    waiting.enqueue_trial({})  # a trial of which nothing is fixed is asked first
    waiting.enqueue_trial(SPACE.encode(proposal))
    assert SPACE.suggest(waiting.ask()) != proposal
    assert SPACE.suggest(waiting.ask()) == proposal


def test_failed_and_pruned_trials_are_no_parents():
    def objective(trial):
        value = cost(SPACE.suggest(trial))
        if trial.number % 3 == 0:
            raise optuna.TrialPruned
        if trial.number % 3 == 1:
            return float("nan")
        return value

    sampler = RegularizedEvolutionSampler(SPACE, **SIZES, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=36 + 60)
    complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    assert len(complete) == 32
    genotypes = searched(study)
    for number in range(36, 96):
        parents = [SPACE.decode(t.params) for t in complete if t.number < number][-15:]
        assert any(_blocks_that_differ(parent, genotypes[number]) == 1 for parent in parents)


@pytest.mark.parametrize("directions", [["minimize", "maximize"], ["maximize", "minimize"]])
def test_several_objectives_move_the_front(directions):
    # One objective wants narrow dense, the other wide sparse layers; both at once are possible.
    def objective(trial):
        last = SPACE.suggest(trial).blocks[-1]
        values = {
            "minimize": last.dense_width + cost_of_inputs(last),
            "maximize": last.sparse_width,
        }
        return [values[direction] for direction in directions]

    def cost_of_inputs(block):
        return len(block.sparse_inputs)

    sampler = RegularizedEvolutionSampler(SPACE, **SIZES, seed=0)
    study = optuna.create_study(directions=directions, sampler=sampler)
    study.optimize(objective, n_trials=120)
    best = {direction: [] for direction in directions}
    for trial in study.best_trials:
        for direction, value in zip(directions, trial.values, strict=True):
            best[direction].append(value)
    assert min(best["minimize"]) == 17
    assert max(best["maximize"]) == 64


def test_constraints_come_before_objectives():
    def objective(trial):
        genotype = SPACE.suggest(trial)
        trial.set_constraint("wide enough", 256 - genotype.blocks[-1].dense_width)
        return cost(genotype)  # which by itself wants narrow layers

    def share_of_feasible(study):
        late = study.trials[-60:]
        return sum(all(v <= 0 for v in t.constraints.values()) for t in late) / len(late)

    sampler = RegularizedEvolutionSampler(SPACE, **SIZES, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=150)
    assert share_of_feasible(study) > 0.8
    without = optuna.create_study(sampler=RegularizedEvolutionSampler(SPACE, **SIZES, seed=0))
    without.optimize(lambda trial: cost(SPACE.suggest(trial)), n_trials=150)
    wide = [SPACE.decode(t.params).blocks[-1].dense_width >= 256 for t in without.trials[-60:]]
    assert sum(wide) / len(wide) < 0.5


def test_a_flat_set_of_parameters_needs_no_space():
    def objective(trial):
        x = trial.suggest_float("x", -5, 5)
        n = trial.suggest_int("n", 1, 100, log=True)
        kind = trial.suggest_categorical("kind", ["a", "b", None])
        return (x - 1) ** 2 + abs(n - 7) + (kind is not None)

    sampler = RegularizedEvolutionSampler(**SIZES, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=200)
    for trial in study.trials[15:40]:
        parents = [t.params for t in study.trials if t.number < trial.number]
        assert any(sum(trial.params[k] != p[k] for k in p) == 1 for p in parents)
    assert study.best_value < 1


def test_flat_parameters_may_be_conditional():
    def objective(trial):
        if trial.suggest_categorical("deep", [True, False]):
            return trial.suggest_float("depth", 0, 1)
        return 1 + trial.suggest_float("width", 0, 1)

    study = optuna.create_study(sampler=RegularizedEvolutionSampler(**SIZES, seed=0))
    study.optimize(objective, n_trials=60)
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)
    assert {tuple(sorted(trial.params)) for trial in study.trials[12:]} == {
        ("deep", "depth"),
        ("deep", "width"),
    }
    assert study.best_value < 0.05  # twelve random trials reach it one time in four


def test_trials_of_another_space_are_nobodys_parents():
    study = optuna.create_study(sampler=RegularizedEvolutionSampler(SPACE, **SIZES, seed=0))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=20)
    study.optimize(lambda trial: cost(SPACE.suggest(trial)), n_trials=20)
    assert all(SPACE.contains(SPACE.decode(trial.params)) for trial in study.trials[20:])


def test_one_sampler_serves_two_studies():
    alone = optuna.create_study(sampler=RegularizedEvolutionSampler(SPACE, **SIZES, seed=0))
    alone.optimize(lambda trial: cost(SPACE.suggest(trial)), n_trials=30)
    shared = RegularizedEvolutionSampler(SPACE, **SIZES, seed=0)
    studies = [optuna.create_study(sampler=shared) for _ in range(2)]
    for _ in range(30):
        for study in studies:
            study.optimize(lambda trial: cost(SPACE.suggest(trial)), n_trials=1)
    assert searched(studies[0]) == searched(studies[1]) == searched(alone)


def test_a_pickled_sampler_continues_alike():
    sampler = RegularizedEvolutionSampler(SPACE, **SIZES, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: cost(SPACE.suggest(trial)), n_trials=20)
    copy = pickle.loads(pickle.dumps(sampler))
    trial = study.ask()
    frozen = study.trials[-1]
    space = sampler.infer_relative_search_space(study, frozen)
    assert copy.sample_relative(study, frozen, space) == SPACE.encode(SPACE.suggest(trial))


def test_a_sampler_that_is_used_again_knows_nothing_of_the_study_before():
    sampler = RegularizedEvolutionSampler(SPACE, **SIZES, seed=0)
    found = []
    for n_trials in (30, 20):
        study = optuna.create_study(study_name="again", sampler=sampler)
        study.optimize(lambda trial: cost(SPACE.suggest(trial)), n_trials=n_trials)
        found.append([trial.params for trial in study.trials])
    assert found[1] == found[0][:20]


def test_threads_share_a_sampler():
    study = optuna.create_study(sampler=RegularizedEvolutionSampler(SPACE, **SIZES, seed=0))
    study.optimize(lambda trial: cost(SPACE.suggest(trial)), n_trials=60, n_jobs=4)
    assert len(study.trials) == 60
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population_size": 0}, "population_size: expected a positive integer, got 0"),
        ({"tournament_size": True}, "tournament_size: expected a positive integer, got True"),
        ({"children_per_round": 1.5}, "children_per_round: expected a positive integer, got 1.5"),
        (
            {"population_size": 8, "tournament_size": 9},
            "tournament_size: expected at most the population of 8, got 9",
        ),
        ({"seed": -1}, "seed: expected an integer from 0, got -1"),
    ],
)
def test_bad_options_are_one_sentence(options, message):
    with pytest.raises(StudyError) as caught:
        RegularizedEvolutionSampler(SPACE, **options)
    assert str(caught.value) == message


def test_the_population_is_known_after_every_trial():
    sampler = RegularizedEvolutionSampler(SPACE, **SIZES, seed=3)
    study = optuna.create_study(sampler=sampler)
    queue: deque[int] = deque()
    for number in range(12 + 4 * 3):
        study.optimize(lambda trial: cost(SPACE.suggest(trial)), n_trials=1)
        queue.append(number)
        while len(queue) > 12 and (number + 1 - 12) % 3 == 0:  # a whole round was born
            queue.popleft()
        alive = [trial.number for trial in sampler.population(study)]
        assert alive == list(queue)[:12]


def test_an_archive_lets_the_best_have_children_when_it_is_old():
    sizes = {"population_size": 4, "tournament_size": 4, "children_per_round": 2}
    parents = {}
    for archive in (False, True):
        sampler = RegularizedEvolutionSampler(SPACE, **sizes, archive=archive, seed=0)
        study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
        # Trial 0 dominates all others, and is dead from trial 6 on.
        study.optimize(
            lambda trial: [float(SPACE.suggest(trial) is not None) + trial.number] * 2, n_trials=60
        )
        first = searched(study)[0]
        parents[archive] = [_blocks_that_differ(first, child) <= 1 for child in searched(study)[6:]]
    assert sum(parents[True]) > sum(parents[False])


@pytest.mark.parametrize("tie_break", ["crowding", "hypervolume", "none"])
def test_every_tie_break_searches_several_objectives(tie_break):
    sampler = RegularizedEvolutionSampler(SPACE, **SIZES, tie_break=tie_break, seed=0)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    study.optimize(
        lambda trial: (cost(g := SPACE.suggest(trial)), -float(g.blocks[-1].dense_width)),
        n_trials=40,
    )
    assert len({genotype.canonical() for genotype in searched(study)}) == 40


def test_the_number_of_mutations_decays_as_in_the_published_code():
    options = EvolutionConfig(mutations=6, decay_rounds=240)
    published = [(240 - number) // 48 + 1 for number in range(241)]
    assert [mutations_in(options, number) for number in range(241)] == published
    assert mutations_in(options, 1000) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tie_break": "age"}, "tie_break: expected one of crowding, hypervolume, none, got 'age'"),
        ({"mutations": 0}, "mutations: expected a positive integer, got 0"),
        ({"decay_rounds": 0}, "decay_rounds: expected a positive integer, got 0"),
        ({"archive": 3}, "archive: expected true or false, got 3"),
    ],
)
def test_a_bad_option_is_one_sentence(options, message):
    with pytest.raises(StudyError, match=message):
        RegularizedEvolutionSampler(**options)
