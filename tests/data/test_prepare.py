"""A prepared log is what row-by-row Python makes of it, whatever it is read from."""

from __future__ import annotations

import csv
import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import DATA, REPOSITORY
from data.logs import SMALL, arrays, content, good_lines, small_table, write_csv, write_parquet
from data.naive import bin_of, prepare_naively
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nasrec_opt.data import Dataset, Schema, prepare
from nasrec_opt.data._encoding import bin_integers
from nasrec_opt.data._vocabulary import FEW, FIRST, RARE
from nasrec_opt.errors import DataError

SEED = st.integers(0, 2**32 - 1)


@settings(max_examples=15, deadline=None)
@given(SEED, SEED, st.integers(10, 300), st.integers(1, 6), st.integers(1000, 9000))
def test_prepare_equals_row_by_row_python(tmp_path_factory, table_seed, seed, rows, least, size):
    folder, table = tmp_path_factory.mktemp("log"), small_table(rows, table_seed)
    source = write_csv(folder / "log.csv", table)
    prepare(source, folder / "out", format=SMALL, seed=seed, chunk_bytes=size)
    expected = prepare_naively(table, SMALL, seed, least)
    found = arrays(Dataset.open(folder / "out", min_count=least, binned_dense=True))
    assert found.keys() == expected.keys()
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-6, atol=1e-7, err_msg=name)
    dropped = prepare(source, folder / "cut", format=SMALL, seed=seed, min_count=least)
    for name, values in arrays(dropped).items():  # for good, the same ids
        kept = found[name][..., : values.shape[-1]]
        np.testing.assert_array_equal(values, kept, err_msg=name)


@given(st.floats(-1e9, 1e18) | st.integers(-(2**53), 2**53).map(float))
@example(0.0)
@example(-0.5)
def test_bins_are_floors_of_squared_logarithms(value):
    expected = [int(bin_of(repr(value))), None]
    assert bin_integers(pl.Series([value, None])).to_list() == expected
    assert bin_integers(pl.Series([value, None] * FEW)).to_list() == expected * FEW


