"""What holds of every oracle, a user's own included."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.models import SPACES, draw, family, oracle_of, supernet_of

from nasrec_opt import Genotype, Objective, lower, oracle
from nasrec_opt.oracle import Evaluation, Oracle, TabularOracle, architecture
from nasrec_opt.space import BlockGene, HardwareGene

MEMBERS = [name for name in vars(Oracle) if not name.startswith("_")]


class NarrowIsBetter(Oracle):
    """A user's own oracle."""

    def evaluate(self, genotype, *, report=None):
        return Evaluation(0.5 + genotype.blocks[-1].dense_width / 1000)


@pytest.fixture(params=["supernet", "last_layer", "table", "own"])
def scorer(request, supernet, dataset) -> Oracle:
    if request.param == "own":
        return NarrowIsBetter()
    if request.param == "table":
        answer = NarrowIsBetter().evaluate
        return TabularOracle({genotype: answer(genotype) for genotype in genotypes()})
    return oracle_of(supernet, dataset, rows=60, fit_rows=60, fidelity=request.param)


def genotypes():
    return [genotype.canonical() for genotype in family(SPACES["multi"], 7)]


def test_an_answer_follows_from_the_model_alone(scorer):
    first = [scorer.evaluate(genotype) for genotype in genotypes()]
    turned = [scorer.evaluate(genotype) for genotype in reversed(genotypes())]
    assert turned[::-1] == first
    assert len({answer.log_loss for answer in first}) > 1
    for genotype, answer in zip(genotypes(), first, strict=True):
        assert 0 < answer.log_loss < 10
        assert scorer.evaluate(dataclasses.replace(genotype, hardware=HardwareGene())) == answer


@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(SPACES)))
def test_an_architecture_is_the_canonical_blocks(seed, name):
    genotype = draw(SPACES[name], seed)
    same = dataclasses.replace(genotype.canonical(), hardware=HardwareGene(), space="mine")
    assert architecture(same) == architecture(genotype)


def test_an_evaluation_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Evaluation(0.5).log_loss = 0.4


def test_every_public_name_is_there():
    assert all(getattr(oracle, name) for name in oracle.__all__)
    with pytest.raises(AttributeError, match=r"'nasrec_opt\.oracle' has no attribute 'Supernet'"):
        _ = oracle.Supernet


def test_a_table_of_answers_needs_no_torch():
    code = "import sys; from nasrec_opt.oracle import TabularOracle; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


@pytest.mark.parametrize("balance", [True, False])
def test_an_objective_charges_for_the_dot_products_of_its_oracles_supernet(dataset, balance):
    supernet = supernet_of(SPACES["multi"], dataset, balance=balance)
    scorer = oracle_of(supernet, dataset, rows=60)
    assert scorer.balance is balance
    objective = Objective(SPACES["multi"], scorer)
    gene = BlockGene(dense_ops=("dot",), dense_width=16, sparse_width=16)
    genotype = Genotype((gene,) * 4, space="tiny")
    workload = lower(genotype, dataset.features, balance=balance)
    found = objective.metrics(genotype)
    assert (found["mflops"], found["parameters"]) == (workload.mflops, workload.parameters)
    assert workload.parameters != lower(genotype, dataset.features, balance=not balance).parameters


@given(st.sampled_from(MEMBERS), st.data())
def test_a_misspelt_member_of_a_class_is_refused(member, data):
    place = data.draw(st.integers(0, len(member) - 1))
    kind = data.draw(st.sampled_from(["left out", "twice", "another"]))
    middle = {"left out": "", "twice": member[place] * 2, "another": "q"}[kind]
    name = member[:place] + middle + member[place + 1 :]
    with pytest.raises(TypeError, match=rf"^Misspelt.{name}: did you mean '{member}' of Oracle\?"):
        type("Misspelt", (NarrowIsBetter,), {name: True})
    with pytest.raises(TypeError, match=rf"^Annotated.{name}: did you mean"):
        type("Annotated", (NarrowIsBetter,), {"__annotations__": {name: "bool"}})
    private = type("Private", (NarrowIsBetter,), {f"_{name}": True})
    assert isinstance(private(), Oracle)


def test_a_class_may_have_attributes_of_its_own():
    names = ("supernet", "device", "model", "predict", "num_rows", "seed", *MEMBERS)
    own = type("Own", (NarrowIsBetter,), dict.fromkeys(names))
    assert isinstance(own(), Oracle)
