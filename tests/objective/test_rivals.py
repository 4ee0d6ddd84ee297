"""A study whose oracle races: what it stops, what the front has seen, and what it depends on."""

from __future__ import annotations

import math
import zlib
from functools import partial

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from hw import DescriptionError, ReRAM
from nasrec_opt import FeatureSpec, Objective, SearchSpace, SupernetOracle, search
from nasrec_opt.errors import StudyError
from nasrec_opt.objective._rivals import Rivals
from nasrec_opt.oracle import Evaluation, Oracle, Racing, RacingOracle, architecture, settled
from nasrec_opt.samplers import RegularizedEvolutionSampler, is_feasible

SPACE = SearchSpace.codesign(2)
FEATURES = FeatureSpec(13, (50,) * 26)
ROWS = 640
REFERENCE = np.random.default_rng(7).gamma(1.0, 0.5, ROWS)
RACING = Racing(first=40, factor=4, confidence=0.9)


class Table(Oracle):
    """Losses of a genotype on each row, drawn from its description; counts what it is asked."""

    features = FEATURES
    num_rows = ROWS

    def __init__(self, racing=RACING):
        self.racing = racing
        self.asked = []

    def losses(self, genotype):
        """Log loss of each row."""
        key = zlib.crc32(repr(architecture(genotype)).encode())
        rng = np.random.default_rng(key)
        return REFERENCE + rng.normal(0.05, 0.03) + rng.normal(0.0, 0.05, ROWS)

    def evaluate(self, genotype, *, report=None):
        """All rows, which a race must not ask for."""
        raise AssertionError

    def race(self, genotype, below):
        """The looks by the textbook."""
        losses = self.losses(genotype)
        looks = ()
        for count in self.racing.looks(ROWS):
            seen = (losses - REFERENCE)[:: ROWS // count]
            error = math.sqrt((1 - count / ROWS) * seen.var(ddof=1) / count)
            estimate = REFERENCE.mean() + seen.mean()
            last = Evaluation(estimate, log_loss_se=error, num_rows=count, looks=looks)
            if settled(last, self.racing, ROWS, below):
                break
            looks = (*looks, Evaluation(last.log_loss, log_loss_se=error, num_rows=count))
        self.asked.append((architecture(genotype), last.num_rows))
        return last


class Costs(ReRAM):
    """Refuses some genotypes."""

    def cost(self, workload):
        """Cost of a workload."""
        if workload.parameters % 7 == 0:
            raise DescriptionError("an odd number of parameters")
        return super().cost(workload)


def objective_of(racing=RACING, **options) -> Objective:
    options = {"constraints": {"area_mm2": 30.0}} | options
    return Objective(SPACE, Table(racing), Costs(), **options)


def searched(objective, seed=0, n_trials=40, study=None, **how) -> optuna.Study:
    sampler = RegularizedEvolutionSampler(
        SPACE, population_size=8, tournament_size=4, children_per_round=2, seed=seed
    )
    study = study or objective.create_study(sampler=sampler)
    search(study, objective, n_trials=n_trials, **how)
    return study


def told(study) -> list[tuple]:
    return [
        (t.state, t.values, t.params, {n: v for n, v in t.user_attrs.items() if n != "seconds"})
        for t in study.trials
    ]


def complete(study):
    return study.get_trials(states=(TrialState.COMPLETE,))


@settings(max_examples=8, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 5),
    st.sampled_from([None, 1, 3]),
    st.sampled_from([("log_loss",), ("log_loss", "latency_us"), None]),
)
def test_the_front_and_the_best_have_seen_all_rows(seed, lag, rivals, objectives):
    racing = Racing(first=40, factor=4, confidence=0.9, rivals=rivals)
    objective = objective_of(racing, objectives=objectives)
    study = searched(objective, seed, lag=lag)
    trials = [t for t in complete(study) if is_feasible(t)]
    kept = rivals or (16 if objectives == ("log_loss",) else 1)
    for trial in trials:
        better = [
            other
            for other in trials
            if all(a <= b for a, b in zip(other.values, trial.values, strict=True))
            and other.values[0] < trial.values[0]
        ]
        if len(better) < kept:
            assert trial.user_attrs["num_rows"] == ROWS
            assert trial.user_attrs["log_loss_se"] == 0.0
    for trial in study.best_trials:
        assert trial.user_attrs["num_rows"] == ROWS or not is_feasible(trial)
    seen = [t.user_attrs["num_rows"] for t in complete(study)]
    assert set(seen) <= {40, 160, 640}


