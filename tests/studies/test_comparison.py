"""`studies.comparison`: tables of finished runs in a page."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import REPOSITORY
from study_files import tiny_study_with

from nasrec_opt.baselines import BASELINES
from nasrec_opt.pipeline import StudyConfig, compare_models
from nasrec_opt.report import ModelRow, to_markdown
from studies.comparison import kind_of, kinds_table, main

PAGE = "# Page\n\n<!-- tiny -->\nold\n<!-- end -->\n\n<!-- other -->\nstays\n<!-- end -->\n"


def row(name, test=0.5, **figures):
    return ModelRow(
        name=name, seeds=1, validation_log_loss=test, test_log_loss=test, test_auc=0.7, **figures
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model 2 (trial 17)", "searched"),
        ("ensemble of 3 models", "searched, averaged"),
        ("random search: model 1 (trial 3)", "random search"),
        ("random search: ensemble of 2 models", "random search, averaged"),
        ("published:kdd-full", "published"),
        ("like:dlrm", "hand-made, our operators"),
        ("DCN-v2", "hand-made"),
        ("logistic regression", "logistic regression"),
        ("constant", "click rate"),
        ("probe (12345678)", "probe"),
        ("trained beside the search (12345678)", "other"),
    ],
)
def test_kinds_go_by_names(name, kind):
    assert kind_of(row(name)) == kind


def test_its_study_is_the_quickstart_with_three_seeds():
    study, usual = (
        StudyConfig.from_toml(REPOSITORY / "studies" / f"{name}.toml")
        for name in ("comparison", "quickstart")
    )
    assert study == replace(usual, name="comparison", retrain=replace(usual.retrain, seeds=3))


def test_every_baseline_has_a_kind():
    assert "other" not in {kind_of(row(spec.label)) for spec in BASELINES.values()}


def test_the_table_has_the_best_of_each_kind_with_its_size():
    rows = [
        row("DeepFM", 0.48, mflops=0.3, test_log_loss_deviation=0.001),
        row("model 1 (trial 0)", 0.49, mflops=0.1),
        row("random search: model 1 (trial 5)", 0.495, mflops=0.05),
        row("model 2 (trial 3)", 0.5, mflops=0.01),
        row("Wide & Deep", 0.51, mflops=0.2),
        row("constant", 0.6),
    ]
    lines = [line.strip("| \n").split(" | ") for line in kinds_table(rows).splitlines()[2:]]
    assert lines == [
        ["hand-made", "DeepFM", "0.4800 ± 0.0010", "0.7000", "0.3", "3 x"],
        ["searched", "model 1 (trial 0)", "0.4900", "0.7000", "0.1", "1 x"],
        ["random search", "model 1 (trial 5)", "0.4950", "0.7000", "0.05", "0.5 x"],
        ["click rate", "constant", "0.6000", "0.7000", "-", "-"],
    ]


@pytest.fixture(scope="module")
def finished(cli, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    retrain = {"top": 1, "model": {"epochs": 1}}
    (folder / "tiny.toml").write_text(
        tiny_study_with(search={"n_trials": 8}, retrain=retrain, data={"synthetic_rows": 600})
    )
    result = cli("run", folder / "tiny.toml", "--out", folder / "run")
    assert result.returncode == 0, result.stderr
    return folder / "run"


def test_a_page_gets_the_table_of_its_log(finished, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert main([f"tiny={finished}", "--write", str(page)]) == 0
    text = page.read_text()
    rows = compare_models(finished)
    assert to_markdown(rows) in text
    assert kinds_table(rows) in text
    assert "480 train, 60 validation, 60 test" in text
    assert "old" not in text
    assert "<!-- other -->\nstays\n<!-- end -->" in text
    assert to_markdown(rows) in capsys.readouterr().out
    before = page.read_text()
    assert main([f"tiny={finished}", "--write", str(page)]) == 0
    assert page.read_text() == before


def test_bad_input_is_one_sentence_and_changes_no_page(finished, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    for words, sentence in (
        ([str(finished)], "runs: expected NAME=RUN"),
        ([f"criteo={finished}"], "expected the mark <!-- criteo -->"),
        ([f"tiny={tmp_path / 'none'}"], "expected a finished run"),
    ):
        assert main([*words, "--write", str(page)]) == 2
        [line] = [x for x in capsys.readouterr().err.splitlines() if x.startswith("comparison: ")]
        assert sentence in line
    assert page.read_text() == PAGE
    assert main([f"tiny={finished}", "--write", str(tmp_path / "none.md")]) == 2
    assert "expected a page that exists" in capsys.readouterr().err
