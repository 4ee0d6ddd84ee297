"""Whatever an oracle or a cost model does, one trial fails with its reason, not the study."""

from __future__ import annotations

import logging
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import optuna
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from optuna.trial import FixedTrial, TrialState

from hw import Cost, OperatorCost, ReRAM
from nasrec_opt import FeatureSpec, Genotype, Objective, RegularizedEvolutionSampler, SearchSpace
from nasrec_opt.errors import StudyError, TrialError
from nasrec_opt.objective._failures import FAILED_IN_A_ROW, FIRST_FAILED
from nasrec_opt.oracle import Difference, Evaluation, Oracle

optuna.logging.set_verbosity(optuna.logging.ERROR)

FEATURES = FeatureSpec(13, (100,) * 26)
SPACE = SearchSpace.nasrec_small(2)
GOOD = Cost.of(
    [OperatorCost(name="a", operator="fc", latency_ns=1.0, energy_pj=2.0, area_mm2=3.0)],
    leakage_mw=0.0,
)


def loss(genotype: Genotype) -> float:
    return 0.5 - genotype.blocks[-1].dense_width / 1e4


class Sometimes:
    """Answers as `loss` does, but for every third time: then it does what it is told."""

    def __init__(self, misbehave) -> None:
        self._misbehave, self._asked = misbehave, 0

    def __call__(self, genotype: Genotype):
        self._asked += 1
        return self._misbehave() if self._asked % 3 == 0 else loss(genotype)


class Model:
    """A cost model of a user's own that does the same."""

    def __init__(self, misbehave) -> None:
        self._misbehave, self._asked = misbehave, 0

    def cost(self, workload):
        self._asked += 1
        return self._misbehave() if self._asked % 3 == 0 else GOOD


def raising(error):
    def misbehave():
        raise error

    return misbehave


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def changed(**figures):
    parts = {"latency_ns": 1.0, "energy_pj": 1.0, "area_mm2": 1.0} | figures
    return Cost(leakage_mw=0.0, breakdown=(), **parts)


ERRORS = {
    "value": (raising(ValueError("no such model")), "ValueError: no such model (test_failures.py"),
    "zero": (lambda: 1 / 0, "ZeroDivisionError: division by zero (test_failures.py, line"),
    "key": (raising(KeyError("b1")), "KeyError: 'b1'"),
    "study": (raising(StudyError("not in the table")), "not in the table"),
    "stop": (raising(StopIteration()), "StopIteration"),
    "unprintable": (raising(UnprintableError()), "UnprintableError"),
    "lines": (raising(RuntimeError("one\ntwo\x00\ud800")), "RuntimeError: one two"),
}
ANSWERS = {
    "none": (None, "log loss: expected a number, got None"),
    "text": ("0.4", "log loss: expected a number, got '0.4'"),
    "truth": (True, "log loss: expected a number, got True"),
    "complex": (0.4 + 0j, "log loss: expected a number, got (0.4+0j)"),
    "nan": (math.nan, "log loss: expected a finite number, got nan"),
    "infinite": (-math.inf, "log loss: expected a finite number, got -inf"),
    "array": (np.zeros(3), "log loss: expected a number, got an object of the class ndarray"),
    "complex array": (np.complex64(1), "log loss: expected a number, got an object"),
    "tensor": (torch.tensor(math.nan), "log loss: expected a finite number, got nan"),
    "huge": (10**400, "log loss: expected a number, got 1000"),
    "class": (Evaluation, "log loss: expected a number, got the class Evaluation"),
    "evaluation": (Evaluation(math.nan), "log loss: expected a finite number, got nan"),
    "auc": (Evaluation(0.4, auc="high"), "auc: expected a number, got 'high'"),
    "difference": (Evaluation(0.4, difference={}), "difference: expected a Difference"),
    "no difference": (
        Evaluation(0.4, difference=Difference(math.nan, 0.1, 3)),
        "difference: log loss: expected a finite number, got nan",
    ),
}
ORACLES = ERRORS | {name: ((lambda a=a: a), words) for name, (a, words) in ANSWERS.items()}
COSTS = ERRORS | {
    "none": (lambda: None, "cost model Model: expected a hw.Cost, got None"),
    "number": (lambda: 3.5, "cost model Model: expected a hw.Cost, got 3.5"),
    "class": (lambda: Cost, "expected a hw.Cost, got the class Cost"),
    "nan": (lambda: changed(energy_pj=math.nan), "energy_pj: expected a finite number, got nan"),
    "infinite": (lambda: changed(area_mm2=math.inf), "area_mm2: expected a finite number"),
    "text": (lambda: changed(latency_ns="1"), "latency_ns: expected a number, got '1'"),
    "parts": (
        lambda: Cost(
            latency_ns=1.0, energy_pj=1.0, area_mm2=1.0, leakage_mw=0.0, breakdown=(1.0,)
        ),
        "AttributeError",
    ),
}  # fmt: skip


