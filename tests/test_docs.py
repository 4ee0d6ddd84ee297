"""What the README, the pages of docs/ and docstrings show is true: code runs, tables are full."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY

from nasrec_opt import Genotype
from nasrec_opt.pipeline import StudyConfig

WRITTEN = REPOSITORY / "docs" / "api"  # by docs/conf.py
PAGES = [
    REPOSITORY / "README.md",
    *sorted(p for p in (REPOSITORY / "docs").rglob("*.md") if WRITTEN not in p.parents),
]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
NEEDS = {
    "README": "mlflow",
    "look_at_a_run": "mlflow",
    "search_with_ax": "ax",
    "plug_in": "onnxruntime",
}
PACKAGES_NEED = {
    "nasrec_opt.ax": "ax",
    "nasrec_opt.bayes": "botorch",
    "nasrec_opt.measured": "onnxruntime",
    "nasrec_opt.tracking": "mlflow",
}
# Pages that need trained models: tests/serving, tests/pipeline and tests/test_tutorial.py run them.
ELSEWHERE = ("serve", "prune", "served_model")
# Logs and searches at a length that a test can wait for.
FEWER = {"n_trials=512": "n_trials=8", "n_trials=48": "n_trials=20", "rows=5000": "rows=800"}


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(page.read_text()) if found == language]


@pytest.fixture(scope="module")
def quickstart(cli, tmp_path_factory) -> Path:
    """A run of the quickstart on few rows: what the pages speak of as `runs/quickstart`."""
    folder = tmp_path_factory.mktemp("docs")
    text = (REPOSITORY / "studies" / "quickstart.toml").read_text()
    for whole, less in {
        "[data]": "[data]\nsynthetic_rows = 1500",
        "n_trials = 96": "n_trials = 4",
        "probes = 4": "probes = 1",
        "[retrain]": "[retrain]\nmodel.epochs = 1",
    }.items():
        assert whole in text
        text = text.replace(whole, less)
    (folder / "quickstart.toml").write_text(text)
    result = cli("search", folder / "quickstart.toml", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder / "runs"


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks(page, "python") and page.stem not in ELSEWHERE],
    ids=lambda page: page.stem,
)
def test_the_code_of_a_page_runs_from_top_to_bottom(page, quickstart, tmp_path, monkeypatch):
    if package := NEEDS.get(page.stem):
        pytest.importorskip(package, reason=f"the extra {package!r} is not installed")
    shutil.copytree(quickstart, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    for number, code in enumerate(blocks(page, "python"), start=1):
        for text, shorter in FEWER.items():
            code = code.replace(text, shorter)
        exec(compile(code, f"{page.name}, block {number}", "exec"), names)


def test_the_code_of_the_pages_passes_strict_type_checks(tmp_path):
    """A user's mypy accepts what the user copies; fast, since it shares the cache of ours."""
    files = []
    for page in PAGES:
        code = blocks(page, "python")
        if code and find_spec(NEEDS.get(page.stem, "nasrec_opt")):
            files.append(tmp_path / f"{page.parent.name}_{page.stem}.py".replace("-", "_"))
            files[-1].write_text("\n".join(code))
    command = [sys.executable, "-m", "mypy", "--strict", "--no-pretty", *map(str, files)]
    found = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def examples() -> Iterator[doctest.DocTest]:
    """The examples in docstrings of everything that ships, a `DocTest` for each docstring."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for path in sorted(p for root in ("nasrec_opt", "hw", "studies") for p in code_of(root)):
        module = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            text = ast.get_docstring(node) if isinstance(node, kinds) else None
            if text and ">>>" in text:
                name = f"{module}:{getattr(node, 'name', '')}"
                yield doctest.DocTestParser().get_doctest(text, {}, name, str(path), 0)


def code_of(root: str) -> list[Path]:
    return list((REPOSITORY / root).rglob("*.py"))


@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example.name)
def test_the_example_of_a_docstring_runs(example, request, tmp_path, monkeypatch):
    module = example.name.split(":")[0]
    for package, needed in PACKAGES_NEED.items():
        if module.startswith(package):
            pytest.importorskip(needed, reason=f"{needed!r} is not installed")
    if "runs/quickstart" in example.docstring:
        shutil.copytree(request.getfixturevalue("quickstart"), tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    example.globs = dict(vars(importlib.import_module(module)))
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    runner.run(example, out=said.append)
    assert not runner.failures, "".join(said)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_genotype_of_the_reference_is_one():
    [text] = blocks(REPOSITORY / "docs" / "reference" / "genotype.md", "json")
    genotype = Genotype.from_json(text)
    assert genotype.hardware is not None
    assert Genotype.from_json(genotype.to_json()) == genotype


STUDIES = sorted((REPOSITORY / "studies").glob("*.toml"))
PLANS = ("worth",)  # what a program of studies/ compares, and no study


@pytest.mark.parametrize("path", [path for path in STUDIES if path.stem not in PLANS], ids=str)
def test_the_studies_that_ship_are_valid(path):
    config = StudyConfig.from_toml(path)
    assert config.name == path.stem
    assert config.space.file or config.space.build().num_blocks == config.space.num_blocks
