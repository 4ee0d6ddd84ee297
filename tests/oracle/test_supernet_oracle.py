"""Whatever is asked, in whatever order and memory, the answer is that of a plain forward pass."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.models import (
    SPACE,
    SPACES,
    assert_close,
    draw,
    family,
    forward,
    oracle_of,
    rows_of,
    scored,
    supernet_of,
)

from nasrec_opt.data import evenly_spaced, generate_synthetic
from nasrec_opt.errors import GenotypeError, StudyError
from nasrec_opt.oracle import AdagradFit, fit_adagrad, fit_newton
from nasrec_opt.space import BlockGene, Genotype, HardwareGene

ROWS = 120
seeds = st.integers(0, 2**32 - 1)
names = st.sampled_from(sorted(SPACES))
memories = st.sampled_from([0, 100_000, 300_000, 1_000_000, 1 << 30])
chunks = st.integers(7, 200)


@settings(max_examples=6, deadline=None)
@given(
    seeds,
    names,
    chunks,
    memories,
    st.sampled_from(["supernet", "newton", "adagrad", "folds", "folds of all rows"]),
)
def test_order_groups_repeats_and_memory_never_change_an_answer(
    supernets, dataset, seed, name, chunk_rows, memory_bytes, fidelity
):
    options = {"rows": ROWS, "fit_rows": 90, "chunk_rows": chunk_rows}
    if fidelity == "supernet":
        options["fidelity"] = fidelity
    elif fidelity == "folds of all rows":
        options |= {"fidelity": "last_layer", "last_layer": "folds", "fit_rows": ROWS}
    else:
        last_layer = AdagradFit(steps=5, batch_size=32) if fidelity == "adagrad" else fidelity
        options |= {"fidelity": "last_layer", "last_layer": last_layer}
    genotypes = family(SPACES[name], seed)
    alone = {
        genotype: oracle_of(supernets[name], dataset, **options).evaluate(genotype)
        for genotype in genotypes
    }
    oracle = oracle_of(supernets[name], dataset, memory_bytes=memory_bytes, **options)
    rng = np.random.default_rng(seed)
    for _ in range(3):
        asked = [genotypes[i] for i in rng.integers(0, len(genotypes), rng.integers(1, 9))]
        assert oracle.evaluate_many(asked) == [alone[genotype] for genotype in asked]
        predictor = oracle._predictor
        rows = {rows for rows in (*predictor._parts, predictor._fit_rows) if rows}
        assert sum(of.embedding_bytes for of in rows) + oracle.cached_bytes <= memory_bytes
    assert [oracle.evaluate(genotype) for genotype in genotypes] == [*map(alone.get, genotypes)]


@settings(max_examples=8, deadline=None)
@given(seeds, names, chunks, memories)
def test_answers_are_those_of_a_forward_pass_and_scikit_learn(
    supernets, dataset, seed, name, chunk_rows, memory_bytes
):
    supernet = supernets[name]
    genotypes = family(SPACES[name], seed, children=2)
    oracle = oracle_of(supernet, dataset, chunk_rows=chunk_rows, memory_bytes=memory_bytes)
    batch = rows_of(dataset, "validation")
    tolerance = 1e-3  # rounding may tip a value to another level
    for genotype, found in zip(genotypes, oracle.evaluate_many(genotypes), strict=True):
        inside = forward(supernet, batch, genotype)
        assert_close(found, scored(inside, batch.labels), tolerance)
        alone = forward(supernet.extract(genotype), batch)
        assert_close(found, scored(alone, batch.labels), tolerance)


@settings(max_examples=3, deadline=None)
@given(seeds)
def test_full_width_masking_is_asked_the_same_way(dataset, masked, seed):
    genotypes = family(SPACES["plain"], seed, children=1)
    batch = rows_of(dataset, "validation")
    answers = oracle_of(masked, dataset, chunk_rows=100).evaluate_many(genotypes)
    for genotype, found in zip(genotypes, answers, strict=True):
        assert_close(found, scored(forward(masked, batch, genotype), batch.labels))


@pytest.fixture(scope="module")
def masked(dataset):
    return supernet_of(SPACES["plain"], dataset, masking="zero")


@settings(max_examples=5, deadline=None)
@given(seeds, names, chunks)
def test_the_last_layer_is_fitted_on_spread_training_rows(
    supernets, dataset, seed, name, chunk_rows
):
    options = {"rows": ROWS, "fit_rows": 900, "chunk_rows": chunk_rows}
    train = rows_of(dataset, "train", 900)
    _check_fit(supernets[name], dataset, draw(SPACES[name], seed), train, fit_newton, options)


@settings(max_examples=10, deadline=None)
@given(seeds, names, chunks, st.sampled_from([1, 3, 50, ROWS, None]))
def test_the_last_layer_is_fitted_on_the_other_folds_of_validation_rows(
    supernets, dataset, seed, name, chunk_rows, fit_rows
):
    """Row by row: a layer for each fold, fitted on the others of the `fit_rows`."""
    supernet, genotype = supernets[name], draw(SPACES[name], seed)
    batch = rows_of(dataset, "validation", ROWS)
    fold = np.arange(ROWS) * 4 // ROWS
    fit = np.isin(np.arange(ROWS), evenly_spaced(ROWS, fit_rows))
    expected = np.empty(ROWS, np.float32)
    with torch.no_grad():
        features, weight, bias = last_layer_of(supernet, genotype, batch)
        labels = torch.from_numpy(batch.labels)
        for number in range(4):
            others, own = torch.from_numpy(fit & (fold != number)), fold == number
            layer = weight, bias
            if others.any():
                found = fit_newton(features[others], labels[others], weight, bias)
                layer = found.weight, found.bias
            expected[own] = supernet.last_logits(genotype, features[own], *layer).numpy()
    oracle = oracle_of(
        supernet, dataset, fidelity="last_layer", last_layer="folds", rows=ROWS,
        fit_rows=fit_rows, chunk_rows=chunk_rows,
    )  # fmt: skip
    assert_close(oracle.evaluate(genotype), scored(expected, batch.labels), tolerance=5e-3)


@settings(max_examples=4, deadline=None)
@given(seeds, names, chunks, st.sampled_from([20, 60]))
def test_adagrad_fits_the_last_layer_on_fresh_training_rows(
    supernets, dataset, seed, name, chunk_rows, steps
):
    how = AdagradFit(steps=steps, batch_size=64, seed=seed)  # 60 steps read the log twice
    options = {"rows": ROWS, "chunk_rows": chunk_rows, "last_layer": how}

    def fit(features, labels, weight, bias):
        return fit_adagrad(features, labels, weight, bias, how)

    train = rows_of(dataset, "train")
    _check_fit(supernets[name], dataset, draw(SPACES[name], seed), train, fit, options)


def _check_fit(supernet, dataset, genotype, train, fit, options):
    """An oracle's answer is that of a fit on features that a plain pass makes."""
    oracle = oracle_of(supernet, dataset, fidelity="last_layer", **options)
    validation = rows_of(dataset, "validation", ROWS)
    with torch.no_grad():
        features, weight, bias = last_layer_of(supernet, genotype, train)
        fitted = fit(features, torch.from_numpy(train.labels), weight, bias)
        inputs = last_layer_of(supernet, genotype, validation)[0]
        logits = supernet.last_logits(genotype, inputs, fitted.weight, fitted.bias)
    expected = scored(logits.numpy(), validation.labels)
    # Rounding may cost or save Newton's fit a step; what a step may promise is 1e-4.
    assert_close(oracle.evaluate(genotype), expected, tolerance=5e-3)


