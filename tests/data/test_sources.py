"""A log is the same wherever it is: compressed, in an archive, in a table, in several files."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import subprocess
import zipfile
from itertools import pairwise

import polars as pl
import pyarrow as pa
import pytest
from data.logs import GOOD, SMALL, content, small_table, write_csv, write_parquet

from nasrec_opt.data import Schema, prepare
from nasrec_opt.data._sources import find_log
from nasrec_opt.errors import DataError


def as_zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def as_lz4(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "lz4") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


PACKED = {
    ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": as_zstd,
    ".lz4": as_lz4,
}  # fmt: skip


def in_zip(path, *, method=zipfile.ZIP_DEFLATED, **members: bytes):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A log as bytes of CSV, and the dataset made of it."""
    folder = tmp_path_factory.mktemp("reference")
    source = write_csv(folder / "log.csv", small_table(400, 3))
    prepare(source, folder / "out", format=SMALL)
    return source.read_bytes(), content(folder / "out")


def prepared(source, folder, **options):
    prepare(source, folder / "out", **{"format": SMALL} | options)
    return content(folder / "out")


@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize("ending", PACKED)
def test_a_compressed_log_is_the_same_log(tmp_path, reference, ending, is_named):
    text, expected = reference
    half = text.index(b"\n", len(text) // 2) + 4  # two streams, cut inside a line
    source = tmp_path / (f"log.csv{ending.upper()}" if is_named else "log")
    source.write_bytes(PACKED[ending](text[:half]) + PACKED[ending](text[half:]))
    assert prepared(source, tmp_path, chunk_bytes=999) == expected


@pytest.mark.skipif(not shutil.which("zstd"), reason="no zstd here")
def test_the_tools_own_files_are_read(tmp_path, reference):
    text, expected = reference
    (tmp_path / "log.csv").write_bytes(text)
    subprocess.run(["zstd", "-q", "-19", tmp_path / "log.csv"], check=True)
    assert prepared(tmp_path / "log.csv.zst", tmp_path) == expected
    packed = bytearray((tmp_path / "log.csv.zst").read_bytes())
    packed[-6] ^= 1  # the tool writes a checksum
    (tmp_path / "log.csv.zst").write_bytes(packed)
    with pytest.raises(DataError, match=r"log\.csv\.zst: expected a whole zstd file, got: "):
        prepared(tmp_path / "log.csv.zst", tmp_path)


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, -1])
@pytest.mark.parametrize("ending", PACKED)
def test_a_truncated_archive_is_refused(tmp_path, reference, ending, cut):
    packed = PACKED[ending](reference[0] * 20)
    end = cut if cut < 0 else int(cut * len(packed))
    source = tmp_path / f"log.csv{ending}"
    source.write_bytes(packed[:end])
    with pytest.raises(DataError, match=r"log\.csv\.\w+: expected a whole \w+ file, got: "):
        prepared(source, tmp_path)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("at", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz"])  # .zst and .lz4 without a checksum
def test_a_damaged_archive_is_refused(tmp_path, reference, ending, at):
    packed = bytearray(PACKED[ending](reference[0] * 20))
    packed[int(at * len(packed))] ^= 0x10
    source = tmp_path / f"log.csv{ending}"
    source.write_bytes(packed)
    with pytest.raises(DataError, match=r"expected a whole \w+ file, got: ") as caught:
        prepared(source, tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_the_file_in_a_zip_archive_is_the_log(tmp_path, reference, method):
    text, expected = reference
    source = in_zip(tmp_path / "log.zip", method=method, **{"log.csv": text, "__MACOSX/x": b"x"})
    assert prepared(source, tmp_path) == expected
    nested = in_zip(tmp_path / "nested.ZIP", **{"log.csv.gz": gzip.compress(text)})
    assert prepared(nested, tmp_path, chunk_bytes=500) == expected


def test_files_in_a_zip_archive_are_several_files(tmp_path, reference):
    text, expected = reference
    header, *lines = text.splitlines(keepends=True)
    parts = {f"day_{i}.csv": header + b"".join(lines[i * 36 :][:36]) for i in range(12)}
    parts["day_11.csv"] += b"".join(lines[12 * 36 :])
    source = in_zip(tmp_path / "log.zip", **dict(reversed(parts.items())))
    assert prepared(source, tmp_path) == expected
    names = [f"{source}/{name}" for name in parts]
    assert prepared(names, tmp_path) == expected
    damaged = {
        name: data + b"2,1,u,x,v,1\n" * (name == "day_3.csv") for name, data in parts.items()
    }
    in_zip(source, **damaged)
    with pytest.raises(DataError, match=r"log\.zip/day_3\.csv:38: field y: expected 0 or 1, got"):
        prepared(source, tmp_path)
    with pytest.raises(DataError, match=r"log\.zip: expected a file day_77\.csv, found none"):
        prepared(source / "day_77.csv", tmp_path)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "encrypted", "workbook"])
