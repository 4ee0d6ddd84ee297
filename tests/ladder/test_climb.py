"""The climb, on landscapes whose truth is known."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.ladder import Candidate, climb, features_of, summary
from nasrec_opt.space import SearchSpace

SPACE = SearchSpace.nasrec_full(num_blocks=3)
FEATURES = FeatureSpec(13, (100,) * 26)


@dataclass(frozen=True)
class Result:
    log_loss: float
    row_losses: np.ndarray
    seconds: float = 1.0


class Landscape:
    """Genotypes whose trained log loss falls with MACs, while the search's score rises with them.

    Args:
        seed: Of genotypes and noise.
        count: Candidates.
    """

    def __init__(self, seed: int, count: int = 60) -> None:
        rng = np.random.default_rng(seed)
        genotypes = list({SPACE.sample(rng).canonical(): None for _ in range(count)})
        self.candidates, self.truth = [], {}
        for trial, genotype in enumerate(genotypes):
            features = features_of(genotype, FEATURES)
            truth = 0.6 - 0.01 * features[0] + 0.002 * rng.normal()
            score = 0.5 + 0.005 * features[0] + 0.5 * truth + 0.002 * rng.normal()
            self.truth[genotype] = truth
            self.candidates.append(
                Candidate(
                    genotype=genotype,
                    trial=trial,
                    score=score,
                    costs=(features[0], features[1]),
                    features=features,
                )
            )
        self.trained: list[tuple[object, int]] = []
        self._rows = rng.normal(size=200) * 0.3

    def train(self, genotype, epochs: int) -> Result:
        self.trained.append((genotype, epochs))
        number = list(self.truth).index(genotype)
        own = np.random.default_rng([number, epochs]).normal(size=200) * 0.02
        rows = self.truth[genotype] + 0.05 / epochs + self._rows + own - own.mean()
        return Result(float(rows.mean()), rows)


class Memory:
    """Trains on a landscape and remembers, as the folders of models do, until it is interrupted.

    Attributes:
        known: What trainings came to.
        left: Trainings before the next interruption; None for as many as are asked for.
    """

    def __init__(self, landscape: Landscape) -> None:
        self.known: dict[tuple[object, int], Result] = {}
        self.left: int | None = None
        self._landscape = landscape

    def train(self, genotype, epochs: int) -> Result:
        if (genotype, epochs) not in self.known:
            if self.left == 0:
                raise KeyboardInterrupt
            if self.left is not None:
                self.left -= 1
            self.known[genotype, epochs] = self._landscape.train(genotype, epochs)
        return self.known[genotype, epochs]


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 50),
    models=st.integers(1, 20),
    finalists=st.integers(1, 4),
    kills=st.lists(st.integers(1, 12), max_size=3),
)
def test_an_interrupted_climb_ends_as_one_left_alone(seed, models, finalists, kills):
    """Whatever was trained is remembered; the model that was being trained is trained again."""
    landscape = Landscape(seed, count=25)
    alone = climb(
        landscape.candidates, landscape.train, finalists=finalists, epochs=1, models=models
    )
    memory = Memory(landscape)
    for kill_after in kills:
        memory.left, before = kill_after, len(memory.known)
        try:
            climb(landscape.candidates, memory.train, finalists=finalists, epochs=1, models=models)
        except KeyboardInterrupt:
            assert len(memory.known) > before
    memory.left = None
    resumed = climb(
        landscape.candidates, memory.train, finalists=finalists, epochs=1, models=models
    )
    assert summary(resumed) == summary(alone)
    assert len(landscape.trained) == 2 * len(memory.known)  # once alone, once in all parts together


@pytest.mark.parametrize("seed", range(4))
def test_truths_overcome_a_score_that_prefers_small_models(seed):
    landscape = Landscape(seed)
    climbed = climb(landscape.candidates, landscape.train, finalists=3, epochs=1, models=16)
    found = [landscape.truth[climbed.candidates[i].genotype] for i in climbed.rungs[-1].promoted]
    by_score = sorted(landscape.candidates, key=lambda c: c.score)[:16]
    assert min(found) < min(landscape.truth[c.genotype] for c in by_score)
    assert min(found) <= np.quantile(list(landscape.truth.values()), 0.1)
    assert climbed.tau > max(0.3, climbed.tau_of_score)


def test_models_go_on_with_twice_the_epochs_and_half_of_them():
    landscape = Landscape(1)
    climbed = climb(landscape.candidates, landscape.train, finalists=3, epochs=2, models=12)
    assert [(rung.epochs, len(rung.trained)) for rung in climbed.rungs] == [(2, 12), (4, 6)]
    assert [epochs for _, epochs in landscape.trained] == [2] * 12 + [4] * 6
    assert len(climbed.rungs[-1].promoted) == 3
    assert set(climbed.rungs[0].promoted) == set(climbed.rungs[1].trained)


def test_finalists_lie_at_several_points_of_the_front():
    landscape = Landscape(2)
    climbed = climb(landscape.candidates, landscape.train, finalists=4, epochs=1, models=16)
    promoted = climbed.rungs[-1].promoted
    losses = {i: r.log_loss for i, r in climbed.rungs[-1].trained.items()}
    assert promoted[0] == min(losses, key=losses.get)
    costs = climbed.costs[promoted]
    assert costs[:, 0].min() < costs[0, 0]


def test_one_objective_promotes_the_most_accurate():
    landscape = Landscape(3)
    alone = [
        Candidate(genotype=c.genotype, trial=c.trial, score=c.score, costs=(), features=c.features)
        for c in landscape.candidates
    ]
    climbed = climb(alone, landscape.train, finalists=2, epochs=1, models=8)
    for rung in climbed.rungs:
        order = sorted(rung.trained, key=lambda i: rung.trained[i].log_loss)
        assert rung.promoted == order[: len(rung.promoted)]


def test_a_model_that_cannot_be_trained_fails_alone():
    landscape = Landscape(4)
    healthy = climb(landscape.candidates, landscape.train, finalists=2, epochs=1, models=8)
    broken = landscape.candidates[next(iter(healthy.rungs[0].trained))]

    def train(genotype, epochs: int) -> Result:
        if genotype == broken.genotype:
            raise StudyError("training: expected a finite validation log loss, got none")
        return landscape.train(genotype, epochs)

    climbed = climb(landscape.candidates, train, finalists=2, epochs=1, models=8)
    told = summary(climbed)
    assert list(told["failures"]) == [str(broken.trial)]
    assert broken.trial not in told["finalists"]
    assert len(told["finalists"]) == 2


def test_nothing_but_failures_is_an_error():
    landscape = Landscape(4, count=6)

    def train(genotype, epochs: int) -> Result:
        raise StudyError("training: expected a finite validation log loss, got none")

    with pytest.raises(StudyError, match="no training succeeded; the first: training: "):
        climb(landscape.candidates, train, finalists=2, epochs=1, models=4)
    with pytest.raises(StudyError, match="expected candidates, got none"):
        climb([], train, finalists=2, epochs=1, models=4)


def priced(landscape: Landscape) -> list[Candidate]:
    """The same candidates, whose training costs what their MACs say."""
    return [replace(c, work=2.0 ** (c.features[0] - 12)) for c in landscape.candidates]


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 50),
    affordable=st.integers(8, 30),
    probes=st.sets(st.integers(0, 20), max_size=5),
    kills=st.lists(st.integers(1, 12), max_size=3),
)
def test_a_climb_within_measured_work_resumes_exactly(seed, affordable, probes, kills):
    """The one measured number is kept, whatever clock the process that goes on has."""
    landscape = Landscape(seed, count=40)
    candidates, memory, planned = priced(landscape), Memory(landscape), []

    def begin(models):
        return climb(
            candidates,
            memory.train,
            finalists=2,
            epochs=1,
            models=models,
            probes=sorted(probes),
            work=planned[-1] if planned else None,
            on_change=lambda state: planned.append(state.work),
        )

    alone = begin(lambda seconds: affordable)
    rung = alone.rungs[0]
    assert list(rung.trained)[: len(probes)] == sorted(probes)
    climbers = alone.climbers
    assert climbers == list(rung.trained)[len(probes) :]
    assert len(rung.trained) <= 40
    early = climbers[: max(0, 4 - len(probes))]  # these are trained whatever they cost
    left = sorted(c.work for i, c in enumerate(candidates) if i not in {*probes, *early})
    if alone.work_of(early) + sum(left[: 8 - len(early)]) <= alone.work:
        assert alone.work_of(climbers) <= alone.work * (1 + 1e-9)
    assert len(climbers) >= min(8, len(candidates))
    assert not probes.intersection(alone.rungs[-1].promoted)
    memory.known.clear()
    planned.clear()
    for kill_after in kills:
        memory.left = kill_after
        with suppress(KeyboardInterrupt):
            begin(lambda seconds: affordable)
    memory.left = None
    if planned and planned[-1]:
        resumed = begin(lambda seconds: 64)  # it is not asked again
    else:
        resumed = begin(lambda seconds: affordable)
    assert summary(resumed) == summary(alone)


def test_more_macs_are_expected_to_be_better_until_truths_say_otherwise():
    """Of scores that say nothing, the larger half is trained; where it is worse, that is found."""
    landscape = Landscape(7)
    same = [replace(candidate, score=0.5, costs=()) for candidate in landscape.candidates]
    macs = [candidate.features[0] for candidate in same]
    climbed = climb(same, landscape.train, finalists=2, epochs=1, models=8)
    trained = list(climbed.rungs[0].trained)
    assert np.mean([macs[i] for i in trained]) > np.median(macs)

    def worse_when_large(genotype, epochs: int) -> Result:
        found = landscape.train(genotype, epochs)
        rows = found.row_losses + 0.04 * (features_of(genotype, FEATURES)[0] - np.mean(macs))
        return Result(float(rows.mean()), rows)

    climbed = climb(same, worse_when_large, finalists=2, epochs=1, models=16)
    trained = list(climbed.rungs[0].trained)
    assert np.mean([macs[i] for i in trained[8:]]) < np.median(macs)


def test_rows_of_no_weight_put_no_model_in_doubt():
    """With doubt of every difference, no model would be dominated, and others would continue."""
    landscape = Landscape(8)
    noise = np.random.default_rng(0)
    candidates = [replace(c, costs=(noise.random(),)) for c in landscape.candidates]

    def with_noise(genotype, epochs: int) -> Result:
        found = landscape.train(genotype, epochs)
        return Result(found.log_loss, np.concatenate([found.row_losses, noise.normal(0, 9, 200)]))

    def finalists(train, weights=None) -> list[int]:
        given = {"finalists": 6, "epochs": 1, "models": 24, "row_weights": weights}
        return climb(candidates, train, **given).rungs[-1].promoted

    expected = finalists(landscape.train)
    assert finalists(with_noise, np.repeat([7.0, 0.0], 200)) == expected
    assert finalists(with_noise, np.ones(400)) != expected


@pytest.mark.parametrize("seed", range(4))
def test_dear_models_must_promise_more(seed):
    """What the same landscape trains is cheaper where training has a price."""
    landscape = Landscape(seed)
    macs = {}
    for name, candidates in (("free", landscape.candidates), ("priced", priced(landscape))):
        climbed = climb(candidates, landscape.train, finalists=2, epochs=1, models=12)
        macs[name] = np.mean([candidates[i].features[0] for i in climbed.rungs[0].trained])
    assert macs["priced"] < macs["free"]


def test_the_number_of_models_follows_the_measured_time():
    landscape = Landscape(5)
    asked: list[float] = []

    def affordable(seconds: float) -> int:
        asked.append(seconds)
        return 10

    climbed = climb(landscape.candidates, landscape.train, finalists=2, epochs=1, models=affordable)
    assert asked == [1.0]
    assert len(climbed.rungs[0].trained) == 10


def test_probes_go_on_only_where_nothing_else_can():
    landscape = Landscape(5, count=4)
    last = len(landscape.candidates) - 1

    def train(genotype, epochs: int) -> Result:
        if genotype == landscape.candidates[last].genotype:
            raise StudyError("training: expected a finite validation log loss, got none")
        return landscape.train(genotype, epochs)

    some, all_others = [0, 1], list(range(last))
    for probes, promoted in ((some, set(all_others[2:])), (all_others, set(all_others))):
        climbed = climb(landscape.candidates, train, finalists=9, epochs=1, models=4, probes=probes)
        assert list(climbed.rungs[0].trained)[: len(probes)] == probes
        assert set(climbed.rungs[-1].promoted) == promoted


@pytest.mark.parametrize("models", [16, lambda seconds: 16], ids=["given", "measured"])
@pytest.mark.parametrize("count", [2, 5])
def test_fewer_candidates_than_models_are_all_trained(models, count):
    landscape = Landscape(6, count=count)
    climbed = climb(landscape.candidates, landscape.train, finalists=3, epochs=1, models=models)
    assert len(climbed.rungs[0].trained) == len(landscape.candidates)


def test_features_count_only_what_reaches_the_logit():
    rng = np.random.default_rng(0)
    for _ in range(30):
        genotype = SPACE.sample(rng)
        assert features_of(genotype, FEATURES) == features_of(genotype.canonical(), FEATURES)