@pytest.mark.parametrize("value", ["-1e300", "1e308", "-9223372036854775808"])
def test_huge_numbers_stay_finite(tmp_path, value):
    table = small_table(50, 0)
    for row in table[:20]:
        row["b"] = value
    dataset = prepare(write_csv(tmp_path / "log.csv", table), tmp_path / "out", format=SMALL)
    assert np.isfinite(dataset.split("train").rows(slice(None)).dense).all()


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A log of 1,500 rows, and the dataset made of it in one piece."""
    folder = tmp_path_factory.mktemp("reference")
    table = small_table(400, 3)
    prepare(write_csv(folder / "log.csv", table), folder / "out", format=SMALL, seed=5)
    return table, content(folder / "out")


@pytest.mark.parametrize("chunk_bytes", [40, 700, 5000])
def test_chunks_change_nothing(tmp_path, reference, chunk_bytes):
    table, expected = reference
    source = write_csv(tmp_path / "log.csv", table)
    prepare(source, tmp_path / "out", format=SMALL, seed=5, chunk_bytes=chunk_bytes)
    assert content(tmp_path / "out") == expected


def as_gzip(path: Path, text: bytes) -> None:
    half = text.index(b"\n", len(text) // 2) + 4  # two members, cut inside a line
    path.write_bytes(gzip.compress(text[:half]) + gzip.compress(text[half:]))


WRITERS = {
    "log.csv.gz": as_gzip,
    "gzip-without-its-suffix": as_gzip,
    "crlf.csv": lambda path, text: path.write_bytes(text.replace(b"\n", b"\r\n")),
    "bom.csv": lambda path, text: path.write_bytes(b"\xef\xbb\xbf" + text),
    "no-last-newline.csv": lambda path, text: path.write_bytes(text[:-1]),
    "crlf-no-last-newline.csv": lambda path, text: path.write_bytes(
        text.replace(b"\n", b"\r\n")[:-1]
    ),
}


@pytest.mark.parametrize("name", [*WRITERS, "log.parquet"])
@pytest.mark.parametrize("chunk_bytes", [999, 1 << 20])
def test_the_way_a_log_is_stored_changes_nothing(tmp_path, reference, name, chunk_bytes):
    table, expected = reference
    source = tmp_path / name
    if name in WRITERS:
        WRITERS[name](source, write_csv(tmp_path / "plain.csv", table).read_bytes())
    else:
        write_parquet(source, table)
    prepare(source, tmp_path / "out", format=SMALL, seed=5, chunk_bytes=chunk_bytes)
    assert content(tmp_path / "out") == expected


def test_threshold_of_the_schema_holds_unless_another_is_given(tmp_path):
    schema = Schema(label="y", sparse=("u", "v"), min_count=5)
    source = write_csv(tmp_path / "log.csv", small_table(300, 1))
    sizes = [
        prepare(source, tmp_path / "out", format=schema, min_count=least).features.cardinalities
        for least in (None, 5, 1)
    ]
    assert sizes[0] == sizes[1] != sizes[2]


@pytest.mark.parametrize("most", [1, 3, 1000])
def test_only_the_most_frequent_values_have_an_id_where_asked(tmp_path, most):
    source = write_csv(tmp_path / "log.csv", small_table(300, 1))
    prepare(source, tmp_path / "all", format=SMALL)
    dataset = prepare(source, tmp_path / "some", format=SMALL, max_values=most)
    assert max(dataset.features.cardinalities) <= FIRST + most
    ids = arrays(Dataset.open(tmp_path / "all", binned_dense=True))
    for name, values in arrays(Dataset.open(tmp_path / "some", binned_dense=True)).items():
        is_ids = values.dtype == np.int32
        kept = np.where(ids[name] < FIRST + most, ids[name], RARE) if is_ids else ids[name]
        np.testing.assert_array_equal(values, kept, err_msg=name)
    with pytest.raises(DataError, match="max_values: expected 1 or more, got 0"):
        prepare(source, tmp_path / "none", format=SMALL, max_values=0)


def test_progress_rises_to_its_end(tmp_path):
    source, seen = write_csv(tmp_path / "log.csv", small_table(300, 1)), []
    prepare(
        source, tmp_path / "out", format=SMALL, chunk_bytes=2000,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    done, totals = zip(*seen, strict=True)
    assert sorted(done) == list(done)
    assert done[-1] == totals[0]
    assert len(set(totals)) == 1
    assert len(seen) > 4


def test_a_log_is_read_once(tmp_path):
    source, calls = tmp_path / "log.txt", []
    source.write_text("\n".join(good_lines(50)) + "\n")

    def remove(done: int, total: int | None) -> None:
        source.unlink(missing_ok=True)
        calls.append(done)

    dataset = prepare(source, tmp_path / "out", progress=remove)
    assert len(calls) > 2
    assert sum(dataset.meta["rows"].values()) == 50
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not list((tmp_path / "out").glob(".*"))


def test_a_dataset_is_replaced_only_by_a_whole_one(tmp_path):
    source, out = write_csv(tmp_path / "log.csv", small_table(100, 1)), tmp_path / "out"
    prepare(source, out, format=SMALL)
    before = content(out)
    bad = write_csv(tmp_path / "bad.csv", [*small_table(100, 2), {"y": "2"}])
    with pytest.raises(DataError, match=r"bad\.csv:102"):
        prepare(bad, out, format=SMALL)
    assert content(out) == before
    prepare(write_csv(source, small_table(120, 2)), out, format=SMALL)
    assert content(out) != before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "log.csv", "out"]


def test_nothing_but_a_dataset_is_replaced(tmp_path):
    source = write_csv(tmp_path / "log.csv", small_table(100, 1))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    (tmp_path / "empty").mkdir()
    for name, reason in (
        ("full", "expected a new folder or a dataset, found something else"),
        ("log.csv", "expected a new folder or a dataset, found something else"),
        ("log.csv/below", "expected a path below a folder, found the file"),
    ):
        with pytest.raises(DataError, match=reason):
            prepare(source, tmp_path / name, format=SMALL)
    assert (tmp_path / "full" / "thesis.tex").read_text() == "mine"
    prepare(source, tmp_path / "empty", format=SMALL)
    assert Dataset.open(tmp_path / "empty").split("train").num_rows == 80


MEASURE = """
import sys
from pathlib import Path
from data.logs import SMALL
from nasrec_opt.data import prepare
prepare(Path(sys.argv[1]), Path(sys.argv[2]), format=SMALL, chunk_bytes=1 << 20)
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_memory_does_not_grow_with_the_log(tmp_path):
    table = small_table(1000, 1)
    for row in table:  # long values, few of them
        row["u"] = row["u"] * 400
    source, sizes, peaks = write_csv(tmp_path / "log.csv", table), [], []
    header, _, rows = source.read_bytes().partition(b"\n")
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "tests"), "POLARS_MAX_THREADS": "1"}
    for repeats in (20, 100):
        source.write_bytes(header + b"\n" + rows * repeats)
        sizes.append(source.stat().st_size >> 20)
        command = [sys.executable, "-c", MEASURE, source, tmp_path / "out"]
        peaks.append(int(subprocess.check_output(command, env=environment, text=True)))
        shutil.rmtree(tmp_path / "out")
    assert sizes[1] - sizes[0] > 60
    assert (peaks[1] - peaks[0]) >> 10 < (sizes[1] - sizes[0]) / 2  # MiB


@pytest.mark.skipif(not DATA.exists(), reason="no real logs here")
def test_real_logs(tmp_path):
    criteo = prepare(DATA / "criteo" / "criteo_sample.txt", tmp_path / "criteo")
    assert sum(criteo.meta["rows"].values()) == 109_854
    assert criteo.meta["click_rate"] == pytest.approx(0.256, abs=5e-4)
    assert criteo.column_names[1][:2] == ("C1", "C2")
    assert criteo.meta["dense_shifts"][1] in (3, 4)  # I2 goes down to -3
    frappe = prepare(
        DATA / "frappe" / "frappe.csv", tmp_path / "frappe", format=Schema(label="label")
    )
    assert (frappe.features.num_dense, frappe.features.num_sparse) == (0, 10)
    assert sum(frappe.meta["rows"].values()) == 69_269
    assert frappe.meta["click_rate"] == pytest.approx(0.330, abs=5e-4)
    schema = Schema(label="click", dropped=("id",), min_count=5)
    avazu = prepare(DATA / "avazu" / "avazu_sample.csv", tmp_path / "avazu", format=schema)
    assert (avazu.features.num_dense, avazu.features.num_sparse) == (0, 22)
    with (DATA / "avazu" / "avazu_sample.csv").open(newline="") as stream:
        labels = [row["click"] for row in csv.DictReader(stream)]
    assert sum(avazu.meta["rows"].values()) == len(labels)
    assert sum(avazu.meta["clicks"].values()) == labels.count("1")
