"""The study of pruning: its table, its plot, and a small run from end to end."""

from __future__ import annotations

import polars as pl
import pytest

from nasrec_opt import Genotype
from nasrec_opt.space import BlockGene
from studies.pruning import METHODS, SHOWN, as_plot, as_table, main

GENOTYPE = Genotype(
    (
        BlockGene(dense_width=64, sparse_width=16),
        BlockGene(dense_width=32, sparse_width=16, dense_inputs=(1,), sparse_inputs=(1,)),
    ),
    space="nasrec_small",
)


def test_the_table_has_means_over_seeds_and_shares_of_the_whole_model():
    def row(method, rounds, seed, macs, loss):
        return {
            "method": method, "rounds": rounds, "seed": seed, "macs": macs, "test_log_loss": loss,
        }  # fmt: skip

    rows = [row("none", 0, seed, 1_450_000, 0.44 + 0.002 * seed) for seed in range(2)]
    for method in METHODS:
        better = method == "mask"
        rows += [
            row(method, rounds, seed, 1_450_000 - 145_000 * rounds, 0.45 - 0.01 * better)
            for rounds in SHOWN
            for seed in range(2)
        ]
    lines = as_table(rows).splitlines()
    assert lines[2] == ("| whole | 0.4410 ± 0.0014 | 1.45 (100%) | 0.4410 ± 0.0014 | 1.45 (100%) |")
    assert lines[3] == (
        "| pruned, T = 5 | 0.4400 ± 0.0000 | 0.725 (50%) | 0.4500 ± 0.0000 | 0.725 (50%) |"
    )
    assert as_plot(rows).startswith(b"<?xml")


def test_a_small_study_compares_both_methods_at_equal_macs(tmp_path, capsys):
    (tmp_path / "model.json").write_text(GENOTYPE.to_json())
    out = tmp_path / "out"
    arguments = ["--out", str(out), "--rows", "600", "--seeds", "1"]
    arguments += ["--genotype", str(tmp_path / "model.json"), "--epochs", "1"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert printed.strip() == (out / "pruning.md").read_text().strip()
    rows = pl.read_parquet(out / "pruning.parquet")
    assert rows.height == 1 + len(METHODS) * len(SHOWN)
    whole = rows.filter(pl.col("method") == "none")["macs"].item()
    for rounds in SHOWN:
        macs = {
            method: rows.filter(method=method, rounds=rounds)["macs"].item() for method in METHODS
        }
        assert macs["magnitude"] <= macs["mask"] < whole
        assert macs["magnitude"] == pytest.approx(macs["mask"], rel=0.1)
    assert (out / "pruning.svg").exists()
    assert main(arguments) == 0  # all of it is read
    assert capsys.readouterr().out == printed


def test_bad_input_is_one_sentence(tmp_path, capsys):
    (tmp_path / "model.json").write_text("{}")
    arguments = ["--out", str(tmp_path / "out"), "--genotype", str(tmp_path / "model.json")]
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("pruning: ")
    assert not (tmp_path / "out").exists()
    assert main([*arguments[:2], "--seeds", "0"]) == 2
    assert "seeds: expected 1 or more, got 0" in capsys.readouterr().err