@pytest.fixture(params=["memory", "sqlite", "journal"])
def storage(request, tmp_path):
    return {
        "memory": lambda: None,
        "sqlite": lambda: f"sqlite:///{tmp_path / 'study.db'}",
        "journal": lambda: optuna.storages.JournalStorage(
            optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal"))
        ),
    }[request.param]()


def optimized(objective, storage=None, n_trials=12):
    """As a user would: without `catch`."""
    study = optuna.create_study(
        storage=storage,
        directions=["minimize"] * len(objective.metric_names),
        sampler=RegularizedEvolutionSampler(
            SPACE, population_size=4, tournament_size=2, children_per_round=2, seed=0
        ),
    )
    study.optimize(objective, n_trials=n_trials)
    return study


def check(study, words, n_trials=12):
    states = [trial.state for trial in study.trials]
    assert set(states) == {TrialState.COMPLETE, TrialState.FAIL}
    assert len(states) == n_trials
    for trial in study.trials:
        assert SPACE.contains(Genotype.from_json(trial.user_attrs["genotype"]))
        has_failed = trial.state == TrialState.FAIL
        assert has_failed == ("failed" in trial.user_attrs)
        if has_failed:
            assert words in trial.user_attrs["failed"]
            assert "\n" not in trial.user_attrs["failed"]
            assert trial.values is None


@pytest.mark.parametrize("case", ORACLES)
@pytest.mark.parametrize("objectives", [["log_loss"], ["log_loss", "mflops"]])
def test_an_oracle_that_misbehaves_fails_its_trials_alone(case, objectives):
    misbehave, words = ORACLES[case]
    objective = Objective(SPACE, Sometimes(misbehave), features=FEATURES, objectives=objectives)
    study = optimized(objective)
    check(study, words)
    failed = next(t for t in study.trials if t.state == TrialState.FAIL)
    assert failed.user_attrs["failed"].startswith("oracle Sometimes: ")


@pytest.mark.parametrize("case", COSTS)
def test_a_cost_model_that_misbehaves_fails_its_trials_alone(case):
    misbehave, words = COSTS[case]
    study = optimized(Objective(SPACE, loss, Model(misbehave), features=FEATURES))
    check(study, words)
    failed = next(t for t in study.trials if t.state == TrialState.FAIL)
    assert failed.user_attrs["failed"].startswith("cost model Model: ")


@pytest.mark.parametrize("case", ["lines", "nan", "no difference"])
def test_a_failed_trial_is_kept_by_every_storage(storage, case):
    misbehave, words = ORACLES[case]
    check(optimized(Objective(SPACE, Sometimes(misbehave)), storage), words)


def test_nan_on_a_constrained_metric_fails_its_trial(storage):
    for constraints in ({"log_loss": 0.6}, {"energy_uj": 1e9}):
        objective = Objective(
            SPACE,
            Sometimes(lambda: math.nan),
            Model(lambda: changed(energy_pj=math.nan)),
            features=FEATURES,
            constraints=constraints,
        )
        study = optimized(objective)
        check(study, "expected a finite number, got nan")
        for trial in study.trials:
            assert set(trial.constraints) == (
                set(constraints) if trial.state == TrialState.COMPLETE else set()
            )


