"""The synthetic log: reproducible, like Criteo's, and with interactions that are there."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from data.logs import content
from sklearn.metrics import log_loss

from nasrec_opt.data import generate_synthetic, prepare
from nasrec_opt.data._synthetic import write_log
from nasrec_opt.data._world import PAIRS, SPARSE, TRIPLES, World
from nasrec_opt.errors import DataError

ROWS = 2000


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return generate_synthetic(tmp_path_factory.mktemp("synthetic") / "one", rows=ROWS, seed=1)


def test_the_same_seed_gives_the_same_bytes(dataset, tmp_path):
    again = generate_synthetic(tmp_path / "again", rows=ROWS, seed=1)
    assert content(again.path) == content(dataset.path)
    assert generate_synthetic(tmp_path / "other", rows=ROWS, seed=2).fingerprint != (
        dataset.fingerprint
    )


@pytest.mark.parametrize(
    ("seed", "digest"),
    [
        (0, "3d9def86e9dd94bf47462248bfc998625081ef7f25b8390cbbadc9b8cc39cb40"),
        (7, "a839a68a0ea8c0ca589782400ec50737e208303d48f3dbc9856ebbb23488fa3f"),
    ],
)
def test_the_log_is_the_one_that_published_results_rest_on(tmp_path, seed, digest):
    write_log(tmp_path / "log.txt", 3000, seed)
    assert hashlib.sha256((tmp_path / "log.txt").read_bytes()).hexdigest() == digest


def test_it_is_prepared_like_any_log_whatever_the_chunks(dataset, tmp_path):
    write_log(tmp_path / "log.txt", ROWS, 1)
    prepare(tmp_path / "log.txt", tmp_path / "out", chunk_bytes=30_000)
    expected, found = content(dataset.path), content(tmp_path / "out")
    for name, data in found.items():
        if name != "dataset.json":
            assert data == expected[name], name
    assert found["dataset.json"].items() <= expected["dataset.json"].items()


def test_bayes_log_loss_is_that_of_the_stored_probabilities(dataset):
    for name in ("train", "validation", "test"):
        probabilities = np.load(dataset.path / name / "probabilities.npy")
        labels = dataset.split(name).rows(slice(None)).labels
        expected = log_loss(labels, probabilities)
        assert dataset.bayes_log_loss[name] == pytest.approx(expected, rel=1e-9)
        assert expected < log_loss(labels, np.full(len(labels), labels.mean()))


@pytest.mark.parametrize("seed", range(5))
def test_clicks_and_missing_values_are_as_often_as_in_criteo(seed):
    rows = World(np.random.default_rng(seed)).draw(np.random.default_rng([seed, 1]), 50_000)
    rate = (1 / (1 + np.exp(-rows.odds))).mean()
    assert rate == pytest.approx(0.256, abs=0.012)
    missing = {0: 0.451, 1: 0.0, 11: 0.765}
    for field, share in missing.items():
        assert np.isnan(rows.dense[:, field]).mean() == pytest.approx(share, abs=0.015)
    assert (np.isnan(rows.dense[:, 0]) == np.isnan(rows.dense[:, 9])).all()
    assert (rows.dense[:, 1] < 0).mean() == pytest.approx(0.1, abs=0.01)
    assert np.nanmin(rows.dense[:, 1]) == -3
    assert (rows.sparse[:, 18] == -1).mean() == pytest.approx(0.442, abs=0.015)
    for field in (3, 11, 15, 20, 23):  # C3 determines them
        pairs = np.unique(rows.sparse[:, [2, field]], axis=0)
        assert len(pairs) == len(np.unique(rows.sparse[:, 2]))


def one_hot(columns: np.ndarray, sizes: list[int]) -> np.ndarray:
    """One column for each combination of values; missing is a value."""
    codes = np.ravel_multi_index(tuple(columns.T + 1), [size + 1 for size in sizes])
    return np.unique(codes, return_inverse=True)[1]


def explained(target: np.ndarray, groups: list[np.ndarray]) -> float:
    """Share of the target's variance that effects of the groups' values explain, by backfitting."""
    fitted = np.zeros_like(target)
    effects = [np.zeros(group.max() + 1) for group in groups]
    for _ in range(8):
        for group, effect in zip(groups, effects, strict=True):
            rest = target - fitted + effect[group]
            fitted -= effect[group]
            effect[:] = np.bincount(group, rest) / np.bincount(group)
            fitted += effect[group]
    return 1 - (target - fitted).var() / target.var()


@pytest.mark.parametrize("seed", range(3))
def test_planted_pairs_and_triples_are_what_single_values_do_not_explain(seed):
    rows = World(np.random.default_rng(seed)).draw(np.random.default_rng([seed, 1]), 60_000)
    sizes = [field.num_values for field in SPARSE]
    planted = sorted({field for fields in (*PAIRS, *TRIPLES) for field in fields})
    others = [(13, 22), (5, 16)]  # pairs of the same columns that are not planted

    def groups(fields_of_groups):
        return [
            one_hot(rows.sparse[:, list(fields)], [sizes[field] for field in fields])
            for fields in fields_of_groups
        ]

    single = groups([(field,) for field in planted])
    shares = [
        explained(rows.odds, [*single, *groups(extra)])
        for extra in ((), others, PAIRS, (*PAIRS, *TRIPLES))
    ]
    linear, with_others, with_pairs, with_all = shares
    assert with_others - linear < 0.03
    assert with_pairs - linear > 0.2
    assert with_all - with_pairs > 0.04


@pytest.mark.parametrize(("option", "value"), [("rows", 99), ("seed", -1)])
def test_options_out_of_range_are_refused(tmp_path, option, value):
    with pytest.raises(DataError, match=f"{option}: expected .*, got {value}"):
        generate_synthetic(tmp_path / "out", **{option: value})
    assert not list(tmp_path.iterdir())
