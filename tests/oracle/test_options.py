"""The options of an oracle: one class for a constructor, a loaded folder and a study file."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.models import SPACE, draw

from nasrec_opt.errors import StudyError
from nasrec_opt.options import AdagradFit, Fidelity, FineTune, LastLayer, OracleOptions, Scratch
from nasrec_opt.oracle import SupernetOracle
from nasrec_opt.pipeline import StudyConfig

options = st.builds(
    OracleOptions,
    rows=st.none() | st.integers(1, 10**6),
    fidelity=st.sampled_from(get_args(Fidelity)),
    last_layer=st.sampled_from(get_args(LastLayer)),
    fit_rows=st.none() | st.integers(1, 10**6),
    precision=st.sampled_from(["auto", "float32", "bfloat16"]),
    bits=st.sampled_from(["genotype", "float"]),
    fine_tune=st.builds(FineTune, steps=st.integers(1, 9), seed=st.integers(0, 9)),
    scratch=st.builds(Scratch, evaluations=st.integers(1, 9), seed=st.integers(0, 9)),
    adagrad=st.builds(AdagradFit, steps=st.integers(1, 9), seed=st.integers(0, 9)),
)


@given(options, st.integers(0, 2**31))
def test_a_seed_replaces_all_seeds_and_nothing_else(given, seed):
    seeded = given.with_seed(seed)
    assert {seeded.adagrad.seed, seeded.fine_tune.seed, seeded.scratch.seed} == {seed}
    for name in ("adagrad", "fine_tune", "scratch"):
        own, its = getattr(given, name), getattr(seeded, name)
        seeded = dataclasses.replace(seeded, **{name: dataclasses.replace(its, seed=own.seed)})
    assert seeded == given


@given(options)
def test_the_training_and_the_fit_are_those_of_the_fidelity(given):
    trained = {"fine_tune": given.fine_tune, "scratch": given.scratch}.get(given.fidelity)
    assert given.trained() == trained
    assert given.trained(3) == (trained and dataclasses.replace(trained, seed=3))
    fit = given.adagrad if given.last_layer == "adagrad" else given.last_layer
    assert given.fitted() == fit
    assert (trained is None) == (given.unread() >= {"fine_tune", "scratch"})


def test_a_table_of_a_study_file_is_the_same_class_and_scores_alike(supernet, dataset, tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(
        '[oracle]\nrows = 70\nfidelity = "fine_tune"\n'
        "[oracle.fine_tune]\nsteps = 3\nbatch_size = 32\n"
    )
    table = StudyConfig.from_toml(file).oracle
    assert isinstance(table, OracleOptions)
    assert table.precision == "auto"  # the one default that differs
    names = {field.name for field in dataclasses.fields(OracleOptions)}
    assert {field.name for field in dataclasses.fields(table)} == names
    own = OracleOptions(
        rows=70, fidelity="fine_tune", fine_tune=FineTune(steps=3, batch_size=32, seed=5)
    )
    expected = SupernetOracle(supernet, dataset, own).evaluate(draw(SPACE, 1))
    of_file = dataclasses.replace(table.with_seed(5), precision="float32")
    assert SupernetOracle(supernet, dataset, of_file).evaluate(draw(SPACE, 1)) == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rows": 0}, "rows: expected 1 or more, got 0"),
        ({"fit_rows": -1}, "fit_rows: expected 1 or more, got -1"),
        (
            {"fidelity": "full"},
            "fidelity: expected one of supernet, last_layer, fine_tune, scratch",
        ),
        ({"fidelity": FineTune()}, "fidelity: expected one of supernet, last_layer, fine_tune"),
        ({"last_layer": "sgd"}, "last_layer: expected one of newton, folds, adagrad, got 'sgd'"),
        ({"precision": "int8"}, "precision: expected one of auto, float32, bfloat16, got 'int8'"),
        ({"bits": 8}, "bits: expected one of genotype, float, got 8"),
        ({"fine_tune": Scratch()}, "fine_tune: expected FineTune, got an object of the class Scra"),
        ({"scratch": {"epochs": 3}}, "scratch: expected Scratch, got an object of the class dict"),
    ],
)
def test_an_option_that_cannot_be_is_one_sentence(values, message):
    with pytest.raises(StudyError) as caught:
        OracleOptions(**values)
    assert str(caught.value).startswith(message)


def test_numbers_of_numpy_are_numbers():
    assert OracleOptions(rows=np.int64(7)) == OracleOptions(rows=7)


def test_options_are_frozen_and_need_no_torch():
    with pytest.raises(dataclasses.FrozenInstanceError):
        OracleOptions().rows = 3
    code = "import sys; from nasrec_opt import OracleOptions; OracleOptions(); print('torch' in sys"
    found = subprocess.run(
        [sys.executable, "-c", code + ".modules)"], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "False"
