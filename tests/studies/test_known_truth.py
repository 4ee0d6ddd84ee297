"""The study of a known truth: what it plants, and what its table says."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from nasrec_opt.pipeline import StudyConfig
from nasrec_opt.space import Genotype
from studies import known_truth
from studies.known_truth import STUDY, Outcome, planted_genotype, to_markdown

BRIEF = """
name = "known_truth"

[space]
preset = "nasrec_small"
num_blocks = 1
bits = [32]

[supernet]
epochs = 1

[oracle]
rows = 100

[search]
n_trials = 4
objectives = ["log_loss"]

[hardware]
technology = "cpu.toml"

[retrain]
top = 1

[retrain.model]
epochs = 1
least_steps = 0
"""


def test_each_seed_plants_another_architecture_of_the_space():
    config = StudyConfig.from_toml(STUDY)
    space = config.space.build()
    planted = [planted_genotype(space, seed) for seed in range(5)]
    assert len(set(planted)) == 5
    assert all(space.contains(genotype) for genotype in planted)
    assert planted[0] == planted_genotype(space, 0)


def test_the_table_has_the_gap_and_its_share():
    one = Outcome(
        seed=0, constant=0.6, linear=0.5, found=0.44, averaged=None, planted=0.42, bayes=0.4,
        better=3, trials=64,
    )  # fmt: skip
    lines = to_markdown([one, replace(one, seed=1, found=0.42)]).splitlines()
    assert lines[2] == (
        "| 0 | 0.6000 | 0.5000 | 0.4400 | - | 0.4200 | 0.4000 | +0.0200 | 75 % | 3 of 64 |"
    )
    assert lines[-1] == "Mean of found - planted: +0.0100."


def test_a_search_is_compared_with_what_was_planted(tmp_path, capsys):
    study, out = tmp_path / "brief.toml", tmp_path / "out"
    study.write_text(BRIEF)
    options = ["--out", str(out), "--study", str(study), "--rows", "600", "--seeds", "1"]
    assert known_truth.main(options) == 0
    table = (out / "known_truth.md").read_text()
    values = [text.strip(" |") for text in table.splitlines()[2].split(" | ")]
    losses = [float(text) for text in (*values[1:4], values[5], values[6])]
    assert all(map(math.isfinite, losses))
    assert losses[-1] == min(losses)  # nothing is better than the true probabilities
    assert values[-1].endswith(" of 4")
    planted = Genotype.from_json((out / "seed_0" / "log" / "planted.json").read_text())
    assert planted == planted_genotype(StudyConfig.from_toml(study).space.build(), 0)
    truth = json.loads((out / "seed_0" / "log" / "truth.json").read_text())
    assert truth["log_odds"] == "given"
    assert known_truth.main(options) == 0  # nothing is done again
    assert (out / "known_truth.md").read_text() == table


@pytest.mark.parametrize("number", ["0", "-1"])
def test_a_study_needs_a_seed(tmp_path, capsys, number):
    assert known_truth.main(["--out", str(tmp_path), "--seeds", number]) == 2
    assert f"seeds: expected 1 or more, got {number}" in capsys.readouterr().err
