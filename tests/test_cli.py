"""The command line as a process: a run end to end, and one sentence for all that is wrong."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from study_files import tiny_study_with

from nasrec_opt.report import winner
from nasrec_opt.space import published_model

GENOTYPE = {
    "space": "nasrec_full",
    "blocks": [
        {
            "dense_ops": ["fc", "gate"],
            "sparse_ops": ["efc"],
            "dense_width": 128,
            "sparse_width": 32,
            "dense_inputs": [0],
            "sparse_inputs": [0],
            "left_input": 0,
            "right_input": 0,
            "dense_to_sparse": False,
            "sparse_to_dense": True,
        }
    ],
}
ROW = "0\t" + "\t".join(["1"] * 13) + "\t" + "\t".join(["0a1b2c3d"] * 26)


TRIALS = 12


@pytest.fixture(scope="module")
def tiny_study(tmp_path_factory) -> Path:
    """The study of other tests, with two epochs of its best model."""
    path = tmp_path_factory.mktemp("study") / "tiny.toml"
    path.write_text(tiny_study_with(search={"n_trials": TRIALS}, retrain={"model": {"epochs": 2}}))
    return path


@pytest.fixture(scope="module")
def finished_run(cli, tiny_study, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "tiny"
    result = cli("run", tiny_study, "--out", out)
    assert result.returncode == 0, result.stderr
    return out, result


def test_a_command_of_these_tests_is_one_that_a_user_starts(cli, tmp_path):
    """The fixture forks a process that has packages loaded already: nobody can tell."""
    for arguments in (["--help"], ["cost", tmp_path / "none.json"], ["research"]):
        forked, cold = (cli(*arguments, is_cold=is_cold) for is_cold in (False, True))
        assert forked.returncode == cold.returncode
        assert (forked.stdout, forked.stderr) == (cold.stdout, cold.stderr)


def test_help_answers_without_torch_and_mlflow():
    code = (
        "import sys, nasrec_opt, nasrec_opt.cli\n"
        "from typer.testing import CliRunner\n"
        "assert CliRunner().invoke(nasrec_opt.cli.app, ['--help']).exit_code == 0\n"
        "print([m for m in ('torch', 'mlflow') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_a_run_leaves_all_its_parts(finished_run):
    out, result = finished_run
    for name in ("dataset", "supernet", "study.db", "mlflow.db", "retrained", "report.html"):
        assert (out / name).exists(), name
    for text in (str(out / "report.html"), "optuna-dashboard sqlite:///", "mlflow ui"):
        assert text in result.stdout


def test_results_name_models_and_baselines(finished_run):
    results = json.loads((finished_run[0] / "retrained" / "results.json").read_text())
    model = results["models"][0]
    figures = {"test_log_loss", "test_auc", "mflops", "mflops_paper", "parameters"}
    figures |= {"latency_us", "energy_uj", "area_mm2"}
    assert figures <= model.keys()
    assert all(model[name] > 0 for name in figures)
    constant, regression = (
        results["baselines"][name] for name in ("constant", "logistic_regression")
    )
    assert 0 < results["bayes"] < constant["test_log_loss"]
    assert regression["test_log_loss"] < constant["test_log_loss"]
    assert regression["test_auc"] > constant["test_auc"] == 0.5
    for model in results["models"]:
        for name, baseline in results["baselines"].items():
            against = model["against"][name]
            by = model["test_log_loss"] - baseline["test_log_loss"]
            assert against["difference"] == pytest.approx(by, abs=1e-6)
            assert against["standard_error"] > 0
            against = model["against_on_validation"][name]
            by = model["validation_log_loss"] - baseline["validation_log_loss"]
            assert against["difference"] == pytest.approx(by, abs=1e-6)
            assert against["rows"] == 100
    assert results["winner"] == winner(results)


def test_study_has_every_trial_with_its_genotype(finished_run):
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{finished_run[0]}/study.db")
    assert study.metric_names == ["log_loss", "latency_us", "energy_uj"]
    assert [trial.number for trial in study.trials] == list(range(TRIALS))
    for trial in study.trials:
        names = {"genotype", "auc", "mflops", "mflops_paper", "parameters", "area_mm2", "breakdown"}
        assert names <= trial.user_attrs.keys()


def test_every_trial_in_mlflow_rebuilds_its_model(finished_run):
    from mlflow import MlflowClient

    from nasrec_opt.data import Dataset
    from nasrec_opt.tracking import rebuild, recipe_of

    out, _ = finished_run
    client = MlflowClient(f"sqlite:///{out}/mlflow.db")
    [experiment] = [e for e in client.search_experiments() if e.name == "tiny"]
    runs = client.search_runs([experiment.experiment_id], "tags.`nasrec.kind` = 'trial'")
    assert len(runs) == TRIALS
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{out}/study.db")
    dataset = Dataset.open(out / "dataset")
    for run in runs:
        recipe = recipe_of(run)
        trial = study.trials[int(run.data.tags["nasrec.trial"])]
        assert recipe.genotype.to_json() == trial.user_attrs["genotype"]
        assert recipe.data_fingerprint == dataset.fingerprint
        assert recipe.seeds["study"] == 3
        for name in ("mflops", "mflops_paper"):
            assert run.data.metrics[name] == pytest.approx(trial.user_attrs[name])
        assert rebuild(run).features == dataset.features


def test_second_run_skips_finished_stages(cli, tiny_study, finished_run):
    out, _ = finished_run
    before = (out / "supernet").stat().st_mtime_ns
    result = cli("run", tiny_study, "--out", out)
    assert result.returncode == 0
    for stage in ("prepare", "baselines", "train", "search", "retrain"):
        assert f"{stage:<9} already done\n" in result.stderr
    assert (out / "supernet").stat().st_mtime_ns == before


@pytest.mark.parametrize("sampler", ["nsga2", "tpe", "random"])
def test_other_samplers_need_no_other_change(cli, tiny_study, finished_run, tmp_path, sampler):
    study = tmp_path / "tiny.toml"
    study.write_text(tiny_study.read_text().replace('"evolution"', f'"{sampler}"'))
    result = cli("search", study, "--out", finished_run[0])
    assert result.returncode == 0, result.stderr
    storage = f"sqlite:///{finished_run[0]}/study.db"
    found = optuna.load_study(study_name=f"tiny-{sampler}", storage=storage)
    assert len(found.trials) == TRIALS


def test_other_settings_in_the_same_folder_are_refused(cli, tiny_study, finished_run, tmp_path):
    study = tmp_path / "tiny.toml"
    study.write_text(tiny_study.read_text().replace("num_blocks = 2", "num_blocks = 3"))
    result = cli("search", study, "--out", finished_run[0])
    assert_refused(
        result, "supernet: made with other settings: space.num_blocks was 2 then, is 3 now"
    )


def test_storage_of_another_space_is_refused(cli, tiny_study, finished_run, tmp_path):
    out = without_trials(finished_run[0], tmp_path / "run")
    from nasrec_opt.pipeline import RunFolder
    from nasrec_opt.pipeline._storage import open_study
    from nasrec_opt.space import SearchSpace

    open_study(
        RunFolder(out),
        "tiny",
        space=SearchSpace.nasrec_full(num_blocks=2),
        metric_names=["log_loss", "latency_us", "energy_uj"],
        sampler=optuna.samplers.RandomSampler(),
    )
    result = cli("search", tiny_study, "--out", out)
    assert_refused(result, "belongs to another search space")


def test_preparing_warns_once_of_what_inspect_warns_of(cli, tmp_path):
    log, few = write_log(tmp_path / "a.txt", 200), "warning: Rows with a click are few"
    first, second = (cli("prepare", log, "--out", tmp_path / "d") for _ in range(2))
    assert few in first.stderr, first.stderr
    assert "nothing to do" in second.stdout
    assert few not in second.stderr
    assert few in cli("inspect", tmp_path / "d").stdout


def test_data_of_another_run_starts_anew_and_loses_nothing(cli, tiny_study, tmp_path):
    out = tmp_path / "run"
    assert cli("prepare", write_log(tmp_path / "a.txt", 200), "--out", out / "x").returncode == 0
    for name in ("a.txt", "b.txt"):
        log = write_log(tmp_path / name, 200)
        result = cli("train", tiny_study, "--data", log, "--out", tmp_path / "r")
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "r-1" / "supernet").exists()
    assert "it is now" in result.stderr


def test_show_draws_svg_and_png(cli, tmp_path):
    genotype = tmp_path / "g.json"
    genotype.write_text(json.dumps(GENOTYPE))
    for name, magic in (("x.svg", b"<?xml"), ("x.png", b"\x89PNG")):
        assert cli("show", genotype, "--out", tmp_path / name).returncode == 0
        assert (tmp_path / name).read_bytes().startswith(magic)


def test_cost_prints_a_table_and_json(cli, tmp_path):
    genotype = tmp_path / "g.json"
    genotype.write_text(json.dumps(GENOTYPE))
    figures = json.loads(cli("cost", genotype, "--json").stdout)
    assert sum(figures["breakdown"]["energy_uj"].values()) == pytest.approx(figures["energy_uj"])
    wider = json.loads(cli("cost", genotype, "--json", "--num-sparse", 52).stdout)
    assert wider["energy_uj"] > figures["energy_uj"]
    components = figures["components"]
    for name in ("latency_us", "energy_uj", "area_mm2"):
        assert sum(components[name].values()) == pytest.approx(figures[name])
    assert figures["mflops_paper"] == figures["mflops"]  # its Gate has inputs of one width
    printed = cli("cost", genotype, "--plot", tmp_path / "x.svg").stdout
    assert "MFLOPs (paper): the same by the rule of the paper's Table 5" in " ".join(
        printed.split()
    )
    assert "total" in printed
    assert "input_register" in printed
    assert ">efc<" in (tmp_path / "x.svg").read_text()
    assert_refused(cli("cost", genotype, "--plot", tmp_path / "x.pdf"), "ends in .svg or .png")


def test_cost_of_a_published_model_has_both_counts(cli, tmp_path):
    model = published_model("avazu-full")
    genotype = tmp_path / "avazu.json"
    genotype.write_text(model.genotype.to_json())
    shape = ("--num-dense", model.num_dense, "--num-sparse", model.num_sparse)
    figures = json.loads(cli("cost", genotype, "--json", *shape).stdout)
    assert figures["mflops_paper"] == pytest.approx(1.867, abs=5e-4)  # 1.87 in Table 5
    assert figures["mflops"] == pytest.approx(1.278, abs=5e-4)
    assert "1.278 MFLOPs, 1.867 MFLOPs (paper)" in cli("cost", genotype, *shape).stdout


def test_cost_takes_an_accelerator_of_any_kind(cli, tmp_path):
    genotype, mine = tmp_path / "g.json", tmp_path / "mine.toml"
    genotype.write_text(json.dumps(GENOTYPE))
    mine.write_text('base = "recnmp.toml"\n[near_memory]\ncache_hit = 1.0\n')

    def energy(*options):
        return json.loads(cli("cost", genotype, "--json", *options).stdout)["energy_uj"]

    assert energy("--accelerator", "handcrafted.toml") == energy()
    near, host = energy("--accelerator", "recnmp.toml"), energy("--accelerator", "cpu.toml")
    assert energy("--accelerator", mine) < near < host


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dense_ops": ["conv"]}, "dense_ops: expected operators of"),
        ({"dense_width": 100}, "dense_width: expected one of"),
        ({"sparse_inputs": [1]}, "block 1: expected inputs 0 to 0"),
        ({"dense_bits": 3}, "dense_bits: expected 4 to 8"),
        ({"dense_wdth": 64}, "did you mean dense_width?"),
    ],
)
def test_bad_genotype_is_one_sentence(cli, tmp_path, change, sentence):
    genotype = tmp_path / "g.json"
    genotype.write_text(json.dumps({**GENOTYPE, "blocks": [{**GENOTYPE["blocks"][0], **change}]}))
    assert_refused(cli("cost", genotype), f"{genotype}: ", sentence)
    assert_refused(cli("show", genotype, "--out", tmp_path / "x.svg"), sentence)
    assert not (tmp_path / "x.svg").exists()


def test_bad_technology_file_is_one_sentence(cli, tmp_path):
    genotype, technology = tmp_path / "g.json", tmp_path / "tech.toml"
    genotype.write_text(json.dumps(GENOTYPE))
    import hw

    shipped = (Path(hw.__file__).parent / "technology" / "reram_32nm.toml").read_text()
    line = next(x for x in shipped.splitlines() if x.startswith("rows") or "cell_bits =" in x)
    technology.write_text(shipped.replace(line, line.split("=")[0] + '= "many"', 1))
    assert_refused(cli("cost", genotype, "--accelerator", technology), str(technology), "many")
    technology.write_text("= nonsense")
    assert_refused(cli("cost", genotype, "--accelerator", technology), str(technology))


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("missing.txt", None, "found nothing there"),
        ("empty.txt", b"", "empty"),
        ("columns.txt", f"{ROW}\n{ROW}\textra\n".encode(), ":2: "),
        ("number.txt", f"{ROW}\n{ROW.replace('1', 'x1', 1)}\n".encode(), ":2: field I1"),
        ("label.txt", f"{ROW}\n2{ROW[1:]}\n".encode(), ":2: "),
        ("single.txt", f"{ROW}\n{ROW}\n".encode() * 50, "class"),
        ("comma.txt", f"{ROW}\n".replace("\t", ",").encode(), "tab"),
        ("utf8.txt", f"{ROW}\n".encode() + b"\xff" + ROW.encode(), "UTF-8"),
        ("nul.txt", f"{ROW}\n".encode() + b"\x00" + ROW.encode(), ":2: "),
        ("cut.txt.gz", gzip.compress(f"{ROW}\n".encode() * 5000, mtime=0)[:-20], "gzip"),
    ],
)
def test_bad_log_is_one_sentence_and_leaves_nothing(cli, tmp_path, name, content, sentence):
    log = tmp_path / name
    if content is not None:
        log.write_bytes(content)
    before = sorted(tmp_path.iterdir())
    result = cli("prepare", log, "--out", tmp_path / "dataset")
    assert_refused(result, name, sentence)
    assert len(result.stderr.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[serach]\nn_trials = 3", "unknown key 'serach'; did you mean 'search'?"),
        ("[search]\nn_trial = 3", "did you mean 'n_trials'?"),
        ("[search]\nn_trials = 'many'", "n_trials: expected an integer, got 'many'"),
        ("[search]\nsampler = 'annealing'", "sampler: expected one of 'evolution'"),
        ("[supernet]\nseed = 3", "[supernet]: expected the seed at the top of the file"),
        ("[retrain.model]\nseed = 3", "[retrain.model]: expected the seed at the top"),
        ("seed = -1", "seed: expected 0 or more, got -1"),
        ("[space]\nnum_blocks = 0", "[space]: num_blocks: expected a positive integer, got 0"),
        ("[supernet]\nlearning_rate = nan", "learning_rate: expected a finite number above 0"),
        ("[search]\nobjectives = ['foo']", "objectives: expected metrics of log_loss"),
        ("[search.constraints]\narea_mm2 = nan", "area_mm2: expected a finite number, got nan"),
        (
            "[search.evolution]\npopulation_size = 2\ntournament_size = 3",
            "expected at most the population of 2",
        ),
        ("[hardware]\ntechnology = 'nope.toml'", "nope.toml: "),
        ("[data]\nformat = 'nope.toml'", "nope.toml: expected a TOML file"),
        ("[search]\nobjectives = 3", "objectives: expected a list, got 3"),
        ("[search\n", "expected TOML"),
    ],
)
def test_bad_study_is_one_sentence(cli, tmp_path, text, sentence):
    study = tmp_path / "study.toml"
    study.write_text(text)
    result = cli("run", study, "--out", tmp_path / "run")
    assert_refused(result, sentence, str(tmp_path))
    assert not (tmp_path / "run").exists()


def test_unreadable_checkpoint_is_one_sentence(cli, tiny_study, finished_run, tmp_path):
    out = without_trials(finished_run[0], tmp_path / "run")
    weights = next((out / "supernet").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:100])
    assert_refused(cli("search", tiny_study, "--out", out), str(weights.parent))


def test_a_place_that_cannot_be_written_is_one_sentence(cli, tmp_path):
    genotype, file = tmp_path / "g.json", tmp_path / "file"
    genotype.write_text(json.dumps(GENOTYPE))
    file.write_text("mine")
    assert_refused(cli("show", genotype, "--out", file / "x.svg"), str(file))
    name = "x" * 300
    assert_refused(cli("prepare", write_log(tmp_path / "a", 50), "--out", tmp_path / name), name)
    assert file.read_text() == "mine"


@pytest.mark.parametrize("text", ["{", "[]", '{"models": [], "baselines": {}}'])
def test_results_that_cannot_be_read_are_one_sentence(
    cli, tiny_study, finished_run, tmp_path, text
):
    out = tmp_path / "run"
    shutil.copytree(finished_run[0], out)
    (out / "retrained" / "results.json").write_text(text)
    assert_refused(cli("report", tiny_study, "--out", out), "results.json", "remove it")


def test_what_was_removed_from_a_finished_run_is_made_again(
    cli, tiny_study, finished_run, tmp_path
):
    from mlflow import MlflowClient

    out = tmp_path / "run"
    shutil.copytree(finished_run[0], out)
    before = described(finished_run[0])
    for file in (*out.glob("mlflow.db*"), *out.glob("study.db*")):  # SQLite's own files, too
        file.unlink()
    (out / "study.db").write_bytes(b"")
    (out / "retrained" / "results.json").unlink()
    result = cli("run", tiny_study, "--out", out)
    assert result.returncode == 0, result.stderr
    assert described(out) == before
    for file in out.glob("mlflow.db*"):
        file.unlink()
    result = cli("run", tiny_study, "--out", out)
    assert result.returncode == 0, result.stderr
    client = MlflowClient(f"sqlite:///{out}/mlflow.db")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    kinds = [run.data.tags.get("nasrec.kind") for run in client.search_runs(ids)]
    expected = {"study": 1, "trial": TRIALS, "model": 1, "baseline": 2}
    assert {kind: kinds.count(kind) for kind in kinds} == expected


def without_trials(finished: Path, out: Path) -> Path:
    """A copy of a run as it is before the search."""
    shutil.copytree(finished, out)
    for file in out.glob("study.db*"):
        file.unlink()
    return out


def described(out: Path) -> list[tuple[object, ...]]:
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{out}/study.db")
    return [(t.number, t.state, t.params, t.values) for t in study.trials]


def write_log(path: Path, rows: int) -> Path:
    """A log in Criteo's layout with both classes; its values depend on its name."""
    salt = sum(path.name.encode())
    lines = []
    for row in range(rows):
        integers = "\t".join(str((row * 7 + salt + i) % 50) for i in range(13))
        values = "\t".join(f"{(row * (i + 3) + salt) % 20:08x}" for i in range(26))
        lines.append(f"{(row + salt) % 3 // 2}\t{integers}\t{values}\n")
    path.write_text("".join(lines))
    return path