def test_a_damaged_zip_archive_is_refused(tmp_path, reference, damage):
    source = in_zip(tmp_path / "log.zip", **{"log.csv": reference[0]})
    data = bytearray(source.read_bytes())
    if damage == "cut":
        data = data[:-30]
    elif damage == "flip":
        data[len(data) // 2] ^= 1
    elif damage == "encrypted":
        data[6] |= 1
        data[data.index(b"PK\1\2") + 8] |= 1
    source.write_bytes(data)
    if damage in ("empty", "workbook"):
        in_zip(source, **({} if damage == "empty" else {"[Content_Types].xml": b"x"}))
    with pytest.raises(DataError, match=r"log\.zip[^\n]*: expected ") as caught:
        prepared(source, tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [source]


def split_files(folder, reference, ending=".csv", pack=lambda data: data):
    header, *lines = reference[0].splitlines(keepends=True)
    folder.mkdir(parents=True, exist_ok=True)
    for i, (first, last) in enumerate([(0, 150), (150, 151), (151, 400)]):
        data = pack(header + b"".join(lines[first:last]))
        (folder / f"day_{9 + i}{ending}").write_bytes(data)  # 9, 10, 11: not in order of text


@pytest.mark.parametrize(
    "given", ["days", "days/*", "days/day_*.csv", "d*s/day_[0-9]*", "**/day_*.csv", list]
)
def test_files_are_read_one_after_the_other(tmp_path, reference, given, monkeypatch):
    split_files(tmp_path / "days", reference)
    (tmp_path / "days" / ".hidden").write_text("x")
    (tmp_path / "days" / "_SUCCESS").write_text("")
    monkeypatch.chdir(tmp_path)
    if given is list:
        given = [f"days/day_{i}.csv" for i in (11, 9, 10)]
    else:
        given = given.replace("/*", "/[!._]*") if given == "days/*" else given
    assert prepared(given, tmp_path, chunk_bytes=700) == reference[1]


def test_files_may_be_compressed_in_different_ways(tmp_path, reference):
    split_files(tmp_path / "days", reference)
    day = tmp_path / "days" / "day_10.csv"
    day.with_suffix(".csv.gz").write_bytes(gzip.compress(day.read_bytes()))
    day.unlink()
    seen = []
    prepare(
        tmp_path / "days", tmp_path / "out", format=SMALL, chunk_bytes=700,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert content(tmp_path / "out") == reference[1]
    totals = {total for _, total in seen}
    assert len(totals) == 1
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == totals.pop()


TABLES = {
    "parquet": (lambda frame, path: frame.write_parquet(path), ".PARQUET"),
    "feather": (lambda frame, path: frame.write_ipc(path), ".feather"),
    "compressed": (lambda frame, path: frame.write_ipc(path, compression="zstd"), ".arrow"),
    "stream": (lambda frame, path: frame.write_ipc_stream(path), ".arrows"),
    "without an ending": (lambda frame, path: frame.write_ipc_stream(path), ""),
}


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("parts", [1, 3])
def test_tables_are_the_same_log(tmp_path, reference, kind, parts):
    write, ending = TABLES[kind]
    frame = pl.read_parquet(write_parquet(tmp_path / "whole.parquet", small_table(400, 3)))
    (tmp_path / "days").mkdir()
    edges = [0, 7, 300, 400] if parts == 3 else [0, 400]
    for i, (first, last) in enumerate(pairwise(edges)):
        write(frame[first:last], tmp_path / "days" / f"day_{i}{ending}")
    source = tmp_path / "days" if parts > 1 else tmp_path / "days" / f"day_0{ending}"
    assert prepared(source, tmp_path) == reference[1]


@pytest.mark.parametrize("kind", ["feather", "compressed", "stream"])
@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_cut_table_is_refused(tmp_path, kind, cut):
    write, ending = TABLES[kind]
    frame = pl.read_parquet(write_parquet(tmp_path / "whole.parquet", small_table(400, 3)))
    write(frame, tmp_path / f"log{ending}")
    data = (tmp_path / f"log{ending}").read_bytes()
    (tmp_path / f"log{ending}").write_bytes(data[: int(cut * len(data))])
    with pytest.raises(DataError, match=r"log\.\w+: expected a whole Arrow( stream)? file, got: "):
        prepared(tmp_path / f"log{ending}", tmp_path)


def changed(folder, text: bytes) -> None:
    (folder / "days" / "day_10.csv").write_bytes(text)


REFUSED = {
    "missing column": (
        lambda folder: changed(folder, b"y,a,u,v,b\n1,1,u,v,1\n"),
        r"day_10\.csv: expected the columns of \S*day_9\.csv, got none called 'extra'",
    ),
    "added column": (
        lambda folder: changed(folder, b"y,a,u,extra,v,b,new\n1,1,u,x,v,1,2\n"),
        r"day_10\.csv: expected the columns of \S*day_9\.csv, got another, 'new'",
    ),
    "bad row": (
        lambda folder: changed(folder, b"y,a,u,extra,v,b\n1,1,u,x,v,z\n"),
        r"day_10\.csv:2: field b: expected a finite number or a missing value, got 'z'",
    ),
    "another kind": (
        lambda folder: write_parquet(folder / "days" / "day_8.parquet", small_table(20, 0)),
        r"day_9\.csv: expected a file of the same kind as \S*day_8\.parquet, Parquet, got text",
    ),
    "partitions": (
        lambda folder: split_files(folder / "days" / "date=1", [b"y,a\n1,2\n" * 400]),
        r"days: expected files that hold all columns, found one that is only in the name of the ",
    ),
    "nothing": (lambda folder: shutil.rmtree(folder / "days"), "days: expected a click log, found"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_do_not_fit_are_refused(tmp_path, reference, name):
    split_files(tmp_path / "days", reference)
    change, sentence = REFUSED[name]
    change(tmp_path)
    with pytest.raises(DataError, match=sentence):
        prepared(tmp_path / "days", tmp_path)
    assert not (tmp_path / "out").exists()


def test_columns_may_come_in_another_order(tmp_path, reference):
    split_files(tmp_path / "days", reference)
    frame = pl.read_csv(tmp_path / "days" / "day_10.csv", infer_schema=False)
    frame.select(sorted(frame.columns)).write_csv(tmp_path / "days" / "day_10.csv")
    assert prepared(tmp_path / "days", tmp_path) == reference[1]


def test_a_category_is_spelled_alike_in_all_files(tmp_path):
    for name, kind in (("a", pl.Int32), ("b", pl.Int64), ("c", pl.Null)):
        values = pl.Series([None if kind == pl.Null else 5] * 20, dtype=kind)
        frame = pl.DataFrame({"y": [0, 1] * 10, "u": values})
        frame.write_parquet(tmp_path / f"{name}.parquet")
    prepared(tmp_path / "*.parquet", tmp_path, format=Schema(label="y"))
    frame.with_columns(u=5.0).write_parquet(tmp_path / "d.parquet")
    with pytest.raises(DataError, match=r"d\.parquet: field u: expected int32 as in \S*a\.parquet"):
        prepared(tmp_path / "*.parquet", tmp_path, format=Schema(label="y"))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([], "source: expected at least one file, got an empty list"),
        ("*.csv", r"\*\.csv: expected files of this pattern, found none"),
        (["log.txt", "./log.txt"], r"log\.txt: expected each file once, got it twice"),
        ("log.txt/day_1", "day_1: expected a click log, found nothing there"),
        ("log.tar.gz", r"log\.tar\.gz: expected a click log, found a tar archive; unpack it"),
        ("log.7z", r"log\.7z: expected a click log, found a 7z archive"),
        ("log.parquet.gz", r"log\.parquet\.gz: expected compressed text, found compressed Parquet"),
        ("deep.gz", r"deep\.gz: expected text compressed once or twice, got more layers"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path, given, sentence, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.txt").write_text(f"{GOOD}\n" * 20)
    shutil.make_archive("log", "gztar", tmp_path, "log.txt")
    (tmp_path / "log.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(100))
    (tmp_path / "log.parquet.gz").write_bytes(gzip.compress(b"PAR1" + bytes(100)))
    data = b"x"
    for _ in range(5):
        data = gzip.compress(data)
    (tmp_path / "deep.gz").write_bytes(data)
    with pytest.raises(DataError, match=sentence):
        prepare(given, tmp_path / "out")


def test_a_stamp_follows_every_file(tmp_path, reference):
    split_files(tmp_path / "days", reference)
    stamps = [find_log(tmp_path / "days").stamp()]
    day = tmp_path / "days" / "day_10.csv"
    day.write_bytes(day.read_bytes().replace(b"x", b"z"))
    stamps.append(find_log(tmp_path / "days").stamp())
    day.unlink()
    stamps.append(find_log(tmp_path / "days").stamp())
    stamps.append(find_log(tmp_path / "days" / "day_9.csv").stamp())
    assert len(set(stamps)) == 4
