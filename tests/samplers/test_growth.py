"""Defaults that need not know how many trials there will be: a growing, screened population."""

from __future__ import annotations

import optuna
from hypothesis import given, settings
from hypothesis import strategies as st

from nasrec_opt.options._sizes import grown_sizes
from nasrec_opt.samplers import RegularizedEvolutionSampler
from nasrec_opt.space import SearchSpace

optuna.logging.set_verbosity(optuna.logging.ERROR)
SPACE = SearchSpace.nasrec_small(2)


def score(trial: optuna.Trial) -> tuple[float, float]:
    block = SPACE.suggest(trial).blocks[-1]
    trial.set_constraint("rows", 24.0 - block.sparse_width)
    return float(block.dense_width + len(block.sparse_inputs)), -float(block.sparse_width)


def proposals(sampler: RegularizedEvolutionSampler, n_trials: int) -> list[dict]:
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    study.optimize(score, n_trials=n_trials)
    return [trial.params for trial in study.trials]


@given(num_told=st.integers(0, 10_000))
def test_a_population_grows_from_16_to_128(num_told):
    population, tournament = grown_sizes(num_told)
    assert 16 <= population <= 128
    assert tournament == population // 2
    assert population <= max(num_told, 16)
    assert grown_sizes(num_told + 1) >= (population, tournament)
    assert grown_sizes(512) == (128, 64)


def test_breeding_begins_after_16_trials_and_the_population_follows():
    sampler = RegularizedEvolutionSampler(SPACE, seed=0)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    for num_told, alive in ((10, 10), (16, 16), (40, 16), (96, 24)):
        study.optimize(score, n_trials=num_told - len(study.trials))
        assert len(sampler.population(study)) == alive
    at_random = proposals(RegularizedEvolutionSampler(SPACE, population_size=128, seed=0), 24)
    assert [trial.params for trial in study.trials[:16]] == at_random[:16]
    assert [trial.params for trial in study.trials[16:24]] != at_random[16:]


def test_the_paper_is_one_argument_away():
    sizes = {"population_size": 128, "tournament_size": 64, "children_per_round": 8}
    assert proposals(RegularizedEvolutionSampler.paper(SPACE, seed=5), 136) == proposals(
        RegularizedEvolutionSampler(SPACE, **sizes, screening=1, seed=5), 136
    )


def test_who_gives_a_size_has_no_screening_but_by_asking():
    of = {
        screening: proposals(
            RegularizedEvolutionSampler(SPACE, population_size=8, screening=screening, seed=0), 16
        )
        for screening in (None, 1, 4)
    }
    assert of[None] == of[1] != of[4]


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**16), workers=st.integers(1, 5))
def test_what_is_kept_between_calls_changes_nothing(seed, workers):
    """Several workers, told out of order, by one sampler and by one that begins anew each time."""

    def trials(is_fresh: bool) -> list[dict]:
        sampler = RegularizedEvolutionSampler(SPACE, seed=seed)
        study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
        while len(study.trials) < 30:
            asked = []
            for _ in range(workers):
                if is_fresh:
                    study.sampler = RegularizedEvolutionSampler(SPACE, seed=seed)
                trial = study.ask()
                asked.append((trial, score(trial)))
            for trial, values in reversed(asked):
                study.tell(trial, values)
        return [trial.params for trial in study.trials]

    assert trials(is_fresh=False) == trials(is_fresh=True)
