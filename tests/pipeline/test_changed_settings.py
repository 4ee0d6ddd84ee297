"""What a changed setting does to a folder that holds a finished run, as the reference says."""

from __future__ import annotations

import dataclasses
import re
import shutil
import types
from collections.abc import Callable
from contextlib import chdir
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from conftest import REPOSITORY

from nasrec_opt.errors import StudyError
from nasrec_opt.ladder import LadderConfig
from nasrec_opt.pipeline import RunFolder, StudyConfig
from nasrec_opt.pipeline._console import SilentReporter
from nasrec_opt.pipeline._precision import keep_precision
from nasrec_opt.pipeline._run import Run
from nasrec_opt.pipeline._stage import Stage
from nasrec_opt.pipeline._storage import settle_storage
from nasrec_opt.pipeline.stages.ladder import LADDER
from nasrec_opt.pipeline.stages.models import MODELS
from nasrec_opt.pipeline.stages.prepare import PREPARE
from nasrec_opt.pipeline.stages.retrain import RETRAIN
from nasrec_opt.pipeline.stages.search import SEARCH
from nasrec_opt.pipeline.stages.train import TRAIN

PAGE = REPOSITORY / "docs" / "reference" / "study_file.md"
SHALLOW = ("search.constraints",)

# Studies in which an option counts; the first one serves all others.
BASES: dict[str, dict[str, Any]] = {
    "": {},
    "data.source": {"data.source": "x.txt"},
    "data.split_seed": {"data.source": "x.txt"},
    "data.format": {"data.source": "x.txt"},
    "data.layout": {"data.source": "x.txt"},
    "data.max_values": {"data.source": "x.txt"},
    "data.users": {"data.source": "x.txt", "data.format": "kdd2012"},
    "data.count": {"data.source": "x.txt", "data.format": "kdd2012"},
    "space.multi_operator": {"space.preset": "nasrec_full"},
    "space.hot_rows_kib": {"space.codesign": True},
    "oracle.precision": {"oracle.precision": "float32"},
    "oracle.last_layer": {"oracle.fidelity": "last_layer"},
    "oracle.fit_rows": {"oracle.fidelity": "last_layer"},
    "oracle.adagrad": {"oracle.fidelity": "last_layer", "oracle.last_layer": "adagrad"},
    "oracle.fine_tune": {"oracle.fidelity": "fine_tune"},
    "oracle.scratch": {"oracle.fidelity": "scratch"},
    "search.pruner": {"oracle.fidelity": "fine_tune", "search.objectives": ("log_loss",)},
    "search.pool_bayes": {"search.sampler": "pool_bayes"},
    "search.ax": {"search.engine": "ax"},
    "retrain.model.epsilon": {"retrain.model.optimizer": "adagrad"},
    "retrain.model.clip_norm": {"retrain.model.optimizer": "adagrad"},
    "retrain.model.rate_warmup_fraction": {"retrain.model.optimizer": "adagrad"},
    "retrain.model.refit": {"retrain.model.optimizer": "adagrad"},
}
OTHER: dict[str, Any] = {
    "name": "other",
    "data.source": "y.txt",
    "data.users": "users.txt",
    "data.count": "impression",
    "data.format": "schema.toml",
    "space.bits": (4, 8),
    "space.wide": (False, True),
    "space.hot_rows_kib": (0, 64),
    "space.file": "space.toml",
    "hardware.technology": "technology.toml",
    "oracle.precision": "bfloat16",
    "supernet.precision": "bfloat16",
    "search.initial": ("published:criteo-small",),
    "search.ladder": LadderConfig(models=9),
    "search.n_trials": 999,
    "search.objectives": ("log_loss", "energy_uj"),
    "search.constraints": {"area_mm2": 1.0},
    "search.evolution.population_size": 65,
    "retrain.genotypes": ("published:kdd-small",),
    "retrain.model.learning_rates": (0.01,),
    "storage.url": "journal:///study.log",
    "ray.address": "head:6379",
    "mlflow.uri": "http://127.0.0.1:5000",
    "mlflow.experiment": "team/ads",
    "mlflow.tags": {"team": "ads"},
    "mlflow.reference_point": {"log_loss": 1.0, "latency_us": 1e3, "energy_uj": 1e2},
}


def keys(kind: type = StudyConfig, prefix: str = "") -> dict[str, Any]:
    """Every key of a study file with its type, except the seeds that no stage may have."""
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(kind).items():
        key = f"{prefix}{name}"
        if dataclasses.is_dataclass(hint) and key not in SHALLOW:
            found |= keys(hint, f"{key}.")  # type: ignore[arg-type]
        elif name != "seed" or not prefix:
            found[key] = hint
    return found


def another(key: str, hint: Any, value: Any) -> Any:
    """A value that is allowed and is not the one there."""
    if key in OTHER:
        return OTHER[key]
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    for option in options:
        if get_origin(option) is Literal:
            return next(choice for choice in get_args(option) if choice != value)
    kinds = [option for option in options if option is not type(None)]
    if bool in kinds:
        return not value
    if int in kinds:
        return 3 if value is None else value + 1
    if float in kinds:
        return 0.5 if value is None else value * 0.5 or 0.25
    pytest.fail(f"{key}: no other value known; give one in OTHER")


