"""`nasrec-opt prune`: a retrained model of a run made smaller, from the command line."""

from __future__ import annotations

import json
import math
import re
import shlex
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import REPOSITORY
from study_files import tiny_study_with

from nasrec_opt import Genotype, Predictor, Subnet
from nasrec_opt.data import Dataset
from nasrec_opt.pipeline import RunFolder, StudyConfig, run_study
from nasrec_opt.pipeline._cpu_latency import measured
from nasrec_opt.pipeline._report import refresh_report
from nasrec_opt.report._html import number
from nasrec_opt.retrain import log_loss, predict

STUDY = tiny_study_with(
    data={"synthetic_rows": 3000, "min_count": 3},
    search={"n_trials": 8},
    retrain={"top": 1, "model": {"learning_rates": [0.003], "epochs": 1, "batch_size": 64}},
)
PAGE = REPOSITORY / "docs" / "howto" / "prune.md"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run at `runs/quickstart`."""
    folder = tmp_path_factory.mktemp("pruning")
    (folder / "tiny.toml").write_text(STUDY)
    config = StudyConfig.from_toml(folder / "tiny.toml")
    run_study(config, folder / "runs" / "quickstart", until="retrain")
    return folder / "runs" / "quickstart"


@pytest.fixture(scope="module")
def worked(run, cli) -> Path:
    """A folder where the commands of the page have run."""
    folder = run.parent.parent
    text = PAGE.read_text().split("```bash\n")[1].split("```")[0]
    for line in text.splitlines():
        result = cli(*shlex.split(line)[1:], cwd=folder)
        assert result.returncode == 0, f"{line}: {result.stderr}"
    return folder


def test_the_code_of_the_page_runs_after_its_commands(worked, monkeypatch, capsys):
    monkeypatch.chdir(worked)
    code = PAGE.read_text().split("```python\n")[1].split("```")[0]
    exec(compile(code, PAGE.name, "exec"), {"__name__": "page"})
    assert float(capsys.readouterr().out.splitlines()[-1]) < 0.8
    assert (worked / "pruned.svg").exists()


@pytest.fixture
def reported(worked, tmp_path) -> Path:
    """The pruned run with a report of it."""
    copy = tmp_path / "quickstart"
    shutil.copytree(worked / "runs" / "quickstart", copy)
    run_study(StudyConfig.from_toml(worked / "tiny.toml"), copy)
    return copy


@pytest.mark.parametrize("place", ["pruned", "runs/quickstart/pruned/model-1-mask"])
def test_the_figures_are_those_of_the_models(worked, place):
    out = worked / place
    figures = json.loads((out / "results.json").read_text())
    whole, rounds = figures["model"], figures["rounds"]
    assert [entry["round"] for entry in rounds] == [1, 2]
    models = [whole, *rounds]
    for name in ("mflops", "mflops_paper", "parameters", "energy_uj"):
        values = [model[name] for model in models]
        assert values == sorted(values, reverse=True)
        assert values[0] > values[-1]
    subnet = Subnet.load(out / "round-2" / "model")
    assert subnet.genotype == Genotype.from_json((out / "genotype.json").read_text())
    dataset = Dataset.open(worked / "runs" / "quickstart" / "dataset", min_count=3)
    answers = predict(subnet, dataset.split("test"))
    assert log_loss(*answers) == pytest.approx(rounds[-1]["test_log_loss"], abs=1e-6)
    assert rounds[-1]["bytes"] < whole["bytes"]
    for model in models:
        assert 0 < model["cpu_us_per_row"] < math.inf
        assert 0 < model["cpu_latency_us"] < math.inf


def test_the_report_shows_the_prunings_of_the_run(reported):
    page = (reported / "report.html").read_text()
    [table] = re.findall(r"<h2 id=pruned>.*?</table>", page, flags=re.DOTALL)
    folder = reported / "pruned" / "model-1-mask"
    figures = json.loads((folder / "results.json").read_text())
    whole, last = figures["model"], figures["rounds"][-1]
    for name in ("model 1, whole", "model 1, mask, 1 round", "model 1, mask, 2 rounds"):
        assert f"<td>{name}</td>" in table
    for name in ("test_log_loss", "mflops", "cpu_latency_us", "cpu_us_per_row", "latency_us"):
        assert f"<td>{number(whole[name])}</td>" in table
        assert f"<td>{number(last[name])}</td>" in table
    assert f"<td>{last['bytes'] / 1e6:,.2f}</td>" in table
    assert 'id="pruning"' in page


def test_what_is_no_pruning_is_not_in_the_report(reported):
    for text in ("{}", "[", '{"model": {}, "rounds": [1]}', "[1]"):
        (reported / "pruned" / "other").mkdir(exist_ok=True)
        (reported / "pruned" / "other" / "results.json").write_text(text)
        assert refresh_report(RunFolder(reported), "") is not None
    shutil.rmtree(reported / "pruned")
    refresh_report(RunFolder(reported), "")
    assert "id=pruned" not in (reported / "report.html").read_text()


class Watched(torch.nn.Module):
    """Notes how it is called, on which number of threads, and moves the clock on."""

    def __init__(self, seconds: list[float], clock: list[float]) -> None:
        super().__init__()
        self.calls: list[tuple[int, int]] = []
        self._seconds, self._clock = seconds, clock

    def forward(self, dense: torch.Tensor, sparse: torch.Tensor) -> torch.Tensor:
        assert torch.is_inference_mode_enabled()
        assert len(dense) == len(sparse)
        self._clock[0] += self._seconds[len(self.calls) % len(self._seconds)]
        self.calls.append((len(dense), torch.get_num_threads()))
        return dense[:, 0]


def test_cpu_latency_is_the_median_of_predictions_on_one_thread():
    clock = [0.0]
    steady, odd = Watched([0.002], clock), Watched([0.001, 0.001, 5.0], clock)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        times = measured([steady, odd], torch.ones(40, 3), torch.ones(40, 2), lambda: clock[0])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert times[0].cpu_latency_us == pytest.approx(2000)
    assert times[0].cpu_us_per_row == pytest.approx(2000 / 40)
    assert times[1].cpu_latency_us == pytest.approx(1000)  # a stall does not count
    for model in (steady, odd):
        assert set(model.calls) == {(1, 1), (40, 1)}


def test_a_pruned_model_answers_raw_rows(worked):
    folder = worked / "runs" / "quickstart" / "pruned" / "model-1-mask" / "round-2"
    row = {f"I{i}": 5 for i in range(1, 14)} | {f"C{i}": "2bf691b1" for i in range(1, 27)}
    [answer] = Predictor.load(folder).predict([row])
    assert 0 < answer < 1


def test_a_killed_command_goes_on_where_it_was(run, start, cli, tmp_path, worked):
    out = tmp_path / "out"
    command = start("prune", run, "--rounds", "2", "--out", out)
    while not (out / "round-1" / "kept.json").exists():
        assert command.is_running(), command.wait().stderr
        time.sleep(0.01)
    command.stop(signal.SIGKILL)
    kept = (out / "round-1" / "kept.json").stat().st_mtime_ns
    result = cli("prune", run, "--rounds", "2", "--out", out)
    assert result.returncode == 0, result.stderr
    assert (out / "round-1" / "kept.json").stat().st_mtime_ns == kept
    other = worked / "runs" / "quickstart" / "pruned" / "model-1-mask" / "results.json"
    assert without_times(out / "results.json") == without_times(other)


def without_times(file: Path) -> dict[str, Any]:
    """The figures of a pruning that are no measurements."""
    figures = json.loads(file.read_text())
    for entry in (figures["model"], *figures["rounds"]):
        del entry["cpu_latency_us"], entry["cpu_us_per_row"]
    return figures


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["nothing"],
            "expected a finished run, or its results.json, found no retrained models there",
        ),
        (["--method", "luck"], "method: expected mask or magnitude, got 'luck'"),
        (["--model", "9"], "model: expected 1 to 1, 'best' or 'ensemble', got 9"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(run, cli, tmp_path, arguments, sentence):
    target = [] if arguments[0] == "nothing" else [run]
    result = cli("prune", *target, *arguments, "--out", tmp_path / "out", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.strip().endswith(sentence)
    assert not (tmp_path / "out").exists()


def test_a_log_that_has_changed_is_refused(run, cli, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    description = copy / "dataset" / "dataset.json"
    values = json.loads(description.read_text())
    name = next(iter(values["checksums"]))
    values["checksums"][name] = "0" * len(values["checksums"][name])
    description.write_text(json.dumps(values))
    result = cli("prune", copy, "--rounds", "1", "--out", tmp_path / "out")
    assert result.returncode == 2
    assert "expected the dataset that the model was trained on, got another one" in result.stderr


def test_two_commands_do_not_share_a_folder(run, cli, tmp_path):
    with RunFolder(tmp_path / "out").locked():
        result = cli("prune", run, "--rounds", "1", "--out", tmp_path / "out")
    assert result.returncode == 2
    assert "another process works on" in result.stderr
    assert not list(tmp_path.iterdir())