def test_nan_on_the_way_prunes_or_fails_and_the_search_goes_on():
    class Diverging(Oracle):
        def __init__(self) -> None:
            self.asked = 0

        def evaluate(self, genotype: Genotype, *, report=None) -> Evaluation:
            self.asked += 1
            value = math.nan if self.asked % 3 == 0 else loss(genotype)
            if report:
                report(0, value)
            return Evaluation(value, intermediate=((0, value),))

    for pruner, ended in (
        (optuna.pruners.ThresholdPruner(upper=1.0), TrialState.PRUNED),
        (optuna.pruners.NopPruner(), TrialState.FAIL),
    ):
        study = optuna.create_study(pruner=pruner, sampler=optuna.samplers.RandomSampler(seed=0))
        study.optimize(
            Objective(SPACE, Diverging(), features=FEATURES, constraints={"log_loss": 0.6}),
            n_trials=9,
        )
        assert [t.state for t in study.trials].count(ended) == 3
        assert len(study.trials) == 9


@pytest.mark.parametrize("number", [
    np.float32(0.25), np.float64(0.25), np.array(0.25), torch.tensor(0.25), torch.tensor([0.25]),
    Decimal("0.25"), Fraction(1, 4), np.longdouble(0.25),
])  # fmt: skip
def test_numbers_of_any_library_are_numbers(number):
    class Exact(Model):
        def cost(self, workload):
            return changed(energy_pj=number, latency_ns=number, area_mm2=number)

    for answer in (number, Evaluation(number, auc=number, difference=Difference(number, None, 3))):
        objective = Objective(SPACE, lambda _g, a=answer: a, Exact(None), features=FEATURES)
        [trial] = optimized(objective, None, 1).trials
        assert trial.values == [0.25, 0.25e-3, 0.25e-6]
        assert type(objective.metrics(SPACE.sample(np.random.default_rng(0)))["log_loss"]) is float


def test_numpy_numbers_can_be_stored(tmp_path):
    part = OperatorCost(
        name="a", operator="fc", latency_ns=np.float32(1), energy_pj=np.float32(2),
        area_mm2=np.float32(3),
    )  # fmt: skip

    class Numpy(Model):
        def cost(self, workload):
            return Cost(
                latency_ns=np.float32(1), energy_pj=np.float32(2), area_mm2=np.float32(3),
                leakage_mw=np.float32(0), breakdown=(part,),
            )  # fmt: skip

    answer = Evaluation(
        np.float32(0.25), auc=np.float32(0.5),
        difference=Difference(np.float32(0.5), np.float32(0.5), np.int64(3)),
    )  # fmt: skip
    objective = Objective(SPACE, lambda _g: answer, Numpy(None), features=FEATURES)
    [trial] = optimized(objective, f"sqlite:///{tmp_path}/study.db", 1).trials
    assert trial.state == TrialState.COMPLETE
    assert trial.user_attrs["auc"] == trial.user_attrs["difference"]["log_loss"] == 0.5


@given(answer=st.one_of(
    st.none(), st.text(), st.binary(), st.booleans(), st.complex_numbers(), st.floats(),
    st.integers(), st.lists(st.floats()), st.dictionaries(st.text(), st.floats()), st.fractions(),
    st.decimals(), st.datetimes(),
))  # fmt: skip
@example(answer=Decimal("sNaN"))
def test_any_answer_is_a_value_or_a_failed_trial_with_a_reason(answer):
    trial = FixedTrial(SPACE.encode(SPACE.sample(np.random.default_rng(0))))
    value = Objective(SPACE, lambda _g: answer)(trial)
    assert math.isfinite(value) != ("failed" in trial.user_attrs)
    if "failed" not in trial.user_attrs:
        assert value == float(answer)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError, GeneratorExit])
def test_what_ends_a_process_passes(error):
    with pytest.raises(error):
        optimized(Objective(SPACE, lambda _genotype: raising(error())()))


