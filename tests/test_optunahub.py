"""The package for OptunaHub: its layout, its example, and that it needs nothing but Optuna."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import hub_study
import pytest
from conftest import REPOSITORY, environment
from patience import PATIENCE_S

from nasrec_opt import RegularizedEvolutionSampler

SOURCE = REPOSITORY / "optunahub"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the registry takes."""
    out = tmp_path_factory.mktemp("registry")
    run(SOURCE / "build.py", out)
    return out / "regularized_evolution"


def run(script: Path, *arguments: object) -> str:
    """What a script prints that succeeds."""
    done = subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        env=environment(),
        cwd=script.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_with_optuna_alone_it_searches_as_the_library_does(package):
    found = json.loads(run(Path(hub_study.__file__), package.parent))
    expected = json.loads(json.dumps(hub_study.trials(RegularizedEvolutionSampler)))
    assert found == expected


def test_it_has_the_modules_that_the_sampler_needs_and_no_others(package):
    modules = {file.stem for file in package.rglob("_nasrec_opt/*/*.py")}
    assert {"_evolution", "_screening", "_genotype", "__init__"} <= modules
    assert not {"_make", "_seeded", "_published"} & modules
    for file in package.rglob("*.py"):
        assert not re.search(r"^ *(from|import) nasrec_opt", file.read_text(), re.MULTILINE), file


def test_a_second_build_leaves_nothing_of_the_first(package):
    def content() -> dict[Path, bytes]:
        files = [file for file in package.rglob("*") if file.suffix != ".pyc" and file.is_file()]
        return {file: file.read_bytes() for file in files}

    before = content()
    (package / "_nasrec_opt" / "_gone.py").touch()
    run(SOURCE / "build.py", package.parent)
    assert content() == before


def test_the_example_prints_a_front_that_keeps_the_constraint(package):
    pytest.importorskip("optunahub.hub", reason="the extra 'dev' is not installed")
    costs = [int(cost) for cost in re.findall(r"cost (\d+):", run(package / "example.py"))]
    assert len(costs) >= 3
    assert costs == sorted(costs)
    assert max(costs) <= 40


def test_its_readme_has_the_arguments_and_defaults_of_the_sampler(package):
    text = (package / "README.md").read_text()
    [shown] = re.findall(r"`RegularizedEvolutionSampler\((.*)\)`", text)
    parameters = inspect.signature(RegularizedEvolutionSampler).parameters.values()
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
    assert shown.replace('"', "'") == str(inspect.Signature(bare))[1:-1]


def test_its_own_tests_pass(package):
    # The folder of that name here is a namespace package, which would be imported without another.
    pytest.importorskip("optunahub.hub", reason="the extra 'dev' is not installed")
    # As in the registry: seen from here, pytest would call the folder above it `optunahub`, too.
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(package)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(package)],
        env=environment(),
        cwd=package,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_readme_has_what_the_registry_asks_for(package):
    text = (package / "README.md").read_text()
    _, matter, body = text.split("---\n", 2)
    keys = [line.partition(":")[0] for line in matter.splitlines()]
    assert keys == ["author", "title", "description", "tags", "optuna_versions", "license"]
    assert "tags: [sampler," in matter
    assert re.findall("^## (.*)", body, re.MULTILINE) == [
        "Abstract",
        "Class or Function Names",
        "Installation",
        "Example",
        "Others",
    ]
    assert (package / "LICENSE").read_text() == (REPOSITORY / "LICENSE").read_text()
