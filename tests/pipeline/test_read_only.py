"""A run folder that cannot be written: what only reads works, all else says so in one sentence."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from hw import TechnologyFile
from nasrec_opt import FeatureSpec, MLflowLogger, SearchSpace
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline import RunFolder, StudyConfig, open_run, run_study
from nasrec_opt.pipeline._conditions import Conditions

# The command line, without what lets root write anywhere: the capabilities 1 and 2 of Linux.
DROPPED = """
import ctypes, os, runpy
if os.geteuid() == 0:
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None)
    assert libc.capget(header, sets) == 0
    sets[:3] = [held & ~0b110 for held in sets[:3]]
    assert libc.capset(header, sets) == 0
runpy.run_module("nasrec_opt", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """What `open`, `cost` and `show` read of a run; it was moved, and cannot be written."""
    pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")
    where = tmp_path_factory.mktemp("read-only")
    folder = RunFolder(where / "made")
    genotype = SearchSpace.nasrec_small(num_blocks=2).sample(np.random.default_rng(0))
    conditions = Conditions(FeatureSpec(3, (5, 6)), TechnologyFile.read("cpu.toml"))
    folder.results.parent.mkdir(parents=True)
    folder.results.write_text(
        json.dumps(
            {
                "models": [{"genotype": genotype.to_dict()}],
                "baselines": {"constant": {"test_log_loss": 0.5}},
                "conditions": conditions.to_dict(),
            }
        )
    )
    folder.finish("retrain", {}, 1.0)
    place = folder.artifacts.resolve().as_uri()
    MLflowLogger(f"sqlite:///{folder.mlflow_db}", experiment="x", artifact_location=place).close()
    moved = shutil.move(folder.path, where / "moved")
    for path in (moved, *moved.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield moved
    for path in (moved, *moved.rglob("*")):
        path.chmod(0o755)


@pytest.fixture
def cli(start_code):
    if os.geteuid() == 0 and not sys.platform.startswith("linux"):
        pytest.skip("root writes anywhere, and only Linux takes that away")
    return lambda *words: start_code(DROPPED, *words).wait()


def test_what_only_reads_a_run_works(cli, run, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    opened = cli("open", run)
    assert opened.returncode == 0, opened.stderr
    assert opened.stdout.splitlines()[-1].startswith("This folder cannot be written")
    assert cli("cost", run).returncode == 0
    assert cli("show", run, "--out", tmp_path / "x.svg").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_what_writes_names_the_place_in_one_sentence(cli, run, tmp_path):
    study = tmp_path / "study.toml"
    study.write_text("[data]\nsynthetic_rows = 500\n")
    for command in ("run", "report"):
        done = cli(command, study, "--out", run)
        assert done.returncode == 2
        assert done.stderr.startswith(
            f"nasrec-opt: {run}: expected a writable run folder, got: Permission denied"
        )
    drawn = cli("show", run, "--out", run / "x.svg")
    assert drawn.returncode == 2
    assert drawn.stderr.startswith(
        f"nasrec-opt: {run / 'x.svg'}: expected a path that can be read and written, got"
    )


def test_a_file_in_the_way_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    config = StudyConfig(name="tiny")
    for out in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.raises(StudyError, match=rf"{out}: expected a writable run folder"):
            run_study(config, out)
        with pytest.raises(StudyError, match=rf"{out}: expected (it in )?a run folder"):
            open_run(out)
