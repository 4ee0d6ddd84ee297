"""A byte-order mark at the head of any file that people write is read; UTF-16 is one sentence."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import hw
from hw.errors import HwError
from nasrec_opt._files import read_json
from nasrec_opt.cli import app
from nasrec_opt.data import Dataset, Schema, prepare
from nasrec_opt.errors import NasrecError
from nasrec_opt.pipeline import StudyConfig
from nasrec_opt.space import Genotype, SearchSpace

MARK = b"\xef\xbb\xbf"
CSV = "clicked,price,city\n" + "".join(f"{i % 2},{i},c{i % 3}\n" for i in range(40))
CRITEO = "".join(f"{i % 2}\t" + "\t".join(["1"] * 13 + ["0a"] * 26) + "\n" for i in range(40))
SHOP = Schema(label="clicked", dense=("price",))
GENOTYPE = SearchSpace.nasrec_small(2).sample(np.random.default_rng(0)).to_json()


def log(path: Path, format: object) -> object:  # noqa: A002
    dataset = prepare(path, path.parent / "out", format=format)  # type: ignore[arg-type]
    return dataset.fingerprint, dataset.column_names


def shown(path: Path) -> object:
    """What the command line says of a genotype."""
    result = CliRunner().invoke(app, ["cost", str(path), "--json"], catch_exceptions=False)
    return json.loads(result.stdout)


def dataset(path: Path) -> object:
    """A dataset whose description somebody opened in an editor."""
    folder = path.parent / "dataset"
    (path.parent / "log.csv").write_text(CSV)
    prepare(path.parent / "log.csv", folder, format=SHOP)
    meta = (folder / "dataset.json").read_bytes()
    head = path.read_bytes().removesuffix(b"{}")
    (folder / "dataset.json").write_bytes(head + meta)
    return Dataset.open(folder).column_names


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "study.toml": ("name = 'x'\nseed = 3\n", StudyConfig.from_toml),
    "schema.toml": ("label = 'clicked'\n", Schema.from_toml),
    "space.toml": ("preset = 'nasrec_small'\nnum_blocks = 2\n", SearchSpace.from_toml),
    "technology.toml": ("[dac]\nbits = 2\n", lambda path: hw.ReRAM.from_toml(path).technology),
    "cpu.toml": ("kind = 'cpu'\n[cpu]\npeak_gflops = 3\n", hw.read_accelerator),
    "genotype.json": (GENOTYPE, shown),
    "results.json": ('{"models": []}', read_json),
    "log.csv": (CSV, lambda path: log(path, SHOP)),
    "log.tsv": (
        CSV.replace(",", "\t"),
        lambda path: log(path, Schema(label="clicked", dense=("price",), separator="\t")),
    ),
    "criteo.txt": (CRITEO, lambda path: log(path, "criteo")),
    "dataset.json": ("{}", dataset),
}


@pytest.mark.parametrize("name", READERS)
def test_a_byte_order_mark_changes_nothing(tmp_path, name):
    text, read = READERS[name]
    (tmp_path / name).write_bytes(text.encode())
    expected = read(tmp_path / name)
    (tmp_path / name).write_bytes(MARK + text.encode())
    assert repr(read(tmp_path / name)) == repr(expected)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", [name for name in READERS if name != "dataset.json"])
def test_utf_16_is_one_sentence(tmp_path, name, encoding):
    text, read = READERS[name]
    (tmp_path / name).write_bytes(text.encode(encoding))
    with pytest.raises((NasrecError, HwError, ValueError)) as caught:
        read(tmp_path / name)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert encoding[:6].upper() in sentence
    assert "save it as UTF-8" in sentence


@pytest.mark.parametrize("name", ["log.csv", "criteo.txt"])
def test_a_byte_order_mark_inside_gzip_changes_nothing(tmp_path, name):
    text, read = READERS[name]
    (tmp_path / name).write_bytes(text.encode())
    expected = read(tmp_path / name)
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(MARK + text.encode()))
    assert read(tmp_path / f"{name}.gz") == expected
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode("utf-16")))
    with pytest.raises(NasrecError, match="expected UTF-8 text, got UTF-16 text"):
        read(tmp_path / f"{name}.gz")


def test_a_genotype_of_a_text_with_a_mark_is_read():
    assert Genotype.from_json(f"\ufeff{GENOTYPE}") == Genotype.from_json(GENOTYPE)


@pytest.mark.parametrize("head", [b"PK\x03\x04", b"BZh91AY&SY", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"])
def test_a_packed_log_is_one_sentence(tmp_path, head):
    (tmp_path / "log.csv").write_bytes(head + bytes(range(256)) * 10)
    with pytest.raises(NasrecError, match=r"expected a whole (zip|bzip2|xz|zstd) file, got: "):
        log(tmp_path / "log.csv", SHOP)
