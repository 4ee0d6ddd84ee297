"""The study of pruning: its table, its plot, and a small run from end to end."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from nasrec_opt import Genotype, Subnet
from nasrec_opt._recipe import min_count
from nasrec_opt.data import Dataset
from nasrec_opt.retrain import predict
from nasrec_opt.space import BlockGene
from studies.pruning import METHODS, SHOWN, losses, main, savings

GENOTYPE = Genotype(
    (
        BlockGene(dense_width=64, sparse_width=16),
        BlockGene(dense_width=32, sparse_width=16, dense_inputs=(1,), sparse_inputs=(1,)),
    ),
    space="nasrec_small",
)


COSTS = {
    "parameters": 5000, "bytes": 800_000, "latency_us": 5.0, "energy_uj": 0.25, "area_mm2": 1.5,
}  # fmt: skip


def row(method, rounds, seed, macs, loss):
    found = {"method": method, "rounds": rounds, "seed": seed, "macs": macs, "log_loss": loss}
    return found | COSTS


def table_rows():
    """Two seeds, of which one is worse throughout; masks are 0.002 better than magnitude."""
    rows = [row("none", 0, seed, 1_450_000, 0.44 + 0.002 * seed) for seed in range(2)]
    for method in METHODS:
        worse = 0.001 + 0.002 * (method == "magnitude")
        rows += [
            row(method, rounds, seed, 1_450_000 - 145_000 * rounds, 0.44 + worse + 0.002 * seed)
            for rounds in SHOWN
            for seed in range(2)
        ]
    return rows


def test_the_table_pairs_models_of_one_seed():
    lines = losses(table_rows()).splitlines()
    whole = "1.45 (100%) | 0.4410 ± 0.0014 |  |"
    assert lines[2] == f"| whole | {whole} {whole}  |"
    assert lines[3] == (
        "| pruned, T = 5 | 0.725 (50%) | 0.4420 ± 0.0014 | +0.0010 ± 0.0000 worse "
        "| 0.725 (50%) | 0.4440 ± 0.0014 | +0.0030 ± 0.0000 worse | -0.0020 ± 0.0000 better |"
    )
    assert [line.split(" | ")[0] for line in lines[3:]] == [
        "| pruned, T = 5", "| pruned, T = 3", "| pruned, T = 1",
    ]  # fmt: skip


def test_the_other_table_has_what_is_saved():
    lines = savings(table_rows()).splitlines()
    assert lines[2] == "| whole | 1.45 | 5,000 | 800 | 5 | 0.25 | 1.5 |"
    assert lines[3].startswith("| masks, T = 1 | 1.3 |")
    assert len(lines) == 2 + 1 + len(SHOWN) * len(METHODS)


def test_a_small_study_compares_both_methods_at_equal_macs(tmp_path, capsys):
    (tmp_path / "model.json").write_text(GENOTYPE.to_json())
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n<!-- losses -->\n<!-- end -->\n\nEnd.\n")
    out = tmp_path / "out"
    arguments = ["--out", str(out), "--rows", "600", "--seeds", "1", "--write", str(page)]
    arguments += ["--genotype", str(tmp_path / "model.json"), "--epochs", "1"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert printed.strip() == (out / "pruning.md").read_text().strip()
    text = page.read_text()
    assert text.startswith("# Page\n\n<!-- losses -->\n| model |")
    assert text.endswith("|\n<!-- end -->\n\nEnd.\n")
    assert page.with_suffix(".svg").read_bytes() == (out / "pruning.svg").read_bytes()
    rows = pl.read_parquet(out / "pruning.parquet")
    assert rows.height == 1 + len(METHODS) * len(SHOWN)
    whole = rows.filter(method="none").row(0, named=True)
    for rounds in SHOWN:
        found = {
            method: rows.filter(method=method, rounds=rounds).row(0, named=True)
            for method in METHODS
        }
        assert found["magnitude"]["macs"] <= found["mask"]["macs"] < whole["macs"]
        assert found["magnitude"]["macs"] == pytest.approx(found["mask"]["macs"], rel=0.1)
        for values in found.values():
            for cost in ("parameters", "bytes", "energy_uj"):
                assert values[cost] < whole[cost]
            model = out / "seed-0" / values["method"] / f"round-{rounds}" / "model"
            assert values["bytes"] == (model / "weights.safetensors").stat().st_size
    # Expected log losses are those of labels drawn from the true probabilities.
    chance = np.load(out / "synthetic-600" / "test" / "probabilities.npy")
    dataset = Dataset.open(out / "synthetic-600", min_count=min_count(480))
    logits, _ = predict(Subnet.load(out / "seed-0" / "whole" / "model"), dataset.split("test"))
    answered = 1 / (1 + np.exp(-logits.astype(np.float64)))
    entropy = -(chance * np.log(answered) + (1 - chance) * np.log1p(-answered))
    assert whole["log_loss"] == pytest.approx(entropy.mean(), abs=1e-6)
    assert main(arguments) == 0  # all of it is read
    assert capsys.readouterr().out == printed


def test_bad_input_is_one_sentence(tmp_path, capsys):
    (tmp_path / "model.json").write_text("{}")
    arguments = ["--out", str(tmp_path / "out"), "--genotype", str(tmp_path / "model.json")]
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("pruning: ")
    assert not (tmp_path / "out").exists()
    assert main([*arguments[:2], "--write", str(tmp_path / "none.md")]) == 2
    assert "write: expected a page that exists" in capsys.readouterr().err
    assert main([*arguments[:2], "--seeds", "0"]) == 2
    assert "seeds: expected 1 or more, got 0" in capsys.readouterr().err
