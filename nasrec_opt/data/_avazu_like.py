"""Rows like those of Avazu's log of October 2014.

The numbers of distinct values are those of the whole log; the shares of the most frequent ones are
rounded. Rows are in time order, over ten days. A row is of a site or of an app.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt.data._counter_random import hashed, key_of
from nasrec_opt.data._log_layout import GeneratedRows, Layout, hours, logged_column
from nasrec_opt.data._value_text import hex_text

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ROWS = 40_428_967
FIRST_HOUR = 14102100  # YYMMDDHH


_column = partial(logged_column, ROWS)
COLUMNS = (
    _column("hour", 24, 0.05),
    _column("C1", 7, 0.919, 0.055, 0.022, 0.003),
    _column("banner_pos", 7, 0.72, 0.278, 0.001),
    _column("site_id", 4737, 0.361, 0.16, 0.065, 0.024, 0.019, 0.014, 0.005),
    _column("site_domain", 7745, 0.374, 0.16, 0.082, 0.032, 0.025, 0.014, 0.005, follows="site_id"),
    _column("site_category", 26, 0.409, 0.314, 0.181, 0.076, 0.005, follows="site_id"),
    _column(
        "app_id", 8552, 0.639, 0.038, 0.028, 0.022, 0.016, 0.008, 0.003,
        follows="site_id", order="mirrored",
    ),
    _column("app_domain", 559, 0.674, 0.129, 0.047, 0.028, 0.015, 0.005, follows="app_id"),
    _column("app_category", 36, 0.647, 0.237, 0.042, 0.036, 0.004, follows="app_id"),
    _column("device_id", 2686408, 0.825, 0.0005, 0.0004, 0.0003, 0.0002, 0.0001),
    _column("device_ip", 6729486, 0.0051, 0.0034, 0.0022, 0.0021, 0.002, 0.0015, 0.0006),
    _column("device_model", 8251, 0.061, 0.035, 0.034, 0.031, 0.018, 0.013, 0.007, 0.002),
    _column("device_type", 5, 0.923, 0.055, 0.019, 0.003),
    _column("device_conn_type", 4, 0.863, 0.082, 0.054, 0.001),
    _column("C14", 2626, 0.023, 0.021, 0.019, 0.018, 0.015, 0.012, 0.008, 0.002),
    _column("C15", 8, 0.933, 0.058, 0.008, 0.001, follows="C14", order="hashed"),
    _column("C16", 9, 0.943, 0.045, 0.008, 0.003, follows="C14", order="hashed"),
    _column("C17", 435, 0.112, 0.042, 0.035, 0.031, 0.026, 0.021, 0.012, follows="C14"),
    _column("C18", 4, 0.419, 0.338, 0.174, 0.069, follows="C14", order="hashed"),
    _column("C19", 68, 0.301, 0.219, 0.066, 0.06, 0.05, 0.021, follows="C14", order="hashed"),
    _column("C20", 172, 0.468, 0.06, 0.045, 0.025, 0.02, 0.01, 0.004),
    _column("C21", 60, 0.219, 0.125, 0.113, 0.09, 0.053, 0.025, follows="C14", order="hashed"),
)  # fmt: skip
# Numbers that stand for values: those of the most frequent ones, counted on from the last.
CODES = {
    "C1": (1005, 1002, 1010, 1012, 1007, 1001, 1008),
    "banner_pos": (0, 1, 7, 2, 4, 5, 3),
    "device_type": (1, 0, 4, 5, 2),
    "device_conn_type": (0, 2, 3, 5),
    "C14": (15706,),
    "C15": (320, 300, 216, 728, 120, 1024, 480, 768),
    "C16": (50, 250, 36, 480, 90, 20, 320, 768, 1024),
    "C17": (1722,),
    "C18": (0, 3, 2, 1),
    "C19": (35,),
    "C20": (-1, 100_000),
    "C21": (23,),
}


def no_numbers(seed: int, numbers: IntArray) -> tuple[FloatArray, FloatArray]:
    """The log has no numeric columns."""
    return np.empty((0, len(numbers))), np.empty((0, len(numbers)))


def frame(seed: int, rows: GeneratedRows, clicks: IntArray) -> pl.DataFrame:
    """The 24 columns of the log."""
    hour = hours(rows.time)
    columns = [
        pl.Series("id", hashed(key_of(seed, "id"), rows.numbers)),
        pl.Series("click", clicks.astype(np.int8)),
        pl.Series("hour", FIRST_HOUR + hour // 24 * 100 + hour % 24),
    ]
    for column, ranks in zip(COLUMNS[1:], rows.sparse[1:], strict=True):
        codes = CODES.get(column.name)
        if codes is None:
            columns.append(hex_text(column.name, ranks))
            continue
        beyond = ranks - (len(codes) - 1)
        numbers = np.array(codes)[np.minimum(ranks, len(codes) - 1)] + beyond.clip(min=0)
        columns.append(pl.Series(column.name, numbers))
    return pl.DataFrame(columns)


AVAZU = Layout(
    name="avazu",
    file="train.csv",
    dense=(),
    least=(),
    columns=COLUMNS,
    draw_numbers=no_numbers,
    clock="hour",
    pairs=(
        ("site_category", "C21"), ("C17", "device_conn_type"), ("hour", "C18"),
        ("site_id", "device_model"),
    ),
    triples=(("site_category", "banner_pos", "C18"),),
    click_rate=0.17,
    frame=frame,
    separator=",",
    has_header=True,
)  # fmt: skip