def changed(config: Any, key: str, value: Any) -> Any:
    """The study with one value replaced."""
    name, _, rest = key.partition(".")
    inner = changed(getattr(config, name), rest, value) if rest else value
    return dataclasses.replace(config, **{name: inner})


def effect_in_the_reference(key: str) -> str:
    """The first line of the page's table that fits a key."""
    section = PAGE.read_text().partition("## What a change does")[2].partition("\n## ")[0]
    for patterns, effect in re.findall(r"^\| (`.*?) \| (.*?) \|", section, re.MULTILINE):
        if any(fnmatchcase(key, pattern) for pattern in re.findall(r"`(.*?)`", patterns)):
            return effect
    pytest.fail(f"{key}: no line of the table in {PAGE.name} fits")


def place(folder: Path) -> None:
    """The files that studies name, in the folder where a test runs."""
    for name in ("x.txt", "y.txt", "users.txt"):
        (folder / name).write_text(f"{name}\n")
    (folder / "schema.toml").write_text('label = "y"\ndense = ["a"]\n')
    (folder / "technology.toml").write_text('base = "recnmp.toml"\n')
    (folder / "space.toml").write_text('preset = "nasrec_small"\nnum_blocks = 3\n')


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Callable[[str], tuple[StudyConfig, Path]]:
    """A folder with a finished run of each of `BASES`, made when it is first asked for."""

    @cache
    def of(base: str) -> tuple[StudyConfig, Path]:
        folder = tmp_path_factory.mktemp("finished")
        place(folder)
        config = StudyConfig(name="base")
        for name, value in BASES[base].items():
            config = changed(config, name, Path(value) if name == "data.source" else value)
        with chdir(folder):
            finish(config, RunFolder(Path("run")))
        return config, folder

    return of


@pytest.fixture
def study(tmp_path, monkeypatch, request, finished):
    """A finished run of a study in which the key counts: its folder and its settings."""
    key = request.getfixturevalue("key")
    base = max((prefix for prefix in BASES if key.startswith(prefix)), key=len)
    if base == "search.ax":
        pytest.importorskip("ax", reason="the extra 'ax' is not installed")
    if base == "search.pool_bayes":
        pytest.importorskip("botorch", reason="the extra 'bayes' is not installed")
    config, folder = finished(base)
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return config, RunFolder(tmp_path / "run")


def finish(config: StudyConfig, folder: RunFolder) -> None:
    """Write down what a finished run of a study writes down, without its hours."""
    run = opened(config, folder)
    for stage in (PREPARE, TRAIN, SEARCH, RETRAIN):
        if stage is SEARCH:
            keep_precision(run.config, folder)
            run.study(create=True)
        else:
            stage.output(folder, "").parent.mkdir(parents=True)
            stage.output(folder, "").touch()
        folder.finish(stage.key(""), stage.inputs(run), 1.0)


def opened(config: StudyConfig, folder: RunFolder) -> Run:
    return Run(config, folder, config.data.source, SilentReporter())


def require_same(run: Run, stage: Stage) -> None:
    output, kept = stage.output(run.folder, ""), stage.keeps(run.folder)
    run.folder.require_same(stage.key(""), stage.inputs(run), output, kept)


def effect(config: StudyConfig, folder: RunFolder) -> str:
    """What the stages of a run make of a study file, up to the first that has work to do."""
    run = opened(config, folder)
    try:
        settle_storage(folder, config.storage.url, config.name)
        require_same(run, PREPARE)
        require_same(run, TRAIN)
        if run.study_name != "base":
            return "a second study"
        run.study()
    except StudyError as error:
        refusal = "other settings|other objectives|searches of this folder"
        return "refused" if re.search(refusal, str(error)) else str(error)
    if MODELS.is_wanted(run.config):
        return "these models are trained, the search stays as it is"
    if not SEARCH.is_done(run):
        return "the search continues"
    if LADDER.is_wanted(run.config) and not LADDER.is_done(run):
        return "models climb again, and winners are retrained"
    if not RETRAIN.is_done(run):
        return "winners are retrained"
    return "nothing"


@pytest.mark.parametrize("key", keys())
def test_a_changed_setting_does_what_the_reference_says(study, key):
    config, folder = study
    assert effect(config, folder) == "nothing"
    value = config
    for name in key.split("."):
        value = getattr(value, name)
    new = another(key, keys()[key], value)
    is_path = key in ("data.source", "space.file", "hardware.technology")
    assert effect(changed(config, key, Path(new) if is_path else new), folder) == (
        effect_in_the_reference(key)
    )


@pytest.mark.parametrize("key", ["search.evolution.archive"])
def test_options_that_a_study_does_not_read_change_nothing(study, key):
    config, folder = study
    config = changed(config, "search.sampler", "nsga2")
    run = opened(config, folder)
    assert run.study_name == "base-nsga2"
    run.study(create=True)
    again = opened(changed(config, key, True), folder)
    assert again.study_name == "base-nsga2"
    again.study()