def test_an_oracle_that_always_fails_ends_the_study_with_the_last_reason(caplog):
    study = optuna.create_study()

    def broken(genotype: Genotype) -> float:
        raise ValueError(f"trial {len(study.trials) - 1} is wrong")

    with caplog.at_level(logging.WARNING), pytest.raises(StudyError) as caught:
        study.optimize(Objective(SPACE, broken), n_trials=1000)
    assert len(study.trials) == FIRST_FAILED == 16
    assert (
        f"the first 16 all failed, the last of them with: oracle broken: ValueError: trial {15}"
        in str(caught.value)
    )
    assert {trial.state for trial in study.trials} == {TrialState.FAIL}
    assert all("failed" in trial.user_attrs for trial in study.trials)
    ours = [r for r in caplog.records if r.name.startswith("nasrec_opt")]
    assert [r.getMessage().split(":")[0] for r in ours] == [f"trial {i} failed" for i in range(16)]


def test_an_oracle_that_works_no_longer_ends_the_study_later():
    asked = []

    def breaking(genotype: Genotype) -> float:
        asked.append(genotype)
        return 0.5 if len(asked) <= 3 else math.nan

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    with pytest.raises(StudyError, match=f"the last {FAILED_IN_A_ROW} all failed"):
        study.optimize(Objective(SearchSpace.nasrec_full(4), breaking), n_trials=1000)
    assert len(study.trials) == 3 + FAILED_IN_A_ROW


def test_metrics_raise_what_fails_a_trial():
    genotype = SPACE.sample(np.random.default_rng(0))
    with pytest.raises(TrialError, match="oracle <lambda>: log loss: expected a number, got None"):
        Objective(SPACE, lambda _g: None).metrics(genotype)
    model = Model(lambda: 3.5)
    objective = Objective(SPACE, loss, model, features=FEATURES)
    model._asked = 2
    with pytest.raises(TrialError, match=r"cost model Model: expected a hw\.Cost, got 3\.5"):
        objective.metrics(genotype)
    assert objective.metrics(genotype)["energy_uj"] == 2e-6  # what failed is asked again


NO_ORACLE = (
    "oracle: expected an object of a class that derives from nasrec_opt.Oracle, or a function"
)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ((SearchSpace, loss), "space: expected a SearchSpace, got the class SearchSpace"),
        ((None, loss), "space: expected a SearchSpace, got None"),
        ((SPACE, None), NO_ORACLE),
        ((SPACE, Sometimes), f"{NO_ORACLE}, "
         "got the class Sometimes instead of an instance"),
        ((SPACE, 0.5), f"{NO_ORACLE}, got"),
        ((SPACE, loss, Model), "accelerator: expected an object with cost(workload), got the class "
         "Model instead of an instance"),
        ((SPACE, loss, ReRAM), "accelerator: expected an object with cost(workload), got the class "
         "ReRAM instead of an instance"),
        ((SPACE, loss, object()), "accelerator: expected an object with cost(workload), got an "
         "object of the class object"),
        ((SPACE, loss, "cpu.toml"), "accelerator: expected an object with cost(workload), got"),
    ],
)  # fmt: skip
def test_parts_that_cannot_answer_are_refused_at_the_door(parts, sentence):
    with pytest.raises(StudyError) as caught:
        Objective(*parts, features=FEATURES)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"objectives": "log_loss"}, "objectives: expected a list of metrics, got 'log_loss'"),
        ({"constraints": {"mflops": "3"}}, "constraints: mflops: expected a number, got '3'"),
        ({"constraints": {"mflops": None}}, "constraints: mflops: expected a number, got None"),
        ({"constraints": {"mflops": float("nan")}}, "constraints: mflops: expected a number, got"),
    ],
)
def test_options_of_another_type_are_refused_at_the_door(options, sentence):
    with pytest.raises(StudyError) as caught:
        Objective(SPACE, loss, features=FEATURES, **options)
    assert str(caught.value).startswith(sentence)
