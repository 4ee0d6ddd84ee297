"""The study of averaging end to end on two tiny logs, held against scikit-learn."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import log_loss

from nasrec_opt.data import Dataset
from studies.averaging import answers_file, main

SEEDS = (3, 4)


def arguments(folder, **options):
    options = {"out": folder, "rows": 1000, "log-seeds": "3,4", "models": 3, "blocks": 1} | options
    return [f"--{name}={value}" for name, value in (options | {"workers": 1}).items()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("averaging") / "run"
    assert main(arguments(folder)) == 0
    return folder


def expected(folder, seed: int, logits: np.ndarray) -> float:
    """Each row once as a click and once as none, by its true probability."""
    chance = np.load(folder / f"log-{seed}" / "test" / "probabilities.npy").astype(float)
    clicks = 1 / (1 + np.exp(-np.concatenate([logits, logits]).astype(float)))
    labels = np.repeat([1, 0], len(chance))
    return float(log_loss(labels, clicks, sample_weight=np.concatenate([chance, 1 - chance])))


def test_pairs_gain_what_the_mean_of_their_answers_gains(folder):
    rows = pl.read_parquet(folder / "models.parquet").to_dicts()
    gains: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for seed in SEEDS:
        found = {}
        for row in rows:
            if row["log_seed"] == seed:
                with np.load(answers_file(folder, seed, row["model"])) as answers:
                    found[row["model"]] = (row["wide"], answers["test"][0])
        for (one, first), (other, second) in combinations(found.values(), 2):
            alone = (expected(folder, seed, first) + expected(folder, seed, second)) / 2
            together = expected(folder, seed, (first.astype(float) + second) / 2)
            gains[one + other].append(alone - together)
    page = (folder / "averaging.md").read_text()
    for count, name in ((0, "in neither"), (1, "in one of them"), (2, "in both")):
        gain = f"{np.mean(gains[count]):.4f}" if gains[count] else "-"
        assert f"| {name} | {len(gains[count])} | {gain} |" in page
    assert sum(map(len, gains.values())) == 2 * 3


def test_one_member_is_the_best_on_validation_rows(folder):
    cells = []
    for seed in SEEDS:
        labels = Dataset.open(folder / f"log-{seed}").split("validation").labels
        ranked = []
        for model in range(3):
            with np.load(answers_file(folder, seed, model)) as answers:
                for validation, test in zip(answers["validation"], answers["test"], strict=True):
                    clicks = 1 / (1 + np.exp(-validation.astype(float)))
                    ranked.append((log_loss(labels, clicks), expected(folder, seed, test)))
        cells.append(f"{min(ranked)[1]:.4f}")
    assert f"| at most 1 | {cells[0]} | {cells[1]} |" in (folder / "averaging.md").read_text()


def test_nothing_is_trained_twice_and_a_page_gets_its_tables(folder, tmp_path):
    before = (folder / "models.parquet").stat().st_mtime_ns
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n<!-- pairs -->\n<!-- end -->\nend\n")
    assert main(arguments(folder, write=page)) == 0
    assert (folder / "models.parquet").stat().st_mtime_ns == before
    assert "| in neither |" in page.read_text()


@pytest.mark.parametrize(("options", "sentence"), [
    ({"models": 0}, "models: expected 1 or more, got 0"),
    ({"write": "missing.md"}, "write: expected a page that exists, got missing.md"),
])  # fmt: skip
def test_bad_options_are_one_sentence(tmp_path, capsys, options, sentence):
    assert main(arguments(tmp_path / "run", **options)) == 2
    assert sentence in capsys.readouterr().err
