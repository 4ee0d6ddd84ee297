"""Differences of log losses on the same rows, beside plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.models import SPACE, draw, family, forward, oracle_of, rows_of

from nasrec_opt.errors import GenotypeError
from nasrec_opt.oracle import Difference, FineTune, SupernetOracle, difference
from nasrec_opt.space import BlockGene, Genotype

seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def oracle(supernet, dataset) -> SupernetOracle:
    return oracle_of(supernet, dataset)


def paired(model, batch, genotype: Genotype, other: Genotype) -> Difference:
    """The same from probabilities, by the textbook."""
    losses = []
    for each in (genotype, other):
        chance = 1 / (1 + np.exp(-forward(model, batch, each).astype(float)))
        losses.append(-np.log(np.where(batch.labels == 1, chance, 1 - chance)))
    values = losses[0] - losses[1]
    error = np.sqrt(((values - values.mean()) ** 2).sum() / (len(values) - 1) / len(values))
    return Difference(values.mean(), error, len(values))


@settings(max_examples=8, deadline=None)
@given(seeds)
def test_a_difference_is_the_paired_one_of_plain_numpy(oracle, supernet, dataset, seed):
    genotype, other = family(SPACE, seed, children=1)[:2]
    expected = paired(supernet, rows_of(dataset, "validation"), genotype, other)
    found = oracle.compare(genotype, other)
    assert found.num_rows == expected.num_rows == 250
    assert found.log_loss == pytest.approx(expected.log_loss, abs=1e-5)
    assert found.log_loss_se == pytest.approx(expected.log_loss_se, abs=1e-5)
    own = [oracle.evaluate(g) for g in (genotype, other)]
    assert found.log_loss == pytest.approx(own[0].log_loss - own[1].log_loss, abs=1e-12)
    assert found.log_loss_se <= own[0].log_loss_se + own[1].log_loss_se + 1e-12


@settings(max_examples=8, deadline=None)
@given(seeds, seeds)
def test_the_other_way_round_has_the_other_sign_and_oneself_is_no_different(oracle, seed, second):
    genotype, other = draw(SPACE, seed), draw(SPACE, second)
    assert oracle.compare(genotype, other) == -oracle.compare(other, genotype)
    assert oracle.compare(genotype, genotype) == Difference(0.0, 0.0, 250)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9)), min_size=2, max_size=30))
def test_a_difference_has_no_larger_error_than_two_errors_together(pairs):
    losses, others = np.array(pairs).T
    found = difference(losses, others)
    errors = [v.std(ddof=1) / np.sqrt(len(v)) for v in (losses, others)]
    assert found.log_loss_se <= sum(errors) + 1e-12
    assert -found == difference(others, losses)
    assert difference(losses, losses) == Difference(0.0, 0.0, len(pairs))


def test_one_row_has_no_error():
    assert difference(np.array([0.5]), np.array([0.25])) == Difference(0.25, None, 1)


@pytest.mark.parametrize(
    "fidelity", ["supernet", "last_layer", FineTune(steps=2, batch_size=64, evaluations=1)]
)
def test_every_answer_is_compared_with_the_reference(supernet, dataset, fidelity):
    options = {"rows": 120, "fit_rows": 90, "fidelity": fidelity}
    reference, *genotypes = family(SPACE, 5, children=2)
    plain = oracle_of(supernet, dataset, **options)
    oracle = oracle_of(supernet, dataset, reference=reference, **options)
    answers = oracle.evaluate_many(genotypes)
    for genotype, answer in zip(genotypes, answers, strict=True):
        assert answer.difference == plain.compare(genotype, reference)
        assert answer.log_loss == plain.evaluate(genotype).log_loss
        assert plain.evaluate(genotype).difference is None
    assert oracle.evaluate(reference).difference == Difference(0.0, 0.0, 120)
    first = oracle_of(supernet, dataset, reference=reference, **options).evaluate(reference)
    assert first == oracle.evaluate(reference)  # asked first or last


def test_few_logits_are_kept_and_the_others_computed_again(supernet, dataset, monkeypatch):
    monkeypatch.setattr("nasrec_opt.oracle._supernet_oracle.RECENT_BYTES", 0)
    oracle = oracle_of(supernet, dataset, rows=60, reference=draw(SPACE, 9))
    genotypes = [draw(SPACE, seed) for seed in range(4)]
    first = [oracle.compare(genotype, genotypes[0]) for genotype in genotypes]
    assert len(oracle._recent._entries) == 2
    assert [oracle.compare(genotype, genotypes[0]) for genotype in genotypes] == first
    assert first == [
        oracle_of(supernet, dataset, rows=60).compare(genotype, genotypes[0])
        for genotype in genotypes
    ]


def test_a_genotype_that_does_not_fit_is_refused_in_comparisons_too(oracle, supernet, dataset):
    small = Genotype((BlockGene(),))
    message = "blocks: expected 4, as the supernet has, got 1"
    for ask in (
        lambda: oracle.compare(draw(SPACE, 1), small),
        lambda: oracle.compare(small, draw(SPACE, 1)),
        lambda: oracle_of(supernet, dataset, reference=small),
    ):
        with pytest.raises(GenotypeError, match=message):
            ask()
