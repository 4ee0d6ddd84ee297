"""Damaged logs are read, or refused in one sentence; a small part of benchmarks/fuzz_readers.py."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fuzz_readers import HEADERLESS, PACKERS, SHOP, make_input, read, tables, texts


def outcome(folder, seed: int, number: int) -> str:
    name, data, schema = make_input(seed, number)
    (folder / name).write_bytes(data)
    size = int(np.random.default_rng([seed, number, 1]).choice([1, 99, 1 << 20]))
    return read(folder / name, schema, size)


@pytest.mark.parametrize(
    ("seed", "number"),
    [
        (1, 5294),  # a mapped Arrow stream ended the process
        (1, 7426),
        (2, 9971),  # a dictionary with offsets out of bounds did
        (2, 13404),
        (2, 42344),
        (2, 11799),  # a name of a column that is no UTF-8
        (2, 42520),  # an archive whose list of files ends early
    ],
)
def test_faults_of_before(tmp_path, seed, number):
    assert "expected " in outcome(tmp_path, seed, number)


@settings(max_examples=100, deadline=None)
@given(number=st.integers(0, 2**31))
def test_mutated_logs_are_read_or_refused(tmp_path_factory, number):
    outcome(tmp_path_factory.mktemp("log"), 0, number)


@settings(max_examples=50, deadline=None)
@given(text=st.text(st.sampled_from('01,"\n\r\tü x\0'), max_size=60), size=st.integers(1, 70))
def test_any_text_is_read_or_refused(tmp_path_factory, text, size):
    path = tmp_path_factory.mktemp("log") / "log.csv"
    for schema, head in ((HEADERLESS, ""), (SHOP, "y,a,u\n")):
        path.write_bytes((head + text).encode())
        read(path, schema, size)


@pytest.mark.parametrize(
    "name", [*tables(), *(f"{text}{end}" for text in texts() for end in PACKERS)]
)
def test_logs_that_are_not_mutated_are_read(tmp_path, name):
    if name in tables():
        data, schema = tables()[name], SHOP
    else:
        text, _, ending = name.partition(".")
        data, schema = texts()[text]
        data = PACKERS[f".{ending}" if ending else ""](data)
    (tmp_path / name).write_bytes(data)
    assert read(tmp_path / name, schema, 99) == "read"
