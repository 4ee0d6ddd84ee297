"""`nasrec-opt generate`: from the command to a log, its truth, and a dataset."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from nasrec_opt import Genotype, SearchSpace
from nasrec_opt.data import Dataset, generate_log
from nasrec_opt.pipeline import truth_of

SPACE = SearchSpace.nasrec_small(num_blocks=2)
ROWS = 1000


def test_a_log_is_written_described_and_prepared(cli, tmp_path):
    out = tmp_path / "log"
    result = cli("generate", out, "--like", "criteo", "--rows", 2000, "--seed", 5)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == str(out / "train.txt")
    truth = json.loads((out / "truth.json").read_text())
    assert (truth["like"], truth["rows"], truth["seed"]) == ("criteo", 2000, 5)
    for line, name in zip(lines[1:], ("all", "train", "validation", "test"), strict=True):
        assert line.startswith(f"{name}: ")
        assert f"{truth['metrics'][name]['bayes_log_loss']:.4f}" in line
    assert cli("prepare", out / "train.txt", "--out", tmp_path / "d").returncode == 0
    dataset = Dataset.open(tmp_path / "d")
    for name in ("train", "validation", "test"):
        clicks = dataset.split(name).rows(slice(None)).labels.sum()
        assert clicks == truth["metrics"][name]["clicks"]


def test_clicks_come_from_the_model_that_truth_names(cli, tmp_path):
    genotype = SPACE.sample(np.random.default_rng(1))
    (tmp_path / "g.json").write_text(genotype.to_json())
    out = tmp_path / "log"
    options = ("--like", "criteo", "--rows", ROWS, "--vocabulary", "small", "--signal", 1.2)
    result = cli("generate", out, *options, "--truth", tmp_path / "g.json")
    assert result.returncode == 0, result.stderr
    assert Genotype.from_json((out / "genotype.json").read_text()) == genotype
    p = np.load(out / "probabilities.npy")
    assert np.log(p / (1 - p)).std() == pytest.approx(1.2, abs=0.1)
    truth = truth_of(genotype, like="criteo", vocabulary="small")
    again = generate_log(
        tmp_path / "again",
        like="criteo",
        rows=ROWS,
        vocabulary="small",
        log_odds=truth,
        signal=1.2,
    )
    np.testing.assert_allclose(np.load(again.probabilities), p, rtol=1e-5)
    other = truth_of(genotype, like="criteo", vocabulary="small", seed=1)
    log = generate_log(
        tmp_path / "other", like="criteo", rows=ROWS, vocabulary="small", log_odds=other
    )
    assert abs(np.corrcoef(np.load(log.probabilities), p)[0, 1]) < 0.9


@pytest.mark.parametrize("like", ["avazu", "kdd2012"])
def test_every_kind_of_log_can_come_from_a_model_in_bounded_tables(tmp_path, like):
    genotype = SPACE.sample(np.random.default_rng(2))
    seen = torch.get_rng_state()
    truth = truth_of(genotype, like=like)
    assert (torch.get_rng_state() == seen).all()
    log = generate_log(tmp_path / "log", like=like, rows=ROWS, log_odds=truth)
    assert log.metrics["all"]["bayes_auc"] > 0.7


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--like", "movielens", "--rows", 10), "like: expected one of criteo, avazu, kdd2012"),
        (("--like", "criteo", "--rows", 0), "rows: expected 1 or more, got 0"),
        (("--like", "criteo", "--rows", 10, "--drift", 2), "drift: expected 0 to 1"),
        (("--like", "criteo", "--rows", 10, "--truth", "none.json"), "none.json"),
    ],
)
def test_a_bad_option_is_one_sentence_and_leaves_nothing(cli, tmp_path, options, sentence):
    result = cli("generate", tmp_path / "out", *options)
    assert result.returncode == 2
    assert result.stderr.startswith("nasrec-opt: ")
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())