def last_layer_of(supernet, genotype, batch, chunk_rows=None):
    """Features of the rows, and the layer that reads them."""
    dense, sparse = torch.from_numpy(batch.dense), torch.from_numpy(batch.sparse)
    size = chunk_rows or len(dense)
    features = []
    for rows, ids in zip(dense.split(size), sparse.split(size), strict=True):
        hidden = supernet.hidden(genotype, rows, supernet.embed(ids))
        if genotype.wide:
            bits, weights = genotype.final_bits, supernet.first_order_of(ids)
            hidden.first_order = supernet.first_order(bits, rows, weights)
        features.append(supernet.last_features(genotype, hidden))
    return torch.cat(features), *supernet.last_weight(genotype, hidden)


@settings(max_examples=12, deadline=None)
@given(seeds, names)
def test_a_fitted_layer_has_no_higher_training_loss_than_the_supernets(
    supernets, dataset, seed, name
):
    train = rows_of(dataset, "train", 400)
    labels = torch.from_numpy(train.labels)
    with torch.no_grad():
        features, weight, bias = last_layer_of(supernets[name], draw(SPACES[name], seed), train)
        fitted = fit_newton(features, labels, weight, bias)
        before = scored((features @ weight + bias).numpy(), train.labels)
        after = scored((features @ fitted.weight + fitted.bias).numpy(), train.labels)
    assert after.log_loss <= before.log_loss + 1e-6


@pytest.mark.parametrize("fidelity", ["supernet", "last_layer"])
def test_threads_get_the_answers_that_one_gets(supernet, dataset, fidelity):
    options = {"rows": ROWS, "fit_rows": 90, "fidelity": fidelity}
    genotypes = family(SPACE, 3, children=8)
    expected = oracle_of(supernet, dataset, **options).evaluate_many(genotypes)
    oracle = oracle_of(supernet, dataset, memory_bytes=400_000, **options)
    orders = [np.random.default_rng(i).permutation(len(genotypes)) for i in range(6)]
    with ThreadPoolExecutor(6) as pool:
        found = pool.map(lambda order: oracle.evaluate_many([genotypes[i] for i in order]), orders)
        for order, answers in zip(orders, found, strict=True):
            assert answers == [expected[i] for i in order]


