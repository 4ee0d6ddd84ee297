"""A table of answers, in memory and on disk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasrec_opt.errors import GenotypeError, StudyError
from nasrec_opt.oracle import Evaluation, TabularOracle
from nasrec_opt.space import BlockGene, Genotype, HardwareGene, SearchSpace

SPACE = SearchSpace.nasrec_full(num_blocks=3)


def table_of(seed: int, count: int = 20) -> dict[Genotype, Evaluation]:
    rng = np.random.default_rng(seed)
    genotypes = [SPACE.sample(rng).canonical() for _ in range(count)]
    return {
        g: Evaluation(float(rng.random()), None if i % 3 else 0.7, 0.01, i)
        for i, g in enumerate(genotypes)
    }


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_parquet_returns_the_same_table(tmp_path_factory, seed):
    oracle = TabularOracle(table_of(seed))
    path = tmp_path_factory.mktemp("table") / "answers.parquet"
    oracle.to_parquet(path)
    assert TabularOracle.from_parquet(path).table == oracle.table


def test_equal_models_share_an_answer():
    dead = BlockGene(dense_width=64)
    last = BlockGene(dense_inputs=(0,), sparse_inputs=(0,))
    genotype = Genotype((dead, last))
    oracle = TabularOracle({genotype: Evaluation(0.5)})
    same = Genotype((replace(dead, dense_width=512), last), HardwareGene(adc_bits=6), "mine")
    assert oracle.evaluate(same) == Evaluation(0.5)
    with pytest.raises(StudyError, match="expected one of its 1 models"):
        oracle.evaluate(Genotype((dead, replace(last, dense_width=16))))


def test_two_answers_for_one_model_are_refused():
    one = Genotype((BlockGene(),))
    other = replace(one, hardware=HardwareGene())
    with pytest.raises(StudyError, match="expected one answer for each model"):
        TabularOracle({one: Evaluation(0.5), other: Evaluation(0.6)})


def test_a_table_with_the_two_needed_columns_is_enough(tmp_path):
    path = tmp_path / "answers.parquet"
    text = '{"blocks": [{"dense_ops": ["fc"], "sparse_ops": ["efc"]}]}'
    pl.DataFrame({"genotype": [text], "log_loss": [0.4]}).write_parquet(path)
    oracle = TabularOracle.from_parquet(path)
    assert oracle.evaluate(Genotype((BlockGene(),))) == Evaluation(0.4)


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"log_loss": [0.4]}, StudyError, "expected a column 'genotype'"),
        ({"genotype": ["{}"], "log_loss": ["x"]}, StudyError, "expected a table of answers"),
        ({"genotype": ["{}"], "log_loss": [0.4]}, GenotypeError, "row 1: blocks"),
        ({"genotype": [None], "log_loss": [0.4]}, StudyError, "row 1: expected a genotype"),
    ],
)
def test_a_bad_table_is_one_sentence(tmp_path, columns, error, message):
    path = tmp_path / "answers.parquet"
    pl.DataFrame(columns).write_parquet(path)
    with pytest.raises(error, match=message):
        TabularOracle.from_parquet(path)


def test_what_is_no_table_is_refused(tmp_path):
    path = tmp_path / "answers.parquet"
    with pytest.raises(StudyError, match=r"answers\.parquet: expected a table"):
        TabularOracle.from_parquet(path)
    path.write_text("genotype,log_loss")
    with pytest.raises(StudyError, match=r"answers\.parquet: expected a table"):
        TabularOracle.from_parquet(path)
