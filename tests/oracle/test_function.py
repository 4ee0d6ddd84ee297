"""A user's function as an oracle, alone and in an objective."""

from __future__ import annotations

import functools
import math
import pickle

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from nasrec_opt import Evaluation, FeatureSpec, FunctionOracle, Objective, Oracle, SearchSpace
from nasrec_opt.errors import StudyError
from nasrec_opt.space import BlockGene, Genotype, HardwareChoices

SPACE = SearchSpace.nasrec_small(num_blocks=2)
CODESIGN = SearchSpace.codesign(num_blocks=1)
GENOTYPE = Genotype((BlockGene(dense_width=16), BlockGene(dense_width=64)))
FEATURES = FeatureSpec(5, (7, 11, 3))


def loss(genotype: Genotype) -> float:
    return genotype.blocks[-1].dense_width / 1000


def trained(genotype: Genotype, report) -> float:
    for step in range(4):
        report(step, loss(genotype) + 1 / (step + 1))
    return loss(genotype) + 0.25


class Callable:
    def __call__(self, genotype: Genotype) -> float:
        return loss(genotype)

    def method(self, genotype: Genotype) -> float:
        return loss(genotype)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (loss, "loss"),
        (lambda genotype: loss(genotype), "<lambda>"),
        (Callable(), "Callable"),
        (Callable().method, "method"),
        (functools.partial(loss), "partial"),
    ],
)
def test_whatever_can_be_called_answers_under_its_name(function, name):
    oracle = FunctionOracle(function)
    assert oracle.evaluate(GENOTYPE) == Evaluation(0.064)
    assert oracle.name == name
    assert Objective(SPACE, function).metrics(GENOTYPE)["log_loss"] == 0.064


@pytest.mark.parametrize("given", [None, 0.5, "loss", Callable, {}])
def test_what_cannot_be_called_is_refused_at_the_door(given):
    with pytest.raises(StudyError, match="function: expected a function, got"):
        FunctionOracle(given)


@given(
    seeds=st.lists(st.integers(0, 2**32 - 1), max_size=6),
    answer=st.sampled_from([loss, lambda genotype: Evaluation(loss(genotype), auc=0.7)]),
)
def test_many_equal_one_by_one_in_the_given_order(seeds, answer):
    genotypes = [SPACE.sample(np.random.default_rng(seed)) for seed in seeds]
    oracle, seen = FunctionOracle(answer), []
    found = oracle.evaluate_many(genotypes, progress=lambda *done: seen.append(done))
    assert found == [oracle.evaluate(genotype) for genotype in genotypes]
    assert seen == [(number, len(genotypes)) for number in range(1, len(genotypes) + 1)]


def test_log_losses_on_the_way_reach_the_caller_and_the_answer():
    oracle, heard = FunctionOracle(trained, reports=True), []
    answer = oracle.evaluate(GENOTYPE, report=lambda *said: heard.append(said))
    assert answer == oracle.evaluate(GENOTYPE)  # nobody has to listen
    assert answer.intermediate == tuple(heard)
    assert [step for step, _ in heard] == [0, 1, 2, 3]
    own = Evaluation(0.5, intermediate=((7, 0.6),))
    assert FunctionOracle(lambda _g, _r: own, reports=True).evaluate(GENOTYPE) == own


def test_a_function_that_reports_is_pruned_and_one_that_does_not_is_not():
    pruner = optuna.pruners.ThresholdPruner(upper=0.9)
    for reports, state in ((True, TrialState.PRUNED), (False, TrialState.COMPLETE)):
        oracle = FunctionOracle(trained if reports else loss, reports=reports)
        study = optuna.create_study(pruner=pruner)
        study.optimize(Objective(SPACE, oracle), n_trials=2)
        assert {trial.state for trial in study.trials} == {state}


@pytest.mark.parametrize("reads", [True, False])
def test_an_objective_asks_again_for_other_accelerator_genes_only_where_it_must(reads):
    asked: list[Genotype] = []

    def by_rows(genotype: Genotype) -> float:
        asked.append(genotype)
        return genotype.hardware.crossbar_rows / 1000

    objective = Objective(CODESIGN, FunctionOracle(by_rows, reads_accelerator=reads))
    rows = HardwareChoices().crossbar_rows
    base = CODESIGN.sample(np.random.default_rng(0)).to_dict()
    for count in (*rows, *rows):
        genotype = Genotype.from_dict(
            base | {"hardware": base["hardware"] | {"crossbar_rows": count}}
        )
        expected = count if reads else rows[0]
        assert objective.metrics(genotype)["log_loss"] == expected / 1000
    assert len(asked) == (len(rows) if reads else 1)


@pytest.mark.parametrize("balance", [True, False])
def test_features_and_balance_are_those_that_the_function_was_given_with(balance):
    oracle = FunctionOracle(loss, features=FEATURES, balance=balance)
    objective = Objective(SPACE, oracle)
    dot = Genotype((BlockGene(dense_ops=("dot",)),) * 2)
    other = Objective(SPACE, FunctionOracle(loss, features=FEATURES, balance=not balance))
    assert objective.balance is balance
    assert objective.metrics(dot)["mflops"] != other.metrics(dot)["mflops"]
    with pytest.raises(StudyError, match="mflops needs the shape of the input"):
        Objective(SPACE, FunctionOracle(loss), objectives=["mflops"])


def test_an_oracle_survives_being_sent_to_another_process():
    oracle = pickle.loads(pickle.dumps(FunctionOracle(loss, features=FEATURES)))
    assert oracle.evaluate(GENOTYPE) == Evaluation(0.064)
    assert oracle.features == FEATURES


class Whole:
    """All members of the protocol, and no base class."""

    features = FEATURES
    balance = True
    reads_accelerator = False
    data_fingerprint = None
    max_table_rows = None
    scored_bits = "genotype"

    def evaluate(self, genotype, *, report=None):
        return Evaluation(loss(genotype))

    def evaluate_many(self, genotypes, *, progress=None):
        return [self.evaluate(genotype) for genotype in genotypes]


@pytest.mark.parametrize("left_out", ["features", "balance", "reads_accelerator", "evaluate"])
def test_an_object_needs_every_member_or_the_base_class(left_out):
    assert Objective(SPACE, Whole()).metrics(GENOTYPE)["log_loss"] == 0.064
    members = {name: value for name, value in vars(Whole).items() if name != left_out}
    partial = type("Partial", (), members)
    with pytest.raises(
        StudyError, match=r"derives from nasrec_opt\.Oracle, or a function, got an ob"
    ):
        Objective(SPACE, partial())
    based = type("Based", (Oracle,), members)
    if left_out == "evaluate":
        with pytest.raises(TypeError, match="abstract"):
            based()
    else:
        assert math.isclose(Objective(SPACE, based()).metrics(GENOTYPE)["log_loss"], 0.064)
