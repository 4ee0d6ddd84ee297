"""A dataset is there whole or not at all, and is made only where something has changed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY
from data.logs import SMALL, content, small_table, write_csv

from nasrec_opt.data import Dataset, prepare
from nasrec_opt.errors import DataError


def run(code: str, *arguments: object, **options) -> subprocess.Popen:
    paths = f"{REPOSITORY / 'tests'}{os.pathsep}{REPOSITORY}"
    environment = os.environ | {"PYTHONPATH": paths, "POLARS_MAX_THREADS": "1"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, text=True, **options)


def prepared(source: Path, out: Path, **options) -> tuple[bool, dict]:
    """Whether the log was read, and what the folder holds."""
    seen = []
    prepare(source, out, format=SMALL, progress=lambda *done: seen.append(done), **options)
    return bool(seen), content(out)


def test_a_second_time_nothing_is_done(tmp_path):
    source, out = write_csv(tmp_path / "log.csv", small_table(100, 1)), tmp_path / "out"
    assert prepared(source, out)[0]
    was = (out / "dataset.json").stat()
    assert not prepared(source, out)[0]
    assert not prepared(source, out, chunk_bytes=500)[0]
    for least in (1, 3):  # thresholds of a reader keep the vocabulary
        Dataset.open(out, min_count=least, binned_dense=True)
    assert (out / "dataset.json").stat() == was
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "out"]


@pytest.mark.parametrize("change", ["seed", "min_count", "row", "touch", "file", "damage"])
def test_what_has_changed_is_made_again(tmp_path, change):
    table = small_table(100, 1)
    source, out = write_csv(tmp_path / "log.csv", table), tmp_path / "out"
    options = {"seed": {"seed": 1}, "min_count": {"min_count": 2}}.get(change, {})
    before = prepared(source, out)[1]
    if change == "row":
        write_csv(source, [*table[:50], table[50] | {"a": "77"}, *table[51:]])
    elif change == "touch":
        os.utime(source, (1, 1))
    elif change == "file":
        source = source.rename(tmp_path / "other.csv")
    elif change == "damage":
        (out / "train" / "dense.npy").unlink()
    is_read, after = prepared(source, out, **options)
    assert is_read
    assert (after == before) == (change in ("touch", "file", "damage"))


WAITING = """
import sys
from data.logs import SMALL
from nasrec_opt.data import prepare
def wait(done, total):
    if done == total // 2:  # the first pass is over
        print("ready", flush=True)
        sys.stdin.readline()
prepare(sys.argv[1], sys.argv[2], format=SMALL, progress=wait)
"""


def test_two_processes_do_not_make_one_dataset(tmp_path):
    source, out = write_csv(tmp_path / "log.csv", small_table(100, 1)), tmp_path / "new" / "out"
    with run(WAITING, source, out, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(DataError, match="out: another process prepares this dataset"):
            prepare(source, out, format=SMALL)
        other.communicate("\n")
    assert other.returncode == 0
    assert not prepared(source, out)[0]
    assert list((tmp_path / "new").iterdir()) == [out]


KILLED = """
import os, signal, sys
from data.logs import SMALL
from nasrec_opt.data import prepare
events = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir")
count, last = 0, int(sys.argv[3])
def hook(event, _):
    global count
    if event in events:
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)
prepare(sys.argv[1], sys.argv[1] + "-first", format=SMALL)  # everything is imported
sys.addaudithook(hook)
prepare(sys.argv[1], sys.argv[2], format=SMALL, seed=1)
print(count)
"""


@pytest.mark.parametrize("is_there", [False, True])
def test_a_kill_at_any_moment_leaves_no_half_dataset(start_code, tmp_path, is_there):
    source = write_csv(tmp_path / "log.csv", small_table(60, 1))
    prepare(source, tmp_path / "expected", format=SMALL, seed=1)
    prepare(source, tmp_path / "other", format=SMALL)
    expected, other = content(tmp_path / "expected"), content(tmp_path / "other")
    out = tmp_path / "folder" / "out"
    if is_there:
        prepare(source, out, format=SMALL)
    moments = int(start_code(KILLED, source, tmp_path / "counted", -1).wait().stdout)
    assert moments > 20
    if is_there:
        moments += 8  # the old folder is removed as well
    killed = 0
    for moment in sorted({2, *range(6, moments, 14), *range(moments - 4, moments)}):
        process = start_code(KILLED, source, out, moment).wait()
        killed += process.returncode == -signal.SIGKILL
        if out.exists():
            assert content(out) in ((other, expected) if is_there else (expected,)), moment
        prepare(source, out, format=SMALL, seed=1)
        assert content(out) == expected, moment
        assert [path.name for path in out.parent.iterdir()] == ["out"], moment
        if is_there:
            prepare(source, out, format=SMALL)
        else:
            (out / "dataset.json").write_text("{}")  # made again next time
            subprocess.run(["rm", "-r", out], check=True)
    assert killed > 5


FULL = """
import resource, sys
from nasrec_opt.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop()),) * 2)
main()
"""
SHOP = 'label = "y"\ndense = ["a", "b"]\nsparse = ["u", "v"]\n'


@pytest.mark.parametrize("room", [0, 100, 1000, 2300])
def test_a_full_disk_is_one_sentence(tmp_path, room):
    (tmp_path / "shop.toml").write_text(SHOP)
    source, out = write_csv(tmp_path / "log.csv", small_table(400, 1)), tmp_path / "new" / "out"
    command = ["prepare", source, "--format", tmp_path / "shop.toml", "--out", out, room]
    with run(FULL, *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        _, error = process.communicate()
    assert process.returncode == 2, error
    [sentence] = [line for line in error.splitlines() if line.startswith("nasrec-opt: ")]
    assert re.search(r"out: expected (room for the dataset|a folder that can be wr)", sentence)
    assert "Traceback" not in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "shop.toml"]


def test_a_dataset_of_before_is_made_again(tmp_path):
    source, out = write_csv(tmp_path / "log.csv", small_table(100, 1)), tmp_path / "out"
    prepare(source, out, format=SMALL)
    meta = json.loads((out / "dataset.json").read_text())
    del meta["made_of"]
    (out / "dataset.json").write_text(json.dumps(meta))
    assert prepared(source, out)[0]
