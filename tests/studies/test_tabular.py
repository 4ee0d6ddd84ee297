"""The table of the tabular benchmark, made of a tiny log and a tiny space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hw import ReRAM
from nasrec_opt.objective import Objective
from nasrec_opt.oracle import OracleOptions, SupernetOracle
from nasrec_opt.tabular import TabularBenchmark
from studies.tabular import main

SPACE = """
name = "tiny"
num_blocks = 2
dense_ops = ["fc"]
sparse_ops = ["efc"]
dense_widths = [16, 32]
sparse_widths = [16]
mergers = false
"""
STUDY = """
name = "tabular"
[data]
synthetic_rows = 400
[space]
file = "space.toml"
[supernet]
batch_size = 64
"""


@pytest.fixture
def study(tmp_path) -> Path:
    (tmp_path / "space.toml").write_text(SPACE)
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path / "study.toml"


def test_the_table_has_what_oracle_and_accelerator_say_of_every_model(study, tmp_path):
    out = tmp_path / "run"
    assert main(["--study", str(study), "--out", str(out)]) == 0
    table = TabularBenchmark.load(out / "table.parquet")
    objective = Objective(
        table.space,
        SupernetOracle.load(out / "supernet", options=OracleOptions(bits="float")),
        ReRAM(),
    )
    rng = np.random.default_rng(0)
    for _ in range(10):
        genotype = table.space.sample(rng)
        found = table.metrics(genotype)
        answers = objective.metrics(genotype)
        assert {"log_loss", "latency_us", "energy_uj", "area_mm2", "mflops"} <= found.keys()
        for name in found.keys() & answers.keys():
            assert found[name] == pytest.approx(answers[name], rel=1e-6)
    assert len(table) == len({genotype.canonical() for genotype in table.space})


def test_what_is_scored_is_not_scored_again(study, tmp_path, monkeypatch):
    out = tmp_path / "run"
    assert main(["--study", str(study), "--out", str(out)]) == 0
    before = (out / "table.parquet").read_bytes()
    (out / "table.parquet").unlink()
    monkeypatch.setattr("studies.tabular._rows", lambda *_: pytest.fail("scored again"))
    assert main(["--study", str(study), "--out", str(out)]) == 0
    assert (out / "table.parquet").read_bytes() == before


def test_a_space_with_accelerator_genes_is_one_sentence(tmp_path, capsys):
    text = STUDY.replace('file = "space.toml"', 'preset = "codesign"\nnum_blocks = 1')
    (tmp_path / "codesign.toml").write_text(text)
    options = ["--study", str(tmp_path / "codesign.toml"), "--out", str(tmp_path / "run")]
    assert main(options) == 2
    assert "space: expected one without accelerator genes" in capsys.readouterr().err
