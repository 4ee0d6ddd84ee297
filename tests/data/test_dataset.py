"""A dataset reads as its reader wants it, and a damaged one is one sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest
from data.logs import SMALL, arrays, small_table, write_csv

from nasrec_opt.data import Dataset, JoinedSplit, Schema, prepare
from nasrec_opt.errors import DataError

ROWS = 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("dataset")
    prepare(write_csv(out / "log.csv", small_table(ROWS, 4)), out / "dataset", format=SMALL)
    return out / "dataset"


@pytest.fixture
def damaged(tmp_path):
    """A dataset that a test may damage."""
    source = write_csv(tmp_path / "log.csv", small_table(50, 4))
    prepare(source, tmp_path / "dataset", format=SMALL)
    return tmp_path / "dataset"


@pytest.mark.parametrize("binned", [False, True])
@pytest.mark.parametrize("least", [1, 3, 1000])
def test_a_threshold_makes_rare_what_fewer_training_rows_have(folder, least, binned):
    full = arrays(Dataset.open(folder, binned_dense=binned))
    dataset = Dataset.open(folder, min_count=least, binned_dense=binned)
    train = full["train/sparse"]
    counts = [np.bincount(column) for column in train.T]
    kept = [2 + int((count[2:] >= least).sum()) for count in counts]
    assert dataset.features.cardinalities == tuple(kept)
    assert dataset.features.num_sparse == len(dataset.column_names[1]) == (4 if binned else 2)
    for name, values in arrays(dataset).items():
        expected = full[name].copy()
        if name.endswith("sparse"):
            for column, count in zip(expected.T, counts, strict=True):
                is_known = (column > 1) & (column < len(count))
                column[is_known & (count[np.minimum(column, len(count) - 1)] < least)] = 0
        np.testing.assert_array_equal(values, expected, err_msg=name)


@pytest.mark.parametrize("binned", [False, True])
@pytest.mark.parametrize("least", [1, 3])
def test_rows_are_counted_as_often_as_training_rows_read_them(folder, least, binned, monkeypatch):
    monkeypatch.setattr("nasrec_opt.data._dataset.COUNTED_AT_ONCE", 7)
    dataset = Dataset.open(folder, min_count=least, binned_dense=binned)
    train, sizes = arrays(dataset)["train/sparse"], dataset.features.cardinalities
    expected = [sum(c == i for c in column) for size, column in zip(sizes, train.T, strict=True)
                for i in range(size)]  # fmt: skip
    assert dataset.row_counts().tolist() == expected


def test_types_and_names(folder):
    dataset = Dataset.open(folder, binned_dense=True)
    assert dataset.column_names == (("a", "b"), ("u", "v", "a (binned)", "b (binned)"))
    batch = dataset.split("test").rows(np.array([5, 1, 5]))
    assert [x.dtype for x in batch[:3]] == [np.float32, np.int32, np.float32]
    assert batch.weights is None
    assert [x.shape for x in batch[:3]] == [(3, 2), (3, 4), (3,)]
    whole = dataset.split("test").rows(slice(None))
    for some, values in zip(batch[:3], whole[:3], strict=True):
        np.testing.assert_array_equal(some, values[[5, 1, 5]])
        some[:] = 1  # a copy, to be written to
    assert dataset.bayes_log_loss is None


def test_fingerprint_tells_data_and_views_apart(folder, tmp_path):
    other = write_csv(tmp_path / "log.csv", small_table(ROWS, 5))
    same = write_csv(tmp_path / "same.csv", small_table(ROWS, 4))
    prints = [
        Dataset.open(folder).fingerprint,
        Dataset.open(folder, min_count=2).fingerprint,
        Dataset.open(folder, binned_dense=True).fingerprint,
        prepare(other, tmp_path / "other", format=SMALL).fingerprint,
        prepare(same, tmp_path / "seed", format=SMALL, seed=1).fingerprint,
    ]
    assert len(set(prints)) == len(prints)
    assert prepare(same, tmp_path / "same", format=SMALL).fingerprint == prints[0]


def test_a_log_without_dense_columns(tmp_path):
    source = write_csv(tmp_path / "log.csv", small_table(100, 1))
    schema = Schema(label="y", dropped=("a", "b"))
    dataset = prepare(source, tmp_path / "out", format=schema)
    assert dataset.column_names == ((), ("u", "extra", "v"))
    assert dataset.features.num_dense == 0
    batches = list(dataset.split("train").batches(32, seed=0))
    assert [batch.dense.shape for batch in batches] == [(32, 0), (32, 0), (16, 0)]
    assert Dataset.open(tmp_path / "out", binned_dense=True).features.num_sparse == 3


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("name", "damage", "sentence"),
    [
        ("train/dense.npy", lambda p: p.unlink(), "expected an array, got: "),
        ("train/sparse.npy", cut, "expected an array, got: "),
        ("test/labels.npy", lambda p: p.write_bytes(b""), "expected an array, got: "),
        ("validation/labels.npy", lambda p: p.write_bytes(b"x" * 99), "expected an array, got: "),
        ("train/labels.npy", lambda p: np.save(p, np.zeros(7, np.uint8)), "expected uint8 [40]"),
        ("train/dense.npy", lambda p: np.save(p, np.zeros((40, 2))), "expected float32 [40, 2]"),
        ("counts.npy", lambda p: p.unlink(), "expected an array, got: "),
        ("counts.npy", lambda p: np.save(p, np.zeros(3, np.int64)), "expected int64 ["),
        ("dataset.json", lambda p: p.write_text('{"version'), "expected a dataset's"),
        ("dataset.json", lambda p: p.write_bytes(b"\xff"), "expected a dataset's description"),
        ("dataset.json", lambda p: p.write_text("[]"), "expected version 1, got None"),
        ("dataset.json", lambda p: change(p, version=2), "expected version 1, got 2"),
        ("dataset.json", lambda p: p.write_text('{"version": 1}'), "expected a key 'rows'"),
    ],
)
def test_a_damaged_dataset_is_one_sentence(damaged, name, damage, sentence):
    damage(damaged / name)
    with pytest.raises(DataError) as caught:
        read_all(damaged)
    assert str(caught.value).startswith(f"{damaged / name}: {sentence}")


def read_all(folder):
    arrays(Dataset.open(folder))


def test_what_is_no_dataset_is_one_sentence(tmp_path, folder):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DataError, match=r"expected a dataset, found no dataset\.json"):
            Dataset.open(path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="file"):
        Dataset.open(tmp_path / "file")
    with pytest.raises(DataError, match="min_count: expected 1 or more, got 0"):
        Dataset.open(folder, min_count=0)
    with pytest.raises(DataError, match="expected one of train, validation, test, got 'dev'"):
        Dataset.open(folder).split("dev")


def test_joined_splits_have_the_rows_of_one_after_those_of_the_other(folder):
    dataset = Dataset.open(folder, min_count=3, binned_dense=True)
    splits = [dataset.split(name) for name in ("train", "validation", "test")]
    joined = JoinedSplit(*splits)
    assert joined.num_rows == ROWS
    parts = [split.rows(slice(None))[:3] for split in splits]
    whole = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    for index in (slice(None), slice(100, 500), np.array([599, 0, 480, 481, 3, 0, 540])):
        *arrays, weights = joined.rows(index)
        assert weights is None
        for found, values in zip(arrays, whole, strict=True):
            assert found.dtype == values.dtype
            np.testing.assert_array_equal(found, values[index])
    labels = [batch.labels for batch in joined.batches(7, seed=3)]
    assert sum(map(len, labels)) == ROWS
    assert np.concatenate(labels).sum() == whole[2].sum()


def test_joined_splits_keep_weights(folder):
    dataset = Dataset.open(folder)
    splits = [dataset.split(name) for name in ("train", "validation")]
    numbers = [np.arange(split.num_rows, dtype=np.float32) for split in splits]
    for split, weights in zip(splits, numbers, strict=True):
        split._arrays["weights"] = weights
    found = JoinedSplit(*splits).rows(np.array([500, 2, 481])).weights
    assert found is not None
    assert found.tolist() == np.concatenate(numbers)[[500, 2, 481]].tolist()
