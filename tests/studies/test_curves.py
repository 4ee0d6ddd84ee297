"""The study of learning curves end to end on a tiny log."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import count

import numpy as np
import polars as pl
import pytest
from scipy.stats import kendalltau

from nasrec_opt.data import Dataset
from nasrec_opt.lowering import lower
from nasrec_opt.retrain import RetrainConfig, retrain
from nasrec_opt.space import Genotype, SearchSpace
from studies import curves
from studies._curve import train_curve
from studies._curves_report import Curves, place_of, report, score_at
from studies._statistics import tau_of_a_perfect_score
from studies.curves import draw, main


def arguments(folder, **options):
    options = {
        "out": folder, "rows": "2_000", "log-seed": 3, "genotypes": 3, "seeds": 2, "blocks": 1,
        "most-macs": "60_000", "rate": 0.003, "workers": 1,
    } | options  # fmt: skip
    return [f"--{name}={value}" for name, value in options.items()]


CONFIG = {"learning_rates": (0.003,), "epochs": 2}


@pytest.fixture(scope="module", autouse=True)
def few_epochs(tmp_path_factory):
    """The study's models with less training than its study file gives them."""
    study = tmp_path_factory.mktemp("study") / "study.toml"
    text = curves.STUDY.read_text()
    study.write_text(f"{text}\n[retrain.model]\nepochs = {CONFIG['epochs']}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "STUDY", study)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study that its limit ended before it began, and that was then started again."""
    folder = tmp_path_factory.mktemp("curves") / "run"
    assert main(arguments(folder, limit=1e-6)) == 0
    assert not (folder / "curves.parquet").exists()
    assert main(arguments(folder)) == 0
    return folder


def rows_of(folder):
    return pl.read_parquet(folder / "curves.parquet").to_dicts()


def task_of(folder, row, until=None):
    return {
        "model": row["model"],
        "seed": row["seed"],
        "genotype": row["genotype"],
        "log": str(folder / "log"),
        "view": {"min_count": 1, "binned_dense": True},
        "config": CONFIG,
        "until": until,
    }


def test_first_seeds_come_first_and_every_curve_has_its_points(folder):
    rows = rows_of(folder)
    assert [(row["seed"], row["model"]) for row in rows] == [
        (seed, model) for seed in range(2) for model in range(3)
    ]
    features = Dataset.open(folder / "log", binned_dense=True).features
    for row in rows:
        epoch = row["epoch_steps"]
        shares = [1 / 8, 1 / 4, 1 / 2, 3 / 4, 1]
        assert row["steps"][:5] == [round(share * epoch) for share in shares]
        assert len(row["steps"]) == 1 + 4 * len(row["epoch_test"])
        assert len(row["epoch_test"]) == len(row["epoch_expected"]) == row["steps_done"] / epoch
        for name in ("wall_seconds", "cpu_seconds"):
            assert (np.diff(row[name]) > 0).all()
        assert row["macs"] == lower(Genotype.from_json(row["genotype"]), features).macs <= 60_000
        assert row["is_over"]
        assert row["device"]
    assert rows[0]["expected_log_loss"] != rows[3]["expected_log_loss"]  # of another seed


def test_a_curve_ends_as_a_model_trained_from_scratch(folder, tmp_path):
    row = next(r for r in rows_of(folder) if r["best_step"] % r["epoch_steps"] == 0)
    dataset = Dataset.open(folder / "log", binned_dense=True)
    config = RetrainConfig(**CONFIG, seed=row["seed"])
    genotype = Genotype.from_json(row["genotype"])
    model = retrain(genotype, dataset, tmp_path / "model", config)
    points = list(zip(row["steps"], row["validation"], strict=True))
    assert tuple(points[1:]) == model.validation_history  # the first look is the study's alone
    assert row["test_log_loss"] == model.test_log_loss
    assert row["best_validation"] == model.validation_log_loss
    assert row["best_step"] == model.best_step
    # An epoch is scored before the kept weights learn the validation rows.
    alone = retrain(genotype, dataset, tmp_path / "alone", replace(config, validation_pass=False))
    end = row["best_step"] // row["epoch_steps"]
    assert row["epoch_test"][end - 1] == alone.test_log_loss
    # Under the true probabilities: near the labels' log loss, and not below the least there is.
    bayes = dataset.bayes_log_loss["test"]
    assert row["expected_log_loss"] == pytest.approx(row["test_log_loss"], abs=0.1)
    assert min(row["epoch_expected"]) > bayes - 0.05


def test_a_training_at_its_limit_says_what_it_has(folder):
    whole = rows_of(folder)[0]
    steps = count(1)  # a clock that ticks with every step
    limit = whole["epoch_steps"] + whole["epoch_steps"] // 3
    part = train_curve(task_of(folder, whole, limit), lambda: next(steps))
    assert part is not None
    assert not part["is_over"]
    assert part["steps_done"] == limit - 1
    assert part["expected_log_loss"] is None
    assert part["steps"] == whole["steps"][:6]  # in the first epoch, and a quarter of the second
    assert part["validation"] == whole["validation"][:6]
    assert part["epoch_expected"] == whole["epoch_expected"][:1]
    assert train_curve(task_of(folder, whole, 1), lambda: next(steps)) is None


def test_what_was_cut_off_is_trained_anew_and_nothing_else(folder, tmp_path):
    again = tmp_path / "run"
    again.mkdir()
    (again / "setup.json").write_bytes((folder / "setup.json").read_bytes())
    frame = pl.read_parquet(folder / "curves.parquet")
    is_cut = (pl.col("seed") == 1) & (pl.col("model") == 1)
    cut = frame.with_columns(is_over=~is_cut).filter((pl.col("seed") == 0) | is_cut)
    cut.write_parquet(again / "curves.parquet")
    assert main(arguments(again, log=folder / "log")) == 0
    assert pl.read_parquet(again / "curves.parquet")["seconds"][:3].equals(frame["seconds"][:3])
    measured = {"wall_seconds", "cpu_seconds", "seconds", "seconds_of_cpu"}
    known = frame.drop(measured).sort("seed", "model")
    found = pl.read_parquet(again / "curves.parquet").drop(measured).sort("seed", "model")
    assert found.to_dicts() == known.to_dicts()


def test_a_folder_of_another_setup_is_refused(folder, capsys):
    assert main(arguments(folder, rate=0.001)) == 2
    assert "holds results of another setup: config was" in capsys.readouterr().err
    assert main(arguments(folder, rows=3000)) == 2
    assert "expected a log of 3,000 rows, got 2,000" in capsys.readouterr().err
    assert main(arguments(folder, limit=0)) == 2
    assert "limit: expected above 0, got 0" in capsys.readouterr().err


def test_drawn_models_are_distinct_and_within_the_bounds(folder):
    features = Dataset.open(folder / "log", binned_dense=True).features
    space = SearchSpace.nasrec_small(num_blocks=2)
    few, many = (draw(space, n, features, least_macs=50_000, most_macs=400_000) for n in (4, 8))
    assert many[:4] == few
    assert len({genotype.canonical() for genotype in many}) == 8
    assert all(50_000 <= lower(genotype, features).macs <= 400_000 for genotype in many)


def curve(model, seed, validation, end, *, is_over=True, macs=100):
    steps = [round(8 * share) for share in (1 / 8, 1 / 4, 1 / 2, 3 / 4, 1)]
    steps = [*steps, 10, 12, 14, 16][: len(validation)]
    seconds = [step / 10 for step in steps]
    return {
        "model": model, "seed": seed, "macs": macs, "epoch_steps": 8, "steps": steps,
        "validation": validation, "wall_seconds": seconds, "cpu_seconds": seconds,
        "expected_log_loss": end if is_over else None, "is_over": is_over, "device": "cpu",
    }  # fmt: skip


def test_the_place_after_a_part_of_an_epoch_is_found_by_steps():
    ended = curve(0, 0, [0.9, 0.7, 0.8, 0.6, 0.65], 0.5)
    assert [place_of(ended, Fraction(p)) for p in ("1/8", "1/2", "1", "2")] == [0, 2, 4, 4]
    assert score_at(ended, Fraction("1/2")) == 0.7  # the lowest so far is what would be kept
    assert score_at(ended, None) == 0.6
    cut = curve(0, 0, [0.9, 0.7], 0.5, is_over=False)
    assert place_of(cut, Fraction("1/2")) is None
    assert score_at(cut, Fraction("1/4")) == 0.7
    assert score_at(cut, None) is None


def test_the_table_pairs_a_curve_with_the_ends_of_other_seeds():
    rng = np.random.default_rng(0)
    ends = rng.normal(0.5, 0.01, (2, 12))
    early = ends + rng.normal(0, 0.01, ends.shape)
    rows = [
        curve(m, s, [early[s, m], *[ends[s, m] - 0.1] * 4], ends[s, m], macs=2**m)
        for s in range(2)
        for m in range(12)
    ]
    rows[-1] = rows[-1] | {"is_over": False, "expected_log_loss": None}  # seed 1, model 11
    lines = report(Curves(rows), "a log").splitlines()
    first = next(line for line in lines if line.startswith("| 1/8"))
    of_0 = kendalltau(ends[1, :11], early[0, :11]).statistic  # whose other seed has an end
    of_1 = kendalltau(ends[0], early[1]).statistic  # its curve has come so far
    assert f"| {(11 * of_0 + 12 * of_1) / 23:.2f} (" in first
    assert "| 12 |" in first
    assert first.endswith("| 0.1 | 0.1 |")
    between = kendalltau(ends[0, :11], ends[1, :11]).statistic
    assert any(f"ends of two seeds | {between:.2f} (" in line for line in lines)
    perfect = tau_of_a_perfect_score(between, [2] * 12)
    assert any(f"mean end of two seeds | {perfect:.2f} |" in line for line in lines)


def test_a_single_training_has_no_ceiling():
    text = report(Curves([curve(0, 0, [0.5] * 5, 0.4)]), "a log")
    assert text.startswith("1 trainings of 1 models ended; log: a log.\n\n| epochs |")
    assert "| tau between ends of two seeds | - |" in text


def test_the_fit_finds_the_macs_of_the_lowest_end():
    size = np.arange(6, 18)
    rows = [
        curve(i, 0, [0.5] * 5, 0.5 + 0.001 * (log2 - 10.0) ** 2, macs=int(2**log2 - 1))
        for i, log2 in enumerate(size)
    ]
    text = report(Curves(rows), "a log")
    assert "| MACs of the lowest fitted end | 1,024 |" in text
    assert "| curvature of the end on log2 MACs | +0.00100 ± 0.00000 |" in text


def test_a_page_gets_the_tables_between_its_marks(folder, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Mine\n\n<!-- curves -->\nold\n<!-- end -->\n\nlast words\n")
    assert main(arguments(folder, write=page)) == 0
    text = page.read_text()
    assert (folder / "curves.md").read_text() in text
    assert text.startswith("# Mine\n")
    assert text.endswith("last words\n")
    assert "old" not in text
