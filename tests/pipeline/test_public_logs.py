"""A study of Avazu and one of KDD Cup 2012 run from the raw format to trained models."""

from __future__ import annotations

import json
import shutil

import pytest
from conftest import TINY_STUDY

from nasrec_opt.data import Preprocessor, generate_log


@pytest.mark.parametrize("name", ["avazu", "kdd2012"])
def test_a_study_runs_on_the_raw_format(cli, tmp_path, name):
    log = generate_log(tmp_path / "log", like=name, rows=2000, vocabulary="small")
    keys = f'format = "{name}"\n'
    if name == "kdd2012":
        keys += 'users = "log/users.txt"\ncount = "line"\n'
        log.users.rename(tmp_path / "log" / "users.txt")
    study = TINY_STUDY.replace("[data]\n", f"[data]\n{keys}").replace(
        "n_trials = 24", "n_trials = 8"
    )
    (tmp_path / "study.toml").write_text(study)
    done = cli("run", tmp_path / "study.toml", "--data", log.file, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "run" / "retrained" / "results.json").read_text())
    assert results["models"]
    columns = Preprocessor.load(tmp_path / "run" / "dataset").column_names[1]
    assert columns[-1] == ("C21" if name == "avazu" else "age")
    # What was read is no longer needed, and a default that is said is none that has changed.
    shutil.rmtree(tmp_path / "log")
    (tmp_path / "study.toml").write_text(study.replace('count = "line"\n', ""))
    again = cli("run", tmp_path / "study.toml", "--out", tmp_path / "run")
    assert again.returncode == 0, again.stderr
    assert "prepare   already done" in again.stderr + again.stdout


def test_a_study_with_weights_is_refused_by_what_does_not_read_them(cli, tmp_path):
    log = generate_log(tmp_path / "log", like="kdd2012", rows=500, vocabulary="small")
    keys = '[data]\nformat = "kdd2012"\ncount = "weight"\n'
    (tmp_path / "study.toml").write_text(TINY_STUDY.replace("[data]\n", keys))
    done = cli("run", tmp_path / "study.toml", "--data", log.file, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "expected rows without weights, which" in done.stderr
    assert "does not read yet" in done.stderr
