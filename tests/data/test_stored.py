"""A dataset and a preprocessor of the first version are read as they were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data.logs import SMALL, arrays, small_table, write_csv

from nasrec_opt.data import Dataset, Preprocessor, prepare

STORED = Path(__file__).parent / "stored_1"  # of 60 rows of `small_table(60, 1)`


def test_a_stored_dataset_is_what_the_same_log_gives_today(tmp_path):
    today = prepare(
        write_csv(tmp_path / "l.csv", small_table(60, 1)), tmp_path / "out", format=SMALL
    )
    stored = Dataset.open(STORED)
    assert stored.features == today.features
    assert not stored.is_weighted
    found = arrays(stored)
    for name, values in arrays(today).items():
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize("folder", [STORED, STORED / "preprocessor"])
def test_a_stored_preprocessor_reads_rows_as_its_dataset_does(tmp_path, folder):
    source = write_csv(tmp_path / "l.csv", small_table(60, 1))
    [rows] = Preprocessor.load(folder).read(source)
    prepare(source, tmp_path / "out", format=SMALL)
    [expected] = Preprocessor.load(tmp_path / "out").read(source)
    np.testing.assert_array_equal(rows.sparse, expected.sparse)
    np.testing.assert_array_equal(rows.dense, expected.dense)
    assert Preprocessor.load(folder).digest() == Preprocessor.load(tmp_path / "out").digest()
