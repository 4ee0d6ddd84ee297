"""Trained fidelities: what a plain training gives, whatever was asked or stopped before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice

import numpy as np
import optuna
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.models import (
    SPACES,
    assert_close,
    draw,
    family,
    forward,
    oracle_of,
    rows_of,
    scored,
)

from nasrec_opt.errors import StudyError
from nasrec_opt.oracle import FineTune, Scratch
from nasrec_opt.space import BlockGene, Genotype, HardwareGene
from nasrec_opt.supernet import (
    SliceAdagrad,
    Subnet,
    Supernet,
    TrainConfig,
    learning_rate_at,
    start_at_click_rate,
    train_batches,
    train_step,
    trained_as,
    training_steps,
)

SPACE = SPACES["plain"]  # whose models are trained soonest
HOWS = {
    "fine_tune": FineTune(steps=6, batch_size=32, evaluations=3),
    "scratch": Scratch(
        batch_size=256, epochs=1, learning_rate=0.12, embedding_prior=0.0, evaluations=2
    ),
}
seeds = st.integers(0, 2**32 - 1)
names = st.sampled_from(sorted(SPACES))
hows = pytest.mark.parametrize("how", HOWS.values(), ids=HOWS)


@pytest.fixture(scope="module")
def supernet(supernets) -> Supernet:
    return supernets["plain"]


@hows
@settings(max_examples=2, deadline=None)
@given(name=names, seed=seeds)
def test_answers_do_not_depend_on_what_was_asked_before(supernets, dataset, how, name, seed):
    supernet, genotypes = supernets[name], family(SPACES[name], seed, children=1)
    before = {key: value.clone() for key, value in supernet.state_dict().items()}
    alone = [oracle_of(supernet, dataset, rows=90, fidelity=how).evaluate(g) for g in genotypes]
    oracle = oracle_of(supernet, dataset, rows=90, fidelity=how, chunk_rows=40)
    assert_same(oracle.evaluate_many(genotypes[::-1]), alone[::-1])
    assert_same([oracle.evaluate(genotype) for genotype in genotypes], alone)
    assert all(torch.equal(value, before[key]) for key, value in supernet.state_dict().items())


def assert_same(found, expected) -> None:
    """Equal up to the rounding that another number of rows in a chunk brings."""
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other)
        assert [step for step, _ in one.intermediate] == [step for step, _ in other.intermediate]


@hows
@pytest.mark.parametrize("name", SPACES)
def test_a_training_is_the_plain_one_of_an_extracted_or_a_fresh_subnet(
    supernets, dataset, how, name
):
    supernet, genotype = supernets[name], draw(SPACES[name], 3)
    if isinstance(how, FineTune):
        subnet, steps = supernet.extract(genotype), how.steps
    else:
        subnet, steps = Subnet(genotype, dataset.features, 0, max_table_rows=500_000), 2000 // 256
        start_at_click_rate(subnet, dataset.split("train").labels)
    config = TrainConfig(batch_size=how.batch_size, learning_rate=how.learning_rate)
    optimizer = SliceAdagrad(subnet)
    for step, batch in train_batches(dataset.split("train"), config, steps):
        tensors = [torch.from_numpy(array) for array in batch[:3]]
        rate = learning_rate_at(step, steps, config)
        train_step(subnet, optimizer, tensors, trained_as(genotype), learning_rate=rate)
    validation = rows_of(dataset, "validation")
    expected = scored(forward(subnet, validation), validation.labels)
    found = oracle_of(supernet, dataset, fidelity=how).evaluate(genotype)
    assert_close(found, expected, tolerance=1e-3)


def test_what_came_on_the_way_is_kept_from_the_supernets_own_answer_to_the_last(supernet, dataset):
    genotype = draw(SPACE, 1)
    before = oracle_of(supernet, dataset).evaluate(genotype)
    after = oracle_of(supernet, dataset, fidelity=HOWS["fine_tune"]).evaluate(genotype)
    assert [step for step, _ in after.intermediate] == [0, 2, 4, 6]
    assert after.intermediate[0][1] == pytest.approx(before.log_loss, abs=1e-5)
    assert after.intermediate[-1][1] == after.log_loss < before.log_loss
    scratch = oracle_of(supernet, dataset, fidelity=HOWS["scratch"]).evaluate(genotype)
    assert [step for step, _ in scratch.intermediate] == [4, 7]
    assert scratch.intermediate[-1][1] == scratch.log_loss


def test_a_seed_of_its_own_gives_another_training(supernet, dataset):
    genotype = draw(SPACE, 1)
    for how in HOWS.values():
        found = [
            oracle_of(supernet, dataset, rows=90, fidelity=h).evaluate(genotype).log_loss
            for h in (how, replace(how, seed=1))
        ]
        assert found[0] != found[1]


def test_a_tuning_may_be_longer_than_an_epoch_and_a_log_shorter_than_a_batch(supernet, dataset):
    for batch_size, steps in ((800, 5), (5000, 3)):
        how = FineTune(steps=steps, batch_size=batch_size, evaluations=1)
        oracle = oracle_of(supernet, dataset, rows=90, fidelity=how)
        assert [s for s, _ in oracle.evaluate(draw(SPACE, 2)).intermediate] == [0, steps]


def test_names_are_the_defaults(supernet, dataset):
    of_the_log = training_steps(2000, TrainConfig())
    for name, how, steps in (("fine_tune", FineTune(), 100), ("scratch", Scratch(), of_the_log)):
        tuning = oracle_of(supernet, dataset, rows=10, fidelity=name)._predictor
        assert (tuning._steps, tuning._how) == (steps, how)


def test_a_scratch_of_the_log_is_one_whose_options_are_all_given(supernet, dataset):
    genotype, how = draw(SPACE, 1), Scratch(epochs=1, evaluations=1)
    given = how.for_rows(2000)
    assert (given.batch_size, given.learning_rate, given.embedding_rate) == (128, 0.03, 0.05)
    found = [
        oracle_of(supernet, dataset, rows=90, fidelity=h).evaluate(genotype).log_loss
        for h in (how, given, replace(given, embedding_prior=0.0), replace(given, embedding_rate=1))
    ]
    assert found[0] == found[1]
    assert len({*found}) == 3  # prior and rate of the table count


@hows
def test_who_stops_a_training_leaves_nothing_behind(supernet, dataset, how):
    genotype = draw(SPACE, 4)
    expected = oracle_of(supernet, dataset, rows=90, fidelity=how).evaluate(genotype)
    oracle = oracle_of(supernet, dataset, rows=90, fidelity=how)
    for number in range(len(expected.intermediate)):
        seen = []

        def stop(step: int, value: float, seen=seen, number=number) -> None:
            seen.append((step, value))
            if len(seen) > number:
                raise optuna.TrialPruned

        with pytest.raises(optuna.TrialPruned):
            oracle.evaluate(genotype, report=stop)
        assert tuple(seen) == expected.intermediate[: number + 1]
        assert not oracle._answers
    seen = []
    assert oracle.evaluate(genotype, report=lambda *pair: seen.append(pair)) == expected
    assert tuple(seen) == expected.intermediate
    with pytest.raises(optuna.TrialPruned):  # from memory, in the same way
        oracle.evaluate(genotype, report=stop)
    assert oracle.evaluate(genotype) == expected


@hows
def test_threads_and_inference_mode_get_the_answers_that_one_gets(supernet, dataset, how):
    genotypes = [draw(SPACE, seed) for seed in range(4)]
    expected = oracle_of(supernet, dataset, rows=90, fidelity=how).evaluate_many(genotypes)
    with torch.inference_mode():
        oracle = oracle_of(supernet, dataset, rows=90, fidelity=how)
        assert oracle.evaluate(genotypes[0]) == expected[0]
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(oracle.evaluate, genotypes)] == expected


def test_equal_models_share_one_training(supernets, dataset):
    supernet = supernets["multi"]
    narrow, wide = BlockGene(dense_width=16), BlockGene(dense_width=32)
    last = BlockGene(dense_ops=("fc", "sum"), dense_width=64, left_input=3, right_input=1)
    one = Genotype((wide, wide, narrow, last), space="tiny")
    turned = replace(last, left_input=1, right_input=3)
    other = Genotype((*one.blocks[:3], turned), HardwareGene(adc_bits=6), "mine")
    for how in HOWS.values():
        first, second = (oracle_of(supernet, dataset, rows=90, fidelity=how) for _ in "ab")
        assert first.evaluate(one) is first.evaluate(other)
        assert second.evaluate(other) == first.evaluate(one)  # whichever of them came first


def test_embeddings_learn_and_few_of_their_rows_are_copied(supernet, dataset):
    how = FineTune(steps=2, batch_size=16, evaluations=1)
    oracle = oracle_of(supernet, dataset, rows=20, fidelity=how)
    oracle.evaluate(draw(SPACE, 1))
    embedding, whole = oracle._predictor._embedding, supernet.embedding
    batches = islice(train_batches(dataset.split("train"), TrainConfig(batch_size=16), 2), 2)
    trained = np.concatenate([batch.sparse for _, batch in batches])
    read = np.concatenate([trained, rows_of(dataset, "validation", 20).sparse])
    assert len(embedding.table) == len(whole.rows_of(torch.from_numpy(read)).unique())
    moved = (embedding.table != whole.table[embedding._kept]).any(dim=1)
    assert int(moved.sum()) == len(whole.rows_of(torch.from_numpy(trained)).unique())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FineTune(steps=0), "steps: expected 1 or more, got 0"),
        (lambda: FineTune(evaluations=0), "evaluations: expected 1 or more, got 0"),
        (lambda: FineTune(learning_rate=0), "learning_rate: expected a finite number above 0, "),
        (lambda: Scratch(epochs=0), "epochs: expected 1 or more, got 0"),
        (lambda: Scratch(batch_size=0), "batch_size: expected 1 or more, got 0"),
    ],
)
def test_an_option_out_of_range_is_one_sentence(make, message):
    with pytest.raises(StudyError) as caught:
        make()
    assert str(caught.value).startswith(message)


@hows
def test_a_supernet_whose_subnets_cannot_stand_alone_is_refused(dataset, how):
    masked = Supernet(SPACES["plain"], dataset.features, masking="zero")
    with pytest.raises(StudyError, match="expected a supernet that slices, whose subnets can be"):
        oracle_of(masked, dataset, fidelity=how)
