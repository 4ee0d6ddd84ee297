"""Counting as many distinct values as the whole Criteo log has: time and peak memory.

    python -m benchmarks.vocabulary [--share 1.0] [--max-values N] [--min-count 1]

The 26 columns have as many distinct values as those of the 45.84 million rows of the public log,
33.8 million, each a hexadecimal number of eight digits. They are coded, counted and ordered as
`prepare` does, in one process: with `--max-values`, on disk. A smaller share of the values of each
column is for a quick look. Memory is the peak without pages of mapped files, which the system takes
back when it needs them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from benchmarks._memory import Peak
from nasrec_opt.data._codes import CodeBook
from nasrec_opt.data._spilled_codes import SpilledCodeBook

VALUES = (  # of C1 to C26 in the whole log
    1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194, 27, 14992,
    5461306, 10, 5652, 2173, 4, 7046547, 18, 15, 286181, 105, 142572,
)  # fmt: skip
CHUNK_ROWS = 1 << 17
DIGITS = np.array([f"{byte:02x}".encode() for byte in range(256)])


def main() -> None:
    """Print values, seconds of CPU time and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="of the values of each column")
    parser.add_argument("--max-values", type=int, help="most values of a column with an id")
    parser.add_argument("--min-count", type=int, default=1, help="rows that a value needs")
    options = parser.parse_args()
    sizes = [max(1, round(size * options.share)) for size in VALUES]
    names = [f"C{place}" for place in range(1, len(sizes) + 1)]
    most = options.max_values
    with tempfile.TemporaryDirectory() as folder, Peak() as peak:
        book = nullcontext(CodeBook(names))
        if most is not None:
            book = SpilledCodeBook(names, Path(folder), most)
        with book as counting:
            began = time.process_time()
            for first in range(0, max(sizes), CHUNK_ROWS):
                rows = np.arange(first, min(first + CHUNK_ROWS, max(sizes)))
                counting.count(counting.encode(frame_of(rows, sizes)))
            values = sum(counting.num_values().values())
            counted, least = time.process_time() - began, peak.megabytes
            kept = sum(len(v.table) for v, _ in counting.finish(options.min_count, most))
            whole = time.process_time() - began
    print(f"{values:,} values in {max(sizes):,} rows: {kept:,} with an id")
    print(f"counted: {counted:.0f} s of CPU time, peak memory {least:,.0f} MB")
    print(f"ordered: {whole - counted:.0f} s, peak {peak.megabytes:,.0f} MB")


def frame_of(rows: np.ndarray, sizes: list[int]) -> pl.DataFrame:
    """Rows in which column after column counts through its values."""
    return pl.DataFrame(
        {f"C{place}": texts_of(rows % size) for place, size in enumerate(sizes, start=1)}
    )


def texts_of(numbers: np.ndarray) -> pl.Series:
    """Numbers as eight hexadecimal digits, spread as hashes are."""
    mixed = (numbers.astype(np.uint32) * np.uint32(2654435761)).astype(">u4")
    digits = DIGITS[mixed.view(np.uint8)].tobytes()
    array = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(8), len(numbers), [None, pa.py_buffer(digits)]
    )
    texts = pl.from_arrow(array.cast(pa.binary()).cast(pa.string()))
    assert isinstance(texts, pl.Series)
    return texts


if __name__ == "__main__":
    main()