def assert_refused(result: subprocess.CompletedProcess[str], *sentences: str) -> None:
    assert result.returncode == 2, result.stderr + result.stdout
    lines = [line for line in result.stderr.splitlines() if line.startswith("nasrec-opt: ")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    for sentence in sentences:
        assert sentence in lines[0]


def test_other_figures_in_the_technology_file_are_refused(cli, tiny_study, finished_run, tmp_path):
    study, technology = tmp_path / "tiny.toml", tmp_path / "mine.toml"
    for cycle in (100.0, 1000.0):
        technology.write_text(f"[crossbar]\nread_ns = {{ value = {cycle}, unit = 'ns' }}\n")
        study.write_text(tiny_study.read_text() + "\n[hardware]\ntechnology = 'mine.toml'\n")
        text = study.read_text().replace('name = "tiny"', 'name = "mine"')
        study.write_text(text.replace(f"n_trials = {TRIALS}", "n_trials = 9"))
        result = cli("search", study, "--out", finished_run[0])
        assert result.returncode == (0 if cycle == 100.0 else 2), result.stderr
    assert_refused(result, "evaluated with other settings: hardware.technology was")


def test_a_log_that_changed_is_refused_and_one_that_is_gone_is_not_needed(
    cli, tiny_study, tmp_path
):
    log, out = write_log(tmp_path / "a.txt", 300), tmp_path / "run"
    assert cli("train", tiny_study, "--data", log, "--out", out).returncode == 0
    log.write_text(log.read_text()[:-400])
    assert_refused(
        cli("train", tiny_study, "--data", log, "--out", out), "dataset: made with other settings"
    )
    log.unlink()
    result = cli("train", tiny_study, "--out", out)
    assert result.returncode == 0, result.stderr
    for stage in ("prepare", "baselines", "train"):
        assert f"{stage:<9} already done\n" in result.stderr
