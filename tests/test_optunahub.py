"""The package for OptunaHub: its layout, its example, and that it is our sampler and no copy."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys

import pytest
from conftest import REPOSITORY, environment

# The folder of that name is a namespace package, which would be imported where there is no other.
pytest.importorskip("optunahub.hub", reason="the extra 'dev' is not installed")

import optunahub

from nasrec_opt import RegularizedEvolutionSampler

REGISTRY = REPOSITORY / "optunahub"
PACKAGE = REGISTRY / "regularized_evolution"


def test_it_loads_the_sampler_of_this_library():
    module = optunahub.load_local_module("regularized_evolution", registry_root=str(REGISTRY))
    assert module.RegularizedEvolutionSampler is RegularizedEvolutionSampler


def test_the_example_prints_a_front_that_keeps_the_constraint(tmp_path):
    done = subprocess.run(
        [sys.executable, str(PACKAGE / "example.py")],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    costs = [int(cost) for cost in re.findall(r"cost (\d+):", done.stdout)]
    assert len(costs) >= 3
    assert costs == sorted(costs)
    assert max(costs) <= 40


def test_its_readme_has_the_arguments_and_defaults_of_the_sampler():
    text = (PACKAGE / "README.md").read_text()
    [shown] = re.findall(r"`RegularizedEvolutionSampler\((.*)\)`", text)
    parameters = inspect.signature(RegularizedEvolutionSampler).parameters.values()
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
    assert shown.replace('"', "'") == str(inspect.Signature(bare))[1:-1]


def test_its_own_tests_pass():
    # As in the registry: seen from here, pytest would call the folder above it `optunahub`, too.
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(PACKAGE)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(PACKAGE)],
        env=environment(),
        cwd=PACKAGE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_readme_has_what_the_registry_asks_for():
    text = (PACKAGE / "README.md").read_text()
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
    assert (PACKAGE / "LICENSE").read_text() == (REPOSITORY / "LICENSE").read_text()
