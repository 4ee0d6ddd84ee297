"""A run with a ladder: what it trains, what it says, and that a kill changes nothing."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from cli_server import Command
from conftest import TINY_STUDY
from optuna.trial import TrialState
from patience import PATIENCE_S

from nasrec_opt.pipeline import StudyConfig, run_study
from nasrec_opt.supernet import Subnet

LADDER = """
[search.ladder]
models = 6
epochs = 1

[retrain]
top = 2
seeds = 2

[retrain.model]
learning_rates = [0.003]
epochs = 3
batch_size = 128
"""
WITHOUT_LADDER = TINY_STUDY.replace("[retrain]\ntop = 1\n", "").replace("= 12", "= 16")
RESULTS, CLIMB = Path("retrained") / "results.json", "ladder.json"


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("study") / "tiny.toml"
    path.write_text(WITHOUT_LADDER + LADDER)
    return path


@pytest.fixture(scope="module")
def searched(cli, study, tmp_path_factory) -> Path:
    """A run up to the search, which the tests copy."""
    out = tmp_path_factory.mktemp("searched") / "run"
    result = cli("search", study, "--out", out)
    assert result.returncode == 0, result.stderr
    return out


@pytest.fixture(scope="module")
def alone(cli, study, searched, tmp_path_factory) -> tuple[Path, str]:
    """A run that nobody interrupted, and what it said."""
    out = tmp_path_factory.mktemp("alone") / "run"
    shutil.copytree(searched, out)
    result = cli("run", study, "--out", out)
    assert result.returncode == 0, result.stderr
    return out, result.stderr


def read(out: Path, name: Path | str) -> dict[str, Any]:
    return without_seconds(json.loads((out / name).read_text()))


def without_seconds(value: Any) -> Any:
    """The same without what a clock said."""
    if isinstance(value, dict):
        return {k: without_seconds(v) for k, v in value.items() if "seconds" not in k}
    return [without_seconds(entry) for entry in value] if isinstance(value, list) else value


def trials_of(out: Path) -> list[tuple[object, ...]]:
    climbed = optuna.load_study(study_name="tiny-ladder", storage=f"sqlite:///{out}/study.db")
    return [(t.state, t.params, t.values, t.user_attrs) for t in climbed.trials]


def test_models_climb_and_finalists_are_trained_with_several_seeds(alone):
    out, said = alone
    climbed, results = read(out, CLIMB), read(out, RESULTS)
    assert [(rung["epochs"], rung["models"]) for rung in climbed["rungs"]] == [(1, 6), (2, 3)]
    assert {model["trial"] for model in results["models"]} == set(climbed["finalists"])
    assert results["ladder"]["models"] == climbed["models"]
    means = []
    for model in results["models"]:
        losses = [seed["validation_log_loss"] for seed in model["seeds"]]
        assert len(losses) == 2
        assert model["validation_log_loss"] == min(losses)
        assert model["seed"] == model["seeds"][losses.index(min(losses))]["seed"]
        means.append(model["mean_validation_log_loss"])
        assert means[-1] == pytest.approx(sum(losses) / 2)
        expected = model["expected_test_log_loss"]
        assert expected["low"] < expected["mean"] < expected["high"]
        tests = [seed["test_log_loss"] for seed in model["seeds"]]
        assert expected["mean"] == pytest.approx(sum(tests) / 2)
    assert means == sorted(means)
    assert "6 trained to 1 epoch, 3 trained to 2 epochs, 2 finalists." in said
    assert "scores corrected by the other models with" in said
    assert "With another seed, it can be expected to reach" in said
    page = (out / "report.html").read_text()
    for words in ("<h2>The ladder</h2>", "validation log loss after 2 epochs", "2 seeds)"):
        assert words in page


def test_models_that_stay_behind_leave_no_weights(alone):
    out, _ = alone
    assert not list(out.glob("retrained/*/training.safetensors"))
    assert len(list(out.glob("retrained/*/epochs-1.safetensors"))) == 6
    assert len(list(out.glob("retrained/*/epochs-2.safetensors"))) == 3
    models = [Subnet.load(path) for path in out.glob("retrained/*/model")]
    assert len(models) == 4


def test_the_ladder_is_a_study_of_its_own(alone):
    """Complete trials are those that were trained to the end: their figures can be compared."""
    out, _ = alone
    climbed = optuna.load_study(study_name="tiny-ladder", storage=f"sqlite:///{out}/study.db")
    assert climbed.metric_names == ["log_loss", "latency_us", "energy_uj"]
    states = [trial.state for trial in climbed.trials]
    assert states.count(TrialState.COMPLETE) == 2
    assert states.count(TrialState.PRUNED) == 4
    assert sum("log_loss after 1 epoch" in trial.user_attrs for trial in climbed.trials) == 6
    assert sum("log_loss after 2 epochs" in trial.user_attrs for trial in climbed.trials) == 3
    search = optuna.load_study(study_name="tiny", storage=f"sqlite:///{out}/study.db")
    means = {m["trial"]: m["mean_validation_log_loss"] for m in read(out, RESULTS)["models"]}
    for trial in climbed.trials:
        source = search.trials[trial.user_attrs["searched_trial"]]
        assert trial.params == source.params
        if trial.state == TrialState.COMPLETE:
            assert trial.values == [means[source.number], *source.values[1:]]


def test_a_finished_run_is_left_as_it_is(cli, study, alone):
    out, _ = alone
    before = {path: path.stat().st_mtime_ns for path in out.glob("retrained/**/*.safetensors")}
    result = cli("run", study, "--out", out)
    assert "ladder    already done" in result.stderr
    after = {path: path.stat().st_mtime_ns for path in out.glob("retrained/**/*.safetensors")}
    assert after == before


def test_a_killed_climb_ends_as_one_left_alone(cli, start, study, searched, alone, tmp_path):
    """Killed in each rung and in the retraining, each time in the middle of a model."""
    out = tmp_path / "run"
    shutil.copytree(searched, out)
    for pattern, count in (("epochs-1.", 2), ("epochs-1.", 5), ("epochs-2.", 1), ("model", 1)):
        kill_when_there_are(
            count, out, f"retrained/*/{pattern}*", start("run", study, "--out", out)
        )
    steps_before = {p: p.stat().st_mtime_ns for p in out.glob("retrained/*/epochs-*")}
    assert cli("run", study, "--out", out).returncode == 0
    for path, written in steps_before.items():
        assert path.stat().st_mtime_ns == written, path  # nothing was trained twice
    for name in (CLIMB, RESULTS):
        assert read(out, name) == read(alone[0], name)
    assert trials_of(out) == trials_of(alone[0])


def kill_when_there_are(count: int, out: Path, pattern: str, run: Command) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while run.is_running() and time.monotonic() < deadline:
        if len(list(out.glob(pattern))) >= count:
            break
        time.sleep(0.005)
    stopped = run.stop(signal.SIGKILL)
    assert stopped.returncode == -signal.SIGKILL, "the run ended before it could be killed"


def test_what_was_measured_is_kept(searched, tmp_path):
    """What a clock said once decides, on another machine as well."""
    path, out = tmp_path / "tiny.toml", tmp_path / "run"
    path.write_text(WITHOUT_LADDER + LADDER.replace("models = 6", "share = 0.001"))
    shutil.copytree(searched, out)
    climb(path, out)
    climbed = json.loads((out / CLIMB).read_text())
    # Next to no time is allowed: the work of eight models, or of a few more if they are cheap.
    assert 8 <= climbed["rungs"][0]["models"] < 16
    (out / CLIMB).write_text(json.dumps(climbed | {"planned": 4 * climbed["planned"]}))
    record = json.loads((out / "run.json").read_text())
    del record["ladder"]
    (out / "run.json").write_text(json.dumps(record))
    climb(path, out)
    assert read(out, CLIMB)["rungs"][0]["models"] > 8


def climb(study: Path, out: Path) -> None:
    """Run a study up to its ladder."""
    run_study(StudyConfig.from_toml(study), out, until="ladder")


def test_a_ladder_can_be_added_to_a_finished_run(cli, study, alone, tmp_path):
    """The search stays what it is; what was trained is not trained again."""
    path, out = tmp_path / "tiny.toml", tmp_path / "run"
    shutil.copytree(alone[0], out)
    path.write_text(WITHOUT_LADDER + LADDER.replace("models = 6", "models = 7"))
    record = json.loads((out / "run.json").read_text())
    climb(path, out)
    climbed_record = json.loads((out / "run.json").read_text())
    assert climbed_record["search"] == record["search"]
    assert climbed_record["ladder"] != record["ladder"]
    assert read(out, CLIMB)["models"][:6] != []
    climbed = optuna.load_study(study_name="tiny-ladder", storage=f"sqlite:///{out}/study.db")
    assert len(climbed.trials) == 7
    path.write_text(
        WITHOUT_LADDER + LADDER.replace("[search.ladder]\nmodels = 6\nepochs = 1\n", "")
    )
    assert cli("run", path, "--out", out).returncode == 0
    assert "ladder" not in read(out, RESULTS)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("models = 0", "[search.ladder]: models: expected 1 or more, got 0"),
        ("epochs = 0", "epochs: expected a finite number above 0, got 0.0"),
        ("share = 1.0", "share: expected above 0 and below 1, got 1.0"),
        ("model = 3", "unknown key 'model'; did you mean 'models'?"),
    ],
)
def test_a_wrong_setting_is_named(cli, tmp_path, wrong, said):
    path = tmp_path / "tiny.toml"
    path.write_text(WITHOUT_LADDER + f"\n[search.ladder]\n{wrong}\n")
    result = cli("run", path, "--out", tmp_path / "run")
    assert result.returncode == 2
    assert said in result.stderr or said.replace("[search.ladder]", "ladder") in result.stderr
    assert not (tmp_path / "run").exists()


def test_an_empty_table_is_a_ladder_with_its_defaults(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(WITHOUT_LADDER + "\n[search.ladder]\n")
    ladder = StudyConfig.from_toml(path).search.ladder
    assert ladder is not None
    assert ladder.models is None
