"""Races beside plain numpy: the estimate, its error, where it stops, and what it depends on."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
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
    supernet_of,
)
from scipy.stats import norm
from weighted_logs import weighted_and_repeated

from hw import Noise, ReRAM
from nasrec_opt.distributed._mapped import read, share
from nasrec_opt.errors import GenotypeError, StudyError
from nasrec_opt.lowering import CrossbarCells
from nasrec_opt.options import AdagradFit, OracleOptions, Racing
from nasrec_opt.oracle import NoisyOracle, RacingOracle
from nasrec_opt.pipeline import StudyConfig
from nasrec_opt.space import BlockGene, Genotype
from nasrec_opt.supernet import full_supernet

RACING = Racing(first=20, factor=3, confidence=0.9)
LOOKS = (20, 60, 180, 250)
seeds = st.integers(0, 2**32 - 1)


def losses_of(model, dataset, genotype):
    """Log loss of each validation row, by the textbook."""
    batch = rows_of(dataset, "validation")
    chance = 1 / (1 + np.exp(-forward(model, batch, genotype).astype(float)))
    return -np.log(np.where(batch.labels == 1, chance, 1 - chance))


def seen_by(count: int, num_rows: int = 250):
    return np.array([i * num_rows // count for i in range(count)])


def looked_at(losses, reference) -> list[tuple[float, float, int]]:
    """Estimate, error and rows of every look, by the formula."""
    found = []
    for count in LOOKS:
        paired = (losses - reference)[seen_by(count)]
        variance = ((paired - paired.mean()) ** 2).sum() / (count - 1)
        error = math.sqrt((1 - count / 250) * variance / count)
        found.append((reference.mean() + paired.mean(), error, count))
    return found


@settings(max_examples=5, deadline=None)
@given(seeds, st.floats(-0.3, 0.3) | st.sampled_from([-math.inf, math.inf]))
def test_a_race_is_that_of_plain_numpy(supernet, dataset, seed, margin):
    oracle = oracle_of(supernet, dataset, rows=RACING)
    genotype = draw(SPACE, seed)
    losses = losses_of(supernet, dataset, genotype)
    expected = looked_at(losses, losses_of(supernet, dataset, full_supernet(SPACE)))
    below = losses.mean() + margin
    stops = [loss - norm.ppf(0.9) * error > below for loss, error, _ in expected]
    last = stops.index(True) if True in stops else len(LOOKS) - 1
    answer = oracle.race(genotype, below)
    found = [(e.log_loss, e.log_loss_se, e.num_rows) for e in (*answer.looks, answer)]
    np.testing.assert_allclose(found, expected[: last + 1], rtol=0, atol=2e-5)
    assert answer.difference is None


@settings(max_examples=4, deadline=None)
@given(seeds, st.sampled_from(list(SPACES)), st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=3))
def test_answers_depend_on_genotype_and_bound_alone(supernets, dataset, seed, name, margins):
    """Whatever was asked before, whatever is cached, and in another process."""
    supernet, genotypes = supernets[name], family(SPACES[name], seed, children=2)

    def fresh(**options):
        return oracle_of(supernet, dataset, rows=RACING, **options)

    asked, small = fresh(), fresh(memory_bytes=40_000)
    with share(asked) as file:
        sent = read(file.fileno())
    plain = oracle_of(supernet, dataset)
    for number, margin in enumerate(margins):
        genotype = genotypes[number % len(genotypes)]
        below = plain.evaluate(genotype).log_loss + margin
        answers = [one.race(genotype, below) for one in (asked, small, sent, fresh())]
        assert answers == answers[:1] * 4
    for genotype in genotypes:
        assert_close(asked.evaluate(genotype), plain.evaluate(genotype))


def test_all_rows_are_what_an_oracle_without_a_race_answers(supernet, dataset):
    racing, plain = oracle_of(supernet, dataset, rows=RACING), oracle_of(supernet, dataset)
    genotypes = [draw(SPACE, seed) for seed in range(3)]
    for answers in zip(*(o.evaluate_many(genotypes) for o in (racing, plain)), strict=True):
        assert_close(*answers)
    assert np.array_equal(racing.labels, plain.labels)
    assert racing.num_rows == plain.num_rows == 250
    for genotype in genotypes:
        answer, whole = racing.race(genotype, math.inf), racing.evaluate(genotype)
        assert (answer.log_loss, answer.auc, answer.num_rows, answer.log_loss_se) == (
            whole.log_loss,
            whole.auc,
            whole.num_rows,
            0.0,
        )
        first = racing.race(genotype, -math.inf)
        assert (first.num_rows, first.looks) == (20, ())
    assert isinstance(racing, RacingOracle)
    assert plain.racing is None


@pytest.mark.parametrize("last_layer", ["newton", AdagradFit(steps=20)], ids=["newton", "adagrad"])
def test_a_fitted_layer_is_the_same_at_every_look(supernet, dataset, last_layer):
    options = {"fidelity": "last_layer", "last_layer": last_layer, "fit_rows": 90}
    racing = oracle_of(supernet, dataset, rows=RACING, **options)
    plain = oracle_of(supernet, dataset, **options)
    genotype = draw(SPACE, 3)
    logits = [
        oracle._predictor.predict([oracle._plan(genotype)], None)[0].logits
        for oracle in (racing, plain)
    ]
    np.testing.assert_allclose(*logits, rtol=0, atol=1e-5)
    assert racing.race(genotype, math.inf).log_loss == racing.evaluate(genotype).log_loss


def test_a_reference_of_the_users_own_has_its_difference_in_the_answer(supernet, dataset):
    reference, genotype = draw(SPACE, 1), draw(SPACE, 2)
    oracle = oracle_of(supernet, dataset, rows=RACING, reference=reference)
    answer = oracle.race(genotype, -math.inf)
    assert answer.difference.num_rows == 20
    whole = oracle.evaluate(reference).log_loss
    assert answer.log_loss == pytest.approx(whole + answer.difference.log_loss, abs=1e-12)
    itself = oracle.race(reference, -math.inf)
    assert (itself.log_loss, itself.log_loss_se) == (pytest.approx(whole, abs=1e-12), 0.0)


def test_rows_with_weights_race_as_weighted_means(tmp_path):
    log, _ = weighted_and_repeated(tmp_path, rows=2500)
    supernet = supernet_of(SPACE, log)
    oracle, genotype = oracle_of(supernet, log, rows=RACING), draw(SPACE, 4)
    losses, reference = (losses_of(supernet, log, g) for g in (genotype, full_supernet(SPACE)))
    weights, seen = oracle.row_weights, seen_by(20)
    paired = np.average((losses - reference)[seen], weights=weights[seen])
    expected = np.average(reference, weights=weights) + paired
    assert oracle.race(genotype, -math.inf).log_loss == pytest.approx(expected, abs=2e-5)
    assert oracle.race(genotype, math.inf).log_loss == oracle.evaluate(genotype).log_loss


def test_the_estimate_has_no_bias_and_its_error_is_right():
    """Over many samples of rows: mean and spread of the estimate, by the formula itself."""
    rng = np.random.default_rng(0)
    reference = rng.gamma(0.5, size=4000)
    losses = 0.9 * reference + rng.normal(0.05, 0.2, 4000)
    estimates, errors = [], []
    for _ in range(4000):
        seen = rng.choice(4000, 1000, replace=False)
        paired = (losses - reference)[seen]
        estimates.append(reference.mean() + paired.mean())
        errors.append(math.sqrt(0.75 * paired.var(ddof=1) / 1000))
    assert np.mean(estimates) == pytest.approx(losses.mean(), abs=4 * np.std(estimates) / 60)
    assert np.std(estimates) == pytest.approx(np.mean(errors), rel=0.05)
    assert np.std(estimates) < 0.5 * losses.std() / math.sqrt(1000)


@given(st.integers(2, 10**6), st.integers(2, 9), st.integers(1, 10**7))
def test_looks_grow_to_all_rows_and_hold_those_before(first, factor, num_rows):
    looks = Racing(first=first, factor=factor).looks(num_rows)
    assert looks[-1] == num_rows
    assert all(a < b <= a * factor for a, b in pairwise(looks))
    assert looks[0] == min(first, num_rows)
    few = min(num_rows, 5000)
    seen = [set(seen_by(n, few).tolist()) for n in Racing(first=first, factor=factor).looks(few)]
    assert all(a < b for a, b in pairwise(seen))


def test_the_bound_is_the_normal_quantile_below_the_estimate():
    assert Racing(confidence=0.99).lower_bound(0.5, 0.1) == pytest.approx(
        0.5 - 0.1 * norm.ppf(0.99)
    )
    assert Racing(confidence=0.5).lower_bound(0.5, 0.1) == 0.5
    assert Racing().lower_bound(0.5, None) == -math.inf


def test_a_study_file_says_racing_or_has_a_table(tmp_path):
    file = tmp_path / "study.toml"

    def rows(text):
        file.write_text(f"[oracle]\n{text}")
        return StudyConfig.from_toml(file).oracle.rows

    assert rows('rows = "racing"') == Racing() == OracleOptions(rows="racing").rows
    assert rows("[oracle.rows]\nfirst = 4096\nrivals = 4") == Racing(first=4096, rivals=4)
    assert rows("rows = { confidence = 0.9 }") == Racing(confidence=0.9)
    assert rows("rows = 70") == 70
    assert Racing(first=np.int64(7), confidence=np.float64(0.9)) == Racing(first=7, confidence=0.9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('rows = "race"', "oracle: rows: expected an integer or 'racing', got 'race'"),
        ("rows = 1.5", "oracle: rows: expected an integer or 'racing', got 1.5"),
        ("[oracle.rows]\nfrist = 4", "rows: unknown key 'frist'; did you mean 'first'?"),
        ("[oracle.rows]\nfirst = 1", "oracle: rows: first: expected 2 or more, got 1"),
        ("[oracle.rows]\nfactor = 1", "oracle: rows: factor: expected 2 or more, got 1"),
        ("[oracle.rows]\nrivals = 0", "oracle: rows: rivals: expected 1 or more, got 0"),
        (
            "[oracle.rows]\nconfidence = 1.0",
            "rows: confidence: expected a number from 0.5 to below 1, got 1.0",
        ),
        (
            'rows = "racing"\nfidelity = "scratch"',
            "oracle: rows: expected a number of rows where every model is trained, which takes "
            "longer than the rows, got racing with fidelity = 'scratch'",
        ),
        (
            'rows = "racing"\nfidelity = "last_layer"\nlast_layer = "folds"',
            "oracle: rows: expected a number of rows with last_layer = 'folds', whose fits are "
            "on validation rows, got racing",
        ),
        (
            'rows = "racing"\n[search]\nobjectives = ["latency_us"]',
            "[oracle]: rows: expected a number of rows where log_loss is no objective, got racing",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path, text, message):
    file = tmp_path / "study.toml"
    file.write_text(text if text.startswith("[") else f"[oracle]\n{text}")
    with pytest.raises(StudyError) as caught:
        StudyConfig.from_toml(file)
    assert str(caught.value).endswith(message)


def test_what_cannot_race_is_one_sentence(supernet, dataset):
    with pytest.raises(StudyError, match="race: expected options with rows=Racing\\(\\), got 90"):
        oracle_of(supernet, dataset, rows=90).race(draw(SPACE, 0), 1.0)
    with pytest.raises(StudyError, match=r"rows: expected a number or 'racing', got 1\.5"):
        OracleOptions(rows=1.5)
    with pytest.raises(StudyError, match=r"first: expected an integer, got 0\.5"):
        Racing(first=0.5)
    racing = oracle_of(supernet, dataset, rows=RACING)
    with pytest.raises(GenotypeError, match="blocks: expected 4"):
        racing.race(Genotype((BlockGene(),)), 1.0)
    cells = CrossbarCells(ReRAM(), Noise(conductance_sigma=0.1), seed=0)
    with pytest.raises(StudyError, match="noise: expected an oracle with a number of rows, got"):
        NoisyOracle(racing, cells)
