"""The study of on-chip memory for embedding rows: its lines are what the cost model says."""

from __future__ import annotations

import numpy as np
import pytest
from data.logs import SMALL, small_table, write_csv

from hw import ReRAM
from nasrec_opt.data import Dataset, prepare
from nasrec_opt.lowering import configure, lower
from studies import hot_rows
from studies.pim_claims import read_designs


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    out = tmp_path_factory.mktemp("log")
    source = write_csv(out / "log.csv", small_table(600, 4))
    return prepare(source, out / "dataset", format=SMALL)


def test_a_page_gets_a_line_for_each_size(dataset, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- hot rows -->\n<!-- end -->\nafter\n")
    assert hot_rows.main([f"mine={dataset.path}", "--write", str(page)]) == 0
    table = capsys.readouterr().out
    assert page.read_text() == f"before\n<!-- hot rows -->\n{table}<!-- end -->\nafter\n"
    lines = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    assert [line[3] for line in lines] == ["0", "16", "64", "256", "1,024", "4,096"]
    train = dataset.split("train").rows(slice(None)).sparse
    counts = np.sort(np.concatenate([np.bincount(column) for column in train.T]))[::-1]
    hit = counts[:256].sum() / counts.sum()  # 16 KiB have room for 256 rows of 64 bytes
    assert lines[1][4] == f"{hit:.0%}"
    design = read_designs(hot_rows.DESIGNS)[0][0]
    cost = configure(ReRAM(), design.hardware).cost(lower(design, dataset.features))
    assert lines[0][5:7] == [f"{cost.latency_ns / 1e3:.2f}", f"{cost.energy_pj / 1e6:.3f}"]
    energies = [float(line[6]) for line in lines]
    assert energies[1] < energies[0]


def test_what_is_no_dataset_is_one_sentence(tmp_path, capsys):
    for log, sentence in (("here", "expected NAME=DATASET"), (f"x={tmp_path}", "dataset")):
        assert hot_rows.main([log]) == 2
        assert sentence in capsys.readouterr().err
