"""A stage of one's own in a run: when it is done, what it is told, and what it may refuse."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from study_files import tiny_study_with

from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline import (
    STAGES,
    Context,
    RunFolder,
    SilentReporter,
    Stage,
    StudyConfig,
    run_study,
)
from nasrec_opt.tracking import NullTracker, Tracker

[PREPARE] = (stage for stage in STAGES if stage.name == "prepare")


class Told(SilentReporter):
    """Takes down what a run says."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.notes: list[str] = []

    def begin(self, stage: str, detail: str = "") -> None:
        self.lines.append(f"{stage} {detail}".rstrip())

    def end(self, sentence: str) -> None:
        self.lines[-1] += f": {sentence.partition(' [')[0]}"

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


def count_clicks(context: Context) -> str:
    """The work of a stage that counts the clicks of a split."""
    split = context.dataset().split("test")
    (context.folder.path / "clicks.json").write_text(json.dumps(int(split.labels.sum())))
    return f"{split.num_rows} rows counted"


CLICKS = Stage(
    name="clicks",
    inputs=lambda context: {"seed": context.config.seed},
    output=lambda folder, search: folder.path / "clicks.json",
    run=count_clicks,
    detail=lambda context: f"of {context.config.name}",
)


@pytest.fixture
def config(tmp_path) -> StudyConfig:
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_study_with(data={"synthetic_rows": 400}))
    return StudyConfig.from_toml(path)


def said(config: StudyConfig, out: Path, *stages: Stage, until: str | None = None) -> list[str]:
    told = Told()
    run_study(config, out, until=until, reporter=told, stages=stages)
    return told.lines


def test_a_new_stage_is_one_more_entry_in_the_list(config, tmp_path):
    out = tmp_path / "run"
    [_, line] = said(config, out, PREPARE, CLICKS)
    assert line == "clicks of tiny: 40 rows counted"
    assert (out / "clicks.json").exists()
    assert RunFolder(out).record()["clicks"]["settings"] == {"seed": 3}
    assert said(config, out, PREPARE, CLICKS)[-1] == "clicks of tiny: already done"
    changed = said(replace(config, seed=4), out, PREPARE, CLICKS)
    assert changed == ["prepare synthetic: already done", line]
    (out / "clicks.json").unlink()
    assert said(replace(config, seed=4), out, PREPARE, CLICKS)[-1] == line


def test_a_stage_that_fails_is_not_done_and_ends_the_run(config, tmp_path):
    def fail(context: Context) -> str:
        count_clicks(context)
        raise StudyError("no clicks")

    late = replace(CLICKS, name="late")
    with pytest.raises(StudyError, match="no clicks"):
        said(config, tmp_path / "run", PREPARE, replace(CLICKS, run=fail), late)
    assert list(RunFolder(tmp_path / "run").record()) == ["prepare"]
    lines = said(config, tmp_path / "run", PREPARE, CLICKS)
    assert lines[-1].endswith("rows counted")


def test_stages_that_a_study_does_not_want_are_skipped_without_a_word(config, tmp_path):
    odd = replace(CLICKS, is_wanted=lambda config: config.seed % 2 == 1)
    assert len(said(config, tmp_path / "run", PREPARE, odd)) == 2
    assert len(said(replace(config, seed=2), tmp_path / "run", PREPARE, odd)) == 1


def test_a_repeated_stage_is_run_each_time(config, tmp_path):
    quick = replace(CLICKS, is_repeated=True)
    for _ in range(2):
        assert said(config, tmp_path / "run", PREPARE, quick)[-1].endswith("rows counted")


def test_a_stage_checks_before_the_first_one_begins(config, tmp_path):
    def refuse(context: Context) -> None:
        raise StudyError("no licence")

    with pytest.raises(StudyError, match="no licence"):
        said(config, tmp_path / "run", PREPARE, replace(CLICKS, check=refuse), until="prepare")
    assert not (tmp_path / "run").exists()
    unwanted = replace(CLICKS, check=refuse, is_wanted=lambda config: False)
    assert len(said(config, tmp_path / "run", PREPARE, unwanted)) == 1


def test_what_a_stage_keeps_is_made_from_other_inputs_only_once_it_is_removed(config, tmp_path):
    out = tmp_path / "run"
    dear = replace(
        CLICKS,
        output=lambda folder, search: folder.path / "dear" / "clicks.json",
        run=lambda context: count_into(context.folder.path / "dear"),
        keeps=lambda folder: folder.path / "dear",
    )
    said(config, out, PREPARE, dear)
    with pytest.raises(StudyError, match="dear: made with other settings: seed was 3 then, is 4"):
        said(replace(config, seed=4), out, PREPARE, dear)
    (out / "dear" / "clicks.json").unlink()
    assert said(replace(config, seed=4), out, PREPARE, dear)[-1] == "clicks of tiny: counted"


def count_into(folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "clicks.json").write_text("7")
    return "counted"


def test_hooks_are_called_around_a_stage_that_is_done_too(config, tmp_path):
    calls: list[str] = []
    stage = replace(
        CLICKS,
        before=lambda context: calls.append("before"),
        run=lambda context: [count_clicks(context), calls.append("run")][0],
        after=lambda context: calls.append("after"),
    )
    said(config, tmp_path / "run", PREPARE, stage)
    said(config, tmp_path / "run", PREPARE, stage)
    assert calls == ["before", "run", "after", "before", "after"]


def test_searches_have_entries_of_their_own_unless_they_share_a_stage():
    assert [CLICKS.key(search) for search in ("", "second")] == ["clicks", "clicks second"]
    assert replace(CLICKS, is_shared=True).key("second") == "clicks"


def test_a_run_ends_with_the_stage_that_is_asked_for(config, tmp_path):
    assert len(said(config, tmp_path / "run", PREPARE, CLICKS, until="prepare")) == 1
    with pytest.raises(StudyError, match="until: expected one of prepare, clicks, got 'click'"):
        said(config, tmp_path / "run", PREPARE, CLICKS, until="click")


def test_a_run_without_mlflow_says_so_once(config, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)  # what Python does with a blocked import
    short = replace(
        config,
        search=replace(config.search, n_trials=4),
        retrain=replace(
            config.retrain,
            model=replace(config.retrain.model, learning_rates=(0.003,), epochs=1),
        ),
    )
    told = Told()
    run = run_study(short, tmp_path / "run", reporter=told)
    assert [note for note in told.notes if "not logged" in note] == [
        "runs are not logged: MLflow is not installed: pip install 'nasrec-opt[mlflow]'"
    ]
    assert isinstance(run.tracker(), NullTracker)
    assert run.folder.report_of("").exists()
    assert not run.folder.mlflow_db.exists()


def test_a_null_tracker_takes_everything_and_keeps_nothing(tmp_path):
    study = optuna.create_study()
    with NullTracker() as null:
        tracker: Tracker = null
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), 2, callbacks=[tracker])
        tracker.log_dataset(study, {"rows": 3})
        tracker.log_settings(study, {"seed": 3})
        tracker.log_artifact(study, tmp_path)
        tracker.log_files(study, {0: [tmp_path]})
        tracker.log_models(study, [{"genotype": {}}], winner="none")
        tracker.flush()
    assert tracker.sync(study) == 0
    assert not any(tmp_path.iterdir())