@settings(max_examples=30, deadline=None)
@given(seeds, names)
def test_genotypes_of_one_model_share_one_answer(oracles, seed, name):
    genotype = draw(SPACES[name], seed)
    same = replace(genotype.canonical(), hardware=HardwareGene(adc_bits=6), space="mine")
    assert oracles[name].evaluate(same) is oracles[name].evaluate(genotype)


@pytest.fixture(scope="module")
def oracles(supernets, dataset):
    return {name: oracle_of(net, dataset, rows=40) for name, net in supernets.items()}


def test_a_sum_the_other_way_round_is_the_same_model(oracles):
    narrow, wide = BlockGene(dense_width=16), BlockGene(dense_width=32)
    last = BlockGene(dense_ops=("fc", "sum"), dense_width=64, left_input=3, right_input=1)
    genotype = Genotype((wide, wide, narrow, last), space="tiny")
    turned = replace(last, left_input=1, right_input=3)
    other = replace(genotype, blocks=(*genotype.blocks[:3], turned))
    assert oracles["multi"].evaluate(genotype) is oracles["multi"].evaluate(other)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 400), seeds)
def test_some_rows_are_evenly_spread_and_the_same_for_all(supernet, dataset, rows, seed):
    genotype = draw(SPACE, seed)
    oracle = oracle_of(supernet, dataset, rows=max(rows, 30))
    batch = rows_of(dataset, "validation", max(rows, 30))
    assert oracle.num_rows == len(batch.labels) == min(max(rows, 30), 250)
    assert_close(
        oracle.evaluate(genotype), scored(forward(supernet, batch, genotype), batch.labels)
    )


def test_progress_counts_what_is_known_and_ends_at_the_total(supernet, dataset):
    oracle = oracle_of(supernet, dataset, rows=20)
    genotypes = family(SPACE, 5, children=20)
    oracle.evaluate(genotypes[0])
    seen = []
    oracle.evaluate_many(genotypes, progress=lambda *counts: seen.append(counts))
    assert seen == sorted(seen)
    assert seen[-1] == (len(genotypes), len(genotypes))
    assert seen[0][0] >= 2
    again = []
    oracle.evaluate_many(genotypes, progress=lambda *counts: again.append(counts))
    assert again == [(len(genotypes), len(genotypes))]
    assert oracle.evaluate_many([]) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 0}, "rows: expected 1 or more, got 0"),
        ({"fit_rows": -1}, "fit_rows: expected 1 or more, got -1"),
        ({"chunk_rows": 0}, "chunk_rows: expected 1 or more, got 0"),
        ({"memory_bytes": -1}, "memory_bytes: expected 0 or more, got -1"),
        (
            {"fidelity": "full"},
            "fidelity: expected one of supernet, last_layer, fine_tune, scratch, got 'full'",
        ),
        ({"last_layer": "sgd"}, "last_layer: expected one of newton, folds, adagrad, got 'sgd'"),
    ],
)
def test_an_option_out_of_range_is_one_sentence(supernet, dataset, options, message):
    with pytest.raises(StudyError) as caught:
        oracle_of(supernet, dataset, **options)
    assert str(caught.value) == message


def test_a_dataset_of_other_features_is_refused(supernet, tmp_path):
    other = generate_synthetic(tmp_path / "other", rows=200, seed=1)
    message = r"other: expected the features of the supernet \(13 dense, 26 sparse with [\d,]+ v"
    with pytest.raises(StudyError, match=message):
        oracle_of(supernet, other)


LAST = BlockGene(dense_ops=("fc",), sparse_ops=("efc",), dense_width=16, sparse_width=16)


@pytest.mark.parametrize(
    ("name", "blocks", "message"),
    [
        ("plain", (LAST,) * 2, "blocks: expected 3, as the supernet has, got 2"),
        ("plain", (LAST,) * 4, "blocks: expected 3, as the supernet has, got 4"),
        (
            "plain",
            (LAST, LAST, replace(LAST, dense_width=32)),
            "block 3: dense_width: expected at most the supernet's 24, got 32",
        ),
        (
            "bits",
            (LAST, replace(LAST, sparse_width=48), LAST),
            "block 2: sparse_width: expected at most the supernet's 16, got 48",
        ),
        (
            "bits",
            (LAST, LAST, replace(LAST, sparse_ops=("attn",))),
            "block 3: expected the supernet's operators, got attn",
        ),
        (
            "plain",
            (LAST, LAST, replace(LAST, sparse_to_dense=True)),
            "block 3: sparse_to_dense: expected false, as the supernet has no such merger",
        ),
    ],
)
def test_a_genotype_that_the_supernet_has_no_weights_for_is_refused(oracles, name, blocks, message):
    good = Genotype((LAST,) * SPACES[name].num_blocks, space="mine")
    with pytest.raises(GenotypeError) as caught:
        oracles[name].evaluate_many([good, Genotype(blocks, space="mine")])
    assert str(caught.value) == message