def test_most_trials_of_a_search_see_few_rows_and_say_how_sure_they_are():
    study = searched(objective_of(), n_trials=120)
    seen = np.array([t.user_attrs["num_rows"] for t in complete(study)])
    assert seen.sum() < 0.5 * ROWS * len(seen)
    table = Table()
    for trial in complete(study):
        error = trial.user_attrs["log_loss_se"]
        exact = table.losses(SPACE.decode(trial.params)).mean()
        assert abs(trial.values[0] - exact) <= 5 * error + 1e-12
        assert (error == 0) == (trial.user_attrs["num_rows"] == ROWS)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 38))
def test_a_stopped_study_races_on_as_one_left_alone(seed, lag, at):
    """From another process: with nothing in memory, and open trials that wait."""

    class StoppedError(Exception):
        """Ends a search in the middle."""

    def stop(study, trial):
        if trial.number == at:
            raise StoppedError

    study = objective_of().create_study()
    sampler = partial(
        RegularizedEvolutionSampler,
        SPACE,
        population_size=8,
        tournament_size=4,
        children_per_round=2,
        seed=seed,
    )
    study.sampler = sampler()
    with pytest.raises(StoppedError):
        search(study, objective_of(), n_trials=40, lag=lag, callbacks=[stop])
    study.sampler = sampler()
    searched(objective_of(), seed, study=study, lag=lag)
    assert told(study) == told(searched(objective_of(), seed, lag=lag))


def test_workers_answer_as_one_process_does():
    alone = searched(objective_of(), lag=4)
    assert told(searched(objective_of(), workers=2, lag=4)) == told(alone)
    assert told(searched(objective_of(), lag=1)) != told(alone)


def test_what_is_remembered_is_not_asked_again_and_changes_nothing():
    """Hardware genes change the bound, not the model: its looks are known."""
    objective = objective_of()
    study = searched(objective, n_trials=80)
    asked = objective.oracle.asked
    for key, num_rows in asked:  # only for more rows than before
        rows = [n for k, n in asked if k == key]
        assert rows == sorted(set(rows)), num_rows
    assert len(asked) < len(complete(study))


def trial_of(values, *, excess=-1.0):
    trial = create_trial(
        values=values,
        params={"x": 0.0},
        distributions={"x": FloatDistribution(0, 1)},
        constraints={"area_mm2": excess},
    )
    return trial


NAMES = ("latency_us", "log_loss")


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 6), st.booleans()), min_size=1, max_size=12
    ),
    st.integers(0, 4),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_the_level_is_that_of_the_rivals_among_the_trials_up_to_the_lag(trials, cost, lag, count):
    study = optuna.create_study(directions=["minimize"] * 2)
    for latency, loss, feasible in trials:
        trial = trial_of([latency, loss], excess=-1.0 if feasible else 1.0)
        study.add_trial(trial)
    rivals = Rivals(Table(), Racing(rivals=count), NAMES, {})
    asking = study.ask()
    found = rivals.level_to_beat(asking, lag, {"latency_us": cost})
    known = trials[: max(0, len(trials) - lag + 1)]
    better = sorted(loss for latency, loss, feasible in known if feasible and latency <= cost)
    assert found == (better[count - 1] if len(better) >= count else math.inf)
    limited = Rivals(Table(), Racing(), NAMES, {"latency_us": 2.0})
    assert (limited.level_to_beat(asking, lag, {"latency_us": cost}) == -math.inf) == (cost > 2)


def test_a_trial_without_a_study_sees_all_rows():
    objective = objective_of()
    rng = np.random.default_rng(0)
    genotype = SPACE.sample(rng)
    while not objective.metrics(genotype)["area_mm2"] < 30:
        genotype = SPACE.sample(rng)
    trial = optuna.trial.FixedTrial(SPACE.encode(genotype))
    assert objective(trial)[0] == pytest.approx(Table().losses(genotype).mean())
    assert trial.user_attrs["num_rows"] == ROWS


def test_an_oracle_that_does_not_race_leaves_no_trace():
    assert not isinstance(Oracle, RacingOracle)
    objective = Objective(SPACE, lambda genotype: 0.5, ReRAM(), features=FEATURES)
    study = searched(objective, n_trials=3)
    assert not {"log_loss_se", "num_rows"} & {n for t in study.trials for n in t.user_attrs}
    assert isinstance(SupernetOracle, type)


def test_a_race_without_log_loss_is_one_sentence():
    with pytest.raises(StudyError) as caught:
        objective_of(objectives=("latency_us", "energy_uj"))
    assert str(caught.value) == (
        "objectives: expected log_loss among them, by which the oracle races, got latency_us, "
        "energy_uj"
    )
