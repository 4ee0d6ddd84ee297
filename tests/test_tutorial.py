"""The tutorial from a click log to a served model: a user who types its lines gets there."""

from __future__ import annotations

import re
import shlex
import subprocess

import numpy as np
import polars as pl
import pytest
from conftest import REPOSITORY, environment

from nasrec_opt import Predictor
from nasrec_opt.data._synthetic import write_log

PAGE = REPOSITORY / "docs" / "tutorial" / "served_model.md"
ROWS = 1500
# A length that a test can wait for.
FEWER = {"n_trials = 48": "n_trials = 8", "[retrain]": "[retrain]\nmodel.epochs = 1"}


def test_the_tutorial_runs_from_a_log_to_answers(cli, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")
    write_log(tmp_path / "train.txt", ROWS, seed=0)
    monkeypatch.chdir(tmp_path)
    said = {}
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text(), re.M | re.S):
        if language == "toml":
            for then, now in FEWER.items():
                assert then in text
                text = text.replace(then, now)
            (tmp_path / "ads.toml").write_text(text)
        elif language == "python":
            exec(compile(text, PAGE.name, "exec"), {"__name__": "page"})
        elif language == "bash":  # tests/serving/test_mlflow.py starts the server and asks it
            for line in text.splitlines():
                program, *words = shlex.split(line)
                if program == "nasrec-opt":
                    result = cli(*words, cwd=tmp_path)
                    assert result.returncode == 0, result.stderr
                    said[words[0]] = result.stdout
                else:
                    subprocess.run(line, shell=True, check=True, env=environment())
    assert "| model 1 (trial" in said["compare"]
    assert "logistic regression" in said["compare"]
    found, smaller, served = (
        pl.read_csv(f"{name}.csv")["probability"].to_numpy()
        for name in ("probabilities", "smaller", "served")
    )
    np.testing.assert_allclose(served, found, atol=1e-5)
    np.testing.assert_allclose(found, Predictor.load("runs/ads").predict_file("new.tsv"), atol=1e-6)
    assert smaller.shape == found.shape == (100,)
    assert not np.allclose(smaller, found, atol=1e-3)
    assert (tmp_path / "ctr-mlflow" / "serving_input_example.json").is_file()
