"""Damaged logs at the readers: each is read, or refused in one sentence.

    python benchmarks/fuzz_readers.py --inputs 100000 --seed 0

Small logs of every kind are mutated: bits and bytes, ranges removed, repeated or taken from another
log, text before it is compressed. Inputs are read in a process of their own, so that a crash is
found too. What is found is printed, with the seed and number that make the input again.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import io
import lzma
import multiprocessing
import re
import signal
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nasrec_opt.data import Schema
from nasrec_opt.data._reading import read_chunks, resolved
from nasrec_opt.data._sources import find_log
from nasrec_opt.errors import DataError

ROWS = 24
SHOP = Schema(label="y", dense=("a",))
HEADERLESS = Schema(label="y", dense=("a",), columns=("y", "a", "u", "v"))
CRITEO = Schema.criteo()
TOKENS = [  # what breaks parsers
    b'"', b'""', b",", b"\t", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe",
    b"nan", b"inf", b"-inf", b"1e999", b"9223372036854775808", b"-9223372036854775809", b"1_0",
    "\N{ARABIC-INDIC DIGIT THREE}".encode(), "\N{LINE SEPARATOR}".encode(), b"true", b"1.0", b" ",
    b"PAR1", b"ARROW1\0\0", b"\x1f\x8b", b"PK\3\4", b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 8,
]  # fmt: skip
SECONDS = 60  # after which an input counts as one that never ends


@cache
def texts() -> dict[str, tuple[bytes, Schema]]:
    """Logs of text, and how they are laid out."""
    quoted = [f'{i % 2},{i},"a ""{i % 3}"", b","line\n{i % 2}"' for i in range(ROWS)]
    plain = [f"{i % 2},{i / 2},u{i % 3},ü{i % 5}" for i in range(ROWS)]
    criteo = ["\t".join([str(i % 2), *["3"] * 13, *["0a1b2c3d"] * 26]) for i in range(ROWS)]
    return {
        "csv": ("\n".join(["y,a,u,v", *plain, ""]).encode(), SHOP),
        "quoted": ("\n".join(["y,a,u,v", *quoted, ""]).encode(), SHOP),
        "headerless": ("\n".join([*plain, ""]).encode(), HEADERLESS),
        "criteo": ("\n".join([*criteo, ""]).encode(), CRITEO),
    }


def _with_arrow(codec: str) -> Callable[[bytes], bytes]:
    def pack(data: bytes) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, codec) as stream:
            stream.write(data)
        packed: bytes = sink.getvalue().to_pybytes()
        return packed

    return pack


def _zip(data: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log.csv", data)
    return sink.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress,
    ".zst": _with_arrow("zstd"), ".lz4": _with_arrow("lz4"), ".zip": _zip,
}  # fmt: skip


@cache
def tables() -> dict[str, bytes]:
    """Tables of Parquet and Arrow."""
    table = pa.table(
        {
            "y": pa.array([i % 2 for i in range(ROWS)], pa.int8()),
            "a": pa.array([None if i % 5 == 0 else i / 2 for i in range(ROWS)]),
            "u": pa.array([f"ü{i % 3}" for i in range(ROWS)]),
            "v": pa.array(["x", None, "y"] * (ROWS // 3)).dictionary_encode(),
            "w": pa.array([b"x", b"", "ü".encode()] * (ROWS // 3), pa.binary()),
            "t": pa.array(range(ROWS), pa.timestamp("ms", "UTC")),
            "d": pa.array(range(ROWS)).cast(pa.decimal128(21, 2)),
        }
    )
    found = {}
    for name, options in {
        "plain.parquet": {"compression": "none", "use_dictionary": False},
        "snappy.parquet": {"row_group_size": 7},
        "pages.parquet": {"compression": "zstd", "data_page_version": "2.0"},
    }.items():
        stream = io.BytesIO()
        pq.write_table(table, stream, **options)
        found[name] = stream.getvalue()
    for name, new in (("log.arrow", pa.ipc.new_file), ("log.arrows", pa.ipc.new_stream)):
        stream = io.BytesIO()
        with new(stream, table.schema) as writer:
            writer.write_table(table, max_chunksize=10)
        found[name] = stream.getvalue()
    return found


def mutated(data: bytes, rng: np.random.Generator, other: bytes) -> bytes:
    """Data with one to four changes."""
    for _ in range(rng.integers(1, 5)):
        at, length = int(rng.integers(len(data) + 1)), int(rng.geometric(0.1))
        token = TOKENS[rng.integers(len(TOKENS))]
        match int(rng.integers(8)):
            case 0 if at < len(data):  # a bit
                data = data[:at] + bytes([data[at] ^ (1 << rng.integers(8))]) + data[at + 1 :]
            case 1:
                data = data[:at] + token + data[at:]
            case 2:
                data = data[:at] + token + data[at + len(token) :]
            case 3:
                data = data[:at] + data[at + length :]
            case 4:
                data = data[: at + length] + data[at:]
            case 5:
                data = data[:at] + rng.bytes(length) + data[at + length :]
            case 6 if rng.random() < 0.3:
                data = data[:at]
            case _:
                start = int(rng.integers(len(other) + 1))
                data = data[:at] + other[start : start + length] + data[at:]
    return data


def make_input(seed: int, number: int) -> tuple[str, bytes, Schema]:
    """The name of a file, its bytes, and the schema to read it with."""
    rng = np.random.default_rng([seed, number])
    if rng.random() < 0.4:
        all_tables = tables()
        name = sorted(all_tables)[rng.integers(len(all_tables))]
        other = all_tables[sorted(all_tables)[rng.integers(len(all_tables))]]
        return name, mutated(all_tables[name], rng, other), SHOP
    all_texts = texts()
    name = sorted(all_texts)[rng.integers(len(all_texts))]
    data, schema = all_texts[name]
    ending = sorted(PACKERS)[rng.integers(len(PACKERS))]
    pack = PACKERS[ending]
    if not ending or rng.random() < 0.4:
        data = pack(mutated(data, rng, data))
    else:
        data = mutated(pack(data), rng, PACKERS[".gz"](data))
    return f"{name}{ending if rng.random() < 0.8 else ''}", data, schema


def read(path: Path, schema: Schema, chunk_bytes: int) -> str:
    """What came of a log: `read`, or the sentence with which it was refused.

    Raises:
        AssertionError: What was read is no log, or the sentence is none.
    """
    try:
        log = find_log(path)
        schema = resolved(log, schema)
        for frame in read_chunks(log, schema, chunk_bytes=chunk_bytes):
            assert frame[schema.label].is_in([0, 1]).all()
            for name in schema.dense:
                assert frame[name].is_finite().all(), name
            for name in schema.sparse:
                [(value or "").encode() for value in frame[name].to_list()]
    except DataError as error:
        sentence = str(error)
        assert sentence.isprintable(), sentence
        assert len(sentence) < 1000, sentence
        return sentence
    return "read"


def try_inputs(seed: int, numbers: range, folder: Path, queue: Any) -> None:
    """Read inputs one after the other; a fault is put into the queue."""
    for number in numbers:
        queue.put((number, None, ""))
        name, data, schema = make_input(seed, number)
        path = folder / name
        path.write_bytes(data)
        size = int(
            np.random.default_rng([seed, number, 1]).choice([1, 99, 1 << 20], p=[0.04, 0.16, 0.8])
        )
        try:
            outcome = read(path, schema, size)
        except BaseException as error:
            queue.put((number, f"{name}: {type(error).__name__}: {str(error)[:300]}", "fault"))
            if isinstance(error, KeyboardInterrupt):
                raise
        else:
            kind = re.sub(r"^.*?: ", "", outcome.replace(str(path), ""), count=1)
            queue.put((number, name, " ".join(kind.split()[:5])))
        path.unlink()


def faults(seed: int, count: int) -> Iterator[tuple[int, str, str]]:
    """Yield the number, the name and the outcome of each input; outcome `fault` for a fault."""
    context = multiprocessing.get_context("spawn")
    start = 0
    while start < count:
        with tempfile.TemporaryDirectory() as folder:
            queue = context.SimpleQueue()
            arguments = (seed, range(start, count), Path(folder), queue)
            process = context.Process(target=try_inputs, args=arguments)
            process.start()
            last, since = start, time.monotonic()
            while process.is_alive() or not queue.empty():
                if queue.empty():
                    time.sleep(0.01)
                    if time.monotonic() - since > SECONDS:
                        process.kill()
                    continue
                number, what, outcome = queue.get()
                last, since = number, time.monotonic()
                if what is not None:
                    yield number, what, outcome
            process.join()
            if not process.exitcode:
                return
            name = signal.Signals(-process.exitcode).name if process.exitcode < 0 else "an exit"
            yield last, f"{make_input(seed, last)[0]}: ended by {name}", "fault"
            start = last + 1


def main() -> None:
    """Read inputs and print the faults and the outcomes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=2000, help="number of inputs")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.perf_counter()
    outcomes: Counter[str] = Counter()
    for number, what, outcome in faults(options.seed, options.inputs):
        outcomes[outcome] += 1
        if outcome == "fault":
            print(f"input {number}: {what}", flush=True)
    seconds = time.perf_counter() - started
    for outcome, count in outcomes.most_common(30):
        print(f"{count:8,}  {outcome}")
    print(f"{options.inputs:,} inputs, {outcomes['fault']:,} faults, {seconds:.0f} s")


if __name__ == "__main__":
    main()
