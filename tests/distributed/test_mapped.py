"""What is sent to another process comes out equal, and its arrays are not copied."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from nasrec_opt.distributed import NotSharedError
from nasrec_opt.distributed._mapped import read, read_bytes, share


def sent(value):
    with share(value) as file:
        return read(file.fileno())


def test_values_arrays_and_tensors_come_out_equal(tmp_path):
    np.save(tmp_path / "rows.npy", np.arange(12_000, dtype=np.float32).reshape(3000, 4))
    mapped = np.asarray(np.load(tmp_path / "rows.npy", mmap_mode="r"))
    values = {
        "few": np.arange(3),
        "many": np.arange(10_000).reshape(100, 100),
        "columns": np.asfortranarray(np.arange(10_000).reshape(100, 100)),
        "objects": np.array([{"a": 1}, None] * 1000, dtype=object),
        "mapped": mapped,
        "rest": mapped[1000:],
        "every other": mapped[::2],
        "nothing": torch.empty(0),
        "transposed": torch.arange(10_000.0).reshape(100, 100).T,
        "bfloat16": torch.arange(300.0).to(torch.bfloat16),
        "text": "text",
    }
    with torch.inference_mode():
        values["inference"] = torch.arange(2000.0) * 2
    found = sent(values)
    assert found.keys() == values.keys()
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            assert found[name].dtype == value.dtype
            np.testing.assert_array_equal(found[name], value)
        elif isinstance(value, torch.Tensor):
            assert found[name].dtype == value.dtype
            assert found[name].stride() == value.stride()
            assert torch.equal(found[name], value)
        else:
            assert found[name] == value


def test_an_array_of_a_file_stays_in_its_file(tmp_path):
    np.save(tmp_path / "rows.npy", np.zeros(1_000_000))
    rows = np.asarray(np.load(tmp_path / "rows.npy", mmap_mode="r"))
    with share({"rows": rows, "last": rows[500_000:]}) as file:
        assert file.seek(0, 2) < 10_000


def test_an_array_of_a_file_is_sent_to_who_does_not_have_it(tmp_path):
    np.save(tmp_path / "rows.npy", np.arange(1_000_000))
    rows = np.asarray(np.load(tmp_path / "rows.npy", mmap_mode="r"))
    with share({"rows": rows, "last": rows[500_000:]}, with_files=True) as file:
        (tmp_path / "rows.npy").unlink()
        file.seek(0)
        whole = np.frombuffer(file.read(), np.uint8)
    found = read_bytes(whole)
    np.testing.assert_array_equal(found["last"], np.arange(500_000, 1_000_000))
    assert np.shares_memory(found["rows"], whole)
    with pytest.raises(ValueError, match="read-only"):
        found["rows"][0] = 1


def test_memory_that_is_shared_is_written_once_and_stays_shared():
    table = torch.zeros(100_000)
    with share([table, table.view(100, 1000), table[:10], torch.nn.Parameter(table)]) as file:
        assert file.seek(0, 2) < 1.1 * table.nbytes
        whole, square, first, parameter = read(file.fileno())
    whole[:] = 1
    assert square.sum() == 100_000
    assert first.sum() == 10
    assert parameter.requires_grad
    assert parameter.sum() == 100_000
    assert table.sum() == 0  # a process keeps what it writes to itself


def test_a_module_keeps_its_function():
    module = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.BatchNorm1d(64)).eval()
    batch = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(sent(module)(batch), module(batch))


def test_what_cannot_be_sent_says_why():
    with pytest.raises(NotSharedError, match=r"TypeError: cannot pickle .*lock"):
        share({"lock": threading.Lock()})
    with pytest.raises(NotSharedError, match="a tensor is on meta"):
        share(torch.empty(3, device="meta"))
