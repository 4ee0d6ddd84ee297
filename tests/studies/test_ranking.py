"""The study end to end on a tiny log, killed on the way."""

import json
import shutil
import signal
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import pytest
import torch
from mlflow.tracking import MlflowClient
from patience import PATIENCE_S
from scipy.stats import kendalltau, linregress

from nasrec_opt.lowering import lower
from nasrec_opt.retrain import retrain
from nasrec_opt.space import Genotype, SearchSpace
from nasrec_opt.supernet import Subnet
from studies._setup import Setup
from studies._subnets import Subnets, draw, subnets_of
from studies._tasks import load_oracle, truth_of
from studies._techniques import TECHNIQUES, applies
from studies.ablation import METHODS, search
from studies.ablation import main as ablation
from studies.ranking import main

SPACE = """
name = "tiny"
num_blocks = 2
dense_ops = ["fc", "dot"]
sparse_ops = ["efc"]
dense_widths = [16, 32]
sparse_widths = [16]
"""


def arguments(folder, **options):
    space = folder.parent / "space.toml"
    space.write_text(SPACE)
    options = {
        "out": folder, "rows": 600, "subnets": 5, "repeated": 4, "workers": 1, "space": space,
        "techniques": "single-any,unbalanced", "scorings": "supernet,newton,folds",
        "supernets": 2, "batch_size": 64,
    } | options  # fmt: skip
    return [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranking") / "run"
    assert main(arguments(folder)) == 0
    return folder


def test_table_is_what_the_results_say(finished):
    table = pl.read_parquet(finished / "ranking.parquet")
    truth = pl.read_parquet(finished / "truth.parquet")
    scores = pl.read_parquet(finished / "scores.parquet")
    lines = 2 * (2 + 3)  # two for unbalanced, three for the default, and again their ensembles
    assert len(table) == 2 + 1 + lines + 1  # ceilings and the rule; two scorings together
    for technique, scoring in (("single-any", "newton"), ("unbalanced", "supernet")):
        true, scored = [], []
        for subnet in range(5):
            rows = truth.filter(subnet=subnet)
            own = rows.filter(balance=False) if technique == "unbalanced" else rows.clear()
            own = own if len(own) else rows.filter(balance=True)
            true.append(own["expected_log_loss"].mean())
            row = scores.filter(technique=technique, scoring=scoring, subnet=subnet)
            scored.append(row.sort("repeat")["log_loss"].to_list())
        line = table.filter(technique=technique, scoring=scoring).sort("ensemble")
        taus = [kendalltau(true, of_one).statistic for of_one in zip(*scored, strict=True)]
        together = kendalltau(true, np.mean(scored, axis=1)).statistic
        assert line["tau"].to_list() == pytest.approx([np.mean(taus), together])
    assert len(scores.filter(subnet=0, scoring="newton")["log_loss"].unique()) == 4
    text = (finished / "ranking.md").read_text()
    assert "noise ceiling" in text
    assert "a rule | more MACs is better" in text
    assert (finished / "ranking.png").stat().st_size > 10_000


def test_truth_is_near_the_log_loss_of_the_test_rows(finished):
    truth = pl.read_parquet(finished / "truth.parquet")
    np.testing.assert_allclose(truth["expected_log_loss"], truth["test_log_loss"], atol=0.15)


def test_expected_log_loss_is_that_of_the_true_probabilities(finished, tmp_path):
    setup = Setup.load(finished)
    dataset, genotype = setup.open_dataset(), setup.subnets()[1]
    truth = truth_of(genotype, setup, dataset, seed=setup.seed)
    known = pl.read_parquet(finished / "truth.parquet").filter(subnet=1, repeat=0, balance=True)
    assert truth["expected_log_loss"] == known["expected_log_loss"].item()
    retrain(genotype, dataset, tmp_path, setup.truth_config(setup.seed, balance=True))
    rows = dataset.split("test").rows(slice(None))
    with torch.inference_mode():
        logits = Subnet.load(tmp_path / "model")(
            torch.from_numpy(rows.dense), torch.from_numpy(rows.sparse)
        )
    said = torch.sigmoid(logits.double()).numpy()
    chance = np.load(dataset.path / "test" / "probabilities.npy")
    naive = -(chance * np.log(said) + (1 - chance) * np.log(1 - said)).mean()
    assert truth["expected_log_loss"] == pytest.approx(naive, abs=1e-6)


def test_costly_scorings_are_for_the_default_technique_alone():
    assert applies("single-any", "fine-tune")
    assert not applies("unbalanced", "fine-tune")
    for technique in TECHNIQUES:
        assert applies(technique, "supernet") or TECHNIQUES[technique].scorings is not None


def test_runs_are_in_mlflow_once(finished):
    client = MlflowClient(f"sqlite:///{finished / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("ranking").experiment_id
    assert main(arguments(finished)) == 0  # nothing left to do; the runs are replaced
    runs = client.search_runs([experiment])
    names = [run.info.run_name for run in runs]
    assert len(names) == len(set(names)) == 1 + 14
    newton = next(run for run in runs if run.info.run_name == "single-any/newton")
    table = pl.read_parquet(finished / "ranking.parquet")
    line = table.filter(technique="single-any", scoring="newton", ensemble="")
    assert newton.data.metrics["tau"] == pytest.approx(line["tau"].item())


def test_study_killed_on_the_way_ends_like_one_left_alone(finished, start_code, tmp_path):
    folder = tmp_path / "run"
    given = arguments(folder, supernets=1)
    process = start_code("from studies.ranking import main; main()", *given)
    deadline = time.monotonic() + PATIENCE_S
    while not (folder / "truth.parquet").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.stop(signal.SIGKILL)
    before = pl.read_parquet(folder / "truth.parquet")
    assert main(given) == 0
    after = pl.read_parquet(folder / "truth.parquet")
    assert after.head(len(before)).equals(before)  # what was done is not done again
    for name, keys in (("truth", ["subnet", "repeat", "balance"]),
                       ("scores", ["technique", "repeat", "scoring", "subnet"])):  # fmt: skip
        mine, its = (
            pl.read_parquet(run / f"{name}.parquet").drop("seconds").sort(keys)
            for run in (folder, finished)
        )
        assert mine.equals(its.filter(repeat=0) if name == "scores" else its)


def test_other_settings_are_refused(finished, capsys):
    assert main(arguments(finished, subnets=4)) == 2
    error = capsys.readouterr().err
    assert "num_subnets was 5, is 4 now" in error
    assert main(arguments(finished, rows=700)) == 2
    assert "source was synthetic, 600 rows, is synthetic, 700 rows now" in capsys.readouterr().err
    assert main(arguments(finished, techniques="single-any,none")) == 2
    assert "techniques: expected some of single-any" in capsys.readouterr().err


def test_a_folder_may_gain_subnets_and_keeps_those_it_has(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    setup = json.loads((folder / "setup.json").read_text())
    setup["dataset"] = str((folder / "dataset").resolve())
    (folder / "setup.json").write_text(json.dumps(setup))
    before = pl.read_parquet(finished / "truth.parquet")
    assert main(arguments(folder, subnets=6, repeated=5)) == 0
    after = pl.read_parquet(folder / "truth.parquet")
    assert after.head(len(before)).equals(before)
    new = after.tail(len(after) - len(before)).filter(balance=True).sort("subnet")
    assert new.select("subnet", "repeat").rows() == [(4, 1), (5, 0)]
    assert Setup.load(folder).subnets()[:5] == Setup.load(finished).subnets()
    assert len(pl.read_parquet(folder / "scores.parquet").filter(subnet=5)) == 2 * 5


def test_bias_is_what_a_regression_of_score_minus_truth_finds(finished):
    setup = Setup.load(finished)
    macs = [lower(g, setup.open_dataset().features).macs for g in setup.subnets()]
    truth = pl.read_parquet(finished / "truth.parquet").filter(balance=True)
    scores = pl.read_parquet(finished / "scores.parquet")
    scores = scores.filter(technique="single-any", scoring="newton")
    true, score = (
        frame.group_by("subnet").agg(pl.col(column).mean()).sort("subnet")[column].to_numpy()
        for frame, column in ((truth, "expected_log_loss"), (scores, "log_loss"))
    )
    naive = linregress(np.log2(1 + np.array(macs)), score - true)
    table = pl.read_parquet(finished / "bias.parquet")
    line = table.filter(technique="single-any", scoring="newton")
    assert line["difference_per_doubling"].item() == pytest.approx(naive.slope)
    assert line["difference_per_doubling_se"].item() == pytest.approx(naive.stderr)
    text = (finished / "bias.md").read_text()
    assert "What bounds the correlation" in text
    assert f"{naive.slope * 1e3:+.1f} ± {naive.stderr * 1e3:.1f}" in text
    assert (finished / "bias.png").stat().st_size > 10_000


@pytest.fixture(scope="module")
def other_log(finished, tmp_path_factory):
    """Subnets alone, trained on another log: no supernet, no score, no second seed."""
    folder = tmp_path_factory.mktemp("other") / "run"
    options = {"rows": 500, "seed": 1, "repeated": 0, "techniques": "", "scorings": ""}
    assert main(arguments(folder, **options)) == 0
    return folder


def test_subnets_alone_are_trained_and_no_ranking_is_made_up(other_log):
    assert len(pl.read_parquet(other_log / "truth.parquet")) == 5
    assert not (other_log / "ranking.md").exists()


def test_ablation_on_the_same_folder(finished, other_log):
    options = [*arguments(finished)[:1], "--workers=1", "--trials=3", "--top=1"]
    assert ablation([*options, "--logs", str(other_log)]) == 0
    table = pl.read_parquet(finished / "ablation.parquet")
    assert table["method"].to_list() == list(METHODS)
    found = pl.read_parquet(finished / "found.parquet")
    assert set(table["log_loss"]) <= set(found["test_log_loss"])
    features = Setup.load(finished).open_dataset().features
    counts = {lower(Genotype.from_json(g), features).mflops_paper for g in found["genotype"]}
    assert set(table["mflops_paper"]) <= counts
    truth = pl.read_parquet(finished / "truth.parquet").filter(repeat=0, balance=True)
    for row in table.iter_rows(named=True):
        better = (truth["test_log_loss"] < row["log_loss"]).mean()
        assert row["share_better"] == pytest.approx(better)
    text = (finished / "ablation.md").read_text()
    assert "| method | test log loss | test AUC | MFLOPs (paper) |" in text
    for folder, source in ((finished, "synthetic, 600 rows"), (other_log, "synthetic, 500 rows")):
        subnets = subnets_of(folder)
        assert subnets.source == source
        rows = pl.read_parquet(folder / "truth.parquet").filter(repeat=0, balance=True)
        assert list(subnets.log_losses) == sorted(rows["test_log_loss"])
        median = rows["test_log_loss"].median()
        [line] = [line for line in text.splitlines() if line.startswith(f"| {source} |")]
        assert f"| {median:.4f} |" in line
    assert (finished / "subnets.png").stat().st_size > 10_000


def test_a_search_has_the_best_of_its_trials_each_once(finished):
    method = "Single operator, any connection, no fine-tuning"
    task = {"folder": str(finished), "seed": 0, "method": method, "top": 3}
    few, many = (
        search(task | {"trials": trials}) for trials in (4, 40)
    )  # 40: more than a population
    for found in (few, many):
        assert len(set(found["genotypes"])) == len(found["log_losses"]) == 3
        assert found["log_losses"] == sorted(found["log_losses"])
    assert many["log_losses"][0] < few["log_losses"][0]
    oracle = load_oracle(str(finished), *METHODS[method])
    for genotype, log_loss in zip(many["genotypes"], many["log_losses"], strict=True):
        assert oracle.evaluate(Genotype.from_json(genotype)).log_loss == log_loss


def test_figure_8_shows_the_log_losses_of_trained_subnets():
    """The curve is the empirical distribution of what is given, a panel for each log."""
    logs = [
        Subnets(source="one", log_losses=(0.4, 0.5, 0.7), found={"a search": 0.45}),
        Subnets(source="two", log_losses=(0.1, 0.2)),
    ]
    figure = draw(logs)
    axes = figure.axes
    assert len(axes) == 2
    curve, found = axes[0].get_lines()
    assert list(curve.get_xdata()) == [0.4, 0.4, 0.5, 0.7]
    np.testing.assert_allclose(curve.get_ydata(), [0, 1 / 3, 2 / 3, 1])
    assert list(found.get_xdata()) == [0.45, 0.45]
    plt.close(figure)


def test_a_log_without_subnets_is_refused_before_the_work(finished, tmp_path, capsys):
    assert ablation([*arguments(finished)[:1], "--logs", str(tmp_path)]) == 2
    assert "expected the setup of a ranking study" in capsys.readouterr().err
    shutil.copy(finished / "setup.json", tmp_path)
    assert ablation([*arguments(finished)[:1], "--logs", str(tmp_path)]) == 2
    assert "expected subnets that were trained from scratch, found none" in capsys.readouterr().err


def test_the_space_of_the_papers_sample_is_there():
    space = SearchSpace.from_toml(Path(__file__).parents[2] / "studies/spaces/paper_subnets.toml")
    assert (space.dense_widths, space.sparse_widths) == ((32, 64, 128, 256, 512), (16, 32, 64))
    assert (space.num_blocks, space.dense_ops) == (7, SearchSpace.nasrec_full().dense_ops)
