"""Rows like those of Criteo's log of 2014.

Shares and distinct values are those of a random 0.24 % of that log, 109,854 rows, and of all of it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt.data._counter_random import key_of, normal_quantiles, uniform
from nasrec_opt.data._log_layout import Column, GeneratedRows, Layout, Missing
from nasrec_opt.data._value_text import hex_text

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ROWS = 45_840_617
SAMPLE_ROWS = 109_854
RANKS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 30, 100, 1000)  # of the shares of a column


class Number(NamedTuple):
    """A numeric column: log-normal by its median and its 99th percentile, cut at its maximum."""

    median: int
    high: int
    maximum: int
    negative: float = 0.0  # share of -1, -2 and -3


NUMBERS = (
    Number(1, 39, 425), Number(3, 2228, 9814, 0.1), Number(6, 216, 65535), Number(4, 41, 349),
    Number(2800, 345947, 2071071), Number(32, 1318, 111105), Number(3, 218, 6498),
    Number(7, 48, 1689), Number(39, 1010, 9465), Number(1, 3, 6), Number(1, 26, 123),
    Number(0, 20, 193), Number(4, 49, 1574),
)  # fmt: skip
DENSE = tuple(f"I{i}" for i in range(1, len(NUMBERS) + 1))
LEAST = tuple(-3 if number.negative else 0 for number in NUMBERS)
MISSING = (
    Missing(columns=("I1", "I10"), share=0.451),
    Missing(columns=("I4", "I13"), share=0.215),
    Missing(columns=("I3",), share=0.119, given="I4", share_given=0.561),
    Missing(columns=("I6",), share=0.043, given="I1", share_given=0.445),
    Missing(columns=("I7", "I9", "I11"), share=0.043),
    Missing(columns=("I5",), share=0.027),
    Missing(columns=("I8",), share=0.001),
    Missing(columns=("I12",), share=0.765),
    Missing(columns=("C3", "C4", "C12", "C16", "C21", "C24"), share=0.034),
    Missing(columns=("C6",), share=0.121),
    Missing(columns=("C19", "C20", "C25", "C26"), share=0.442),
    Missing(columns=("C22",), share=0.761),
)
# Distinct values of all rows and of the sample, without the missing one; shares at the first of
# `RANKS` among the rows where the column is not missing.
VALUES: tuple[tuple[int, int, tuple[float, ...]], ...] = (
    (1460, 557, (0.5, 0.168, 0.084, 0.0497, 0.0327, 0.0234, 0.018, 0.014, 0.0114, 0.00884,
     0.00424, 0.00113, 0.0001)),
    (583, 518, (0.113, 0.0433, 0.0382, 0.0365, 0.0359, 0.0319, 0.0302, 0.0268, 0.0233, 0.0229,
     0.0155, 0.00684, 0.00166)),
    (10131225, 50596, (0.0261, 0.0111, 0.0106, 0.0099, 0.00903, 0.0086, 0.00827, 0.00796,
     0.00759, 0.0074, 0.00396, 0.00272, 0.00078)),
    (2202607, 27295, (0.0372, 0.023, 0.022, 0.0198, 0.0187, 0.0151, 0.0106, 0.00894, 0.00845,
     0.00802, 0.00611, 0.00323, 0.00098, 9.4e-05)),
    (305, 148, (0.674, 0.154, 0.0628, 0.0334, 0.0184, 0.0129, 0.00861, 0.00545, 0.00452,
     0.00415, 0.00125, 0.00023)),
    (23, 11, (0.451, 0.249, 0.212, 0.0358, 0.0321, 0.0201, 0.00022, 0.0002, 5.2e-05, 4.1e-05)),
    (12517, 8217, (0.0211, 0.0134, 0.00875, 0.0073, 0.00723, 0.00699, 0.00579, 0.00563, 0.00556,
     0.00555, 0.00453, 0.00253, 0.0012, 0.0002)),
    (633, 258, (0.594, 0.165, 0.0741, 0.0419, 0.0252, 0.0187, 0.0125, 0.01, 0.00743, 0.00625,
     0.00279, 0.0005)),
    (3, 3, (0.899, 0.101, 0.00011)),
    (93145, 12587, (0.223, 0.0149, 0.00756, 0.00593, 0.0055, 0.00495, 0.00456, 0.00426, 0.00408,
     0.00382, 0.00335, 0.00206, 0.000938, 0.00015)),
    (5683, 3994, (0.0319, 0.0213, 0.0151, 0.0127, 0.0108, 0.00872, 0.00847, 0.00755, 0.00751,
     0.00743, 0.00594, 0.00397, 0.00153, 0.00019)),
    (8351591, 46359, (0.0261, 0.023, 0.0111, 0.0106, 0.0099, 0.00903, 0.0086, 0.00827, 0.00796,
     0.00759, 0.005, 0.00274, 0.0008)),
    (3194, 2905, (0.0319, 0.0238, 0.0163, 0.0141, 0.0132, 0.0127, 0.012, 0.00939, 0.00847,
     0.00774, 0.00709, 0.00426, 0.00168, 0.00017)),
    (27, 26, (0.349, 0.342, 0.154, 0.0454, 0.0299, 0.0246, 0.0129, 0.0126, 0.00736, 0.00616,
     0.00125)),
    (14992, 5513, (0.0155, 0.0106, 0.00923, 0.00896, 0.00801, 0.0079, 0.00787, 0.00782, 0.00775,
     0.0076, 0.00633, 0.00467, 0.00188, 0.00016)),
    (5461305, 38486, (0.0261, 0.023, 0.0111, 0.0106, 0.0099, 0.00925, 0.00878, 0.0086, 0.00827,
     0.00796, 0.00526, 0.00333, 0.00091)),
    (10, 10, (0.46, 0.132, 0.113, 0.0846, 0.0531, 0.0453, 0.0435, 0.0423, 0.0267, 1.8e-05)),
    (5652, 2668, (0.0319, 0.0286, 0.0268, 0.0233, 0.0209, 0.0195, 0.0194, 0.0187, 0.0164,
     0.00992, 0.00923, 0.00609, 0.00201)),
    (2172, 1278, (0.616, 0.0337, 0.0139, 0.0138, 0.0105, 0.00994, 0.00917, 0.00664, 0.0054,
     0.00504, 0.00396, 0.00232, 0.0007)),
    (3, 3, (0.341, 0.331, 0.328)),
    (7046546, 43097, (0.0261, 0.023, 0.0111, 0.0106, 0.0099, 0.00903, 0.00878, 0.0086, 0.00827,
     0.00796, 0.00526, 0.00303, 0.0009)),
    (17, 11, (0.568, 0.359, 0.0321, 0.0224, 0.0157, 0.0015, 0.00069, 0.00053, 3.8e-05,
     3.8e-05)),
    (15, 14, (0.437, 0.2, 0.121, 0.0692, 0.0576, 0.0562, 0.0244, 0.0155, 0.00889, 0.00459)),
    (286180, 12775, (0.0548, 0.049, 0.0474, 0.0441, 0.0227, 0.0225, 0.0211, 0.0174, 0.0142,
     0.0127, 0.00871, 0.00372, 0.00098, 9.4e-05)),
    (104, 52, (0.256, 0.192, 0.144, 0.071, 0.0559, 0.0554, 0.0549, 0.0523, 0.0371, 0.0124,
     0.0048, 0.00072)),
    (142571, 9762, (0.0748, 0.0324, 0.0285, 0.027, 0.0256, 0.0191, 0.0146, 0.0145, 0.0131,
     0.00938, 0.0055, 0.00349, 0.0011)),
)  # fmt: skip
FOLLOWERS = ("C4", "C12", "C16", "C21", "C24")


def _columns() -> tuple[Column, ...]:
    shares = {name: group.share for group in MISSING for name in group.columns}
    columns = []
    for i, (values, sample_values, heads) in enumerate(VALUES, start=1):
        name = f"C{i}"
        there = 1 - shares.get(name, 0.0)
        columns.append(
            Column(
                name=name,
                shares=dict(zip(RANKS, heads, strict=False)),
                distinct=((ROWS * there, values), (SAMPLE_ROWS * there, sample_values)),
                follows="C3" if name in FOLLOWERS else "",
            )
        )
    return tuple(columns)


def draw_numbers(seed: int, numbers: IntArray) -> tuple[FloatArray, FloatArray]:
    """Whole numbers and the standard normals behind them, `[num_dense, rows]`."""
    quantiles = normal_quantiles()
    standard = np.empty((len(NUMBERS), len(numbers)))
    dense = np.empty_like(standard)
    for i, (name, number) in enumerate(zip(DENSE, NUMBERS, strict=True)):
        chosen = uniform(key_of(seed, "number", name), numbers)
        is_negative = chosen < number.negative
        chosen = (chosen - number.negative).clip(0) / (1 - number.negative)
        standard[i] = quantiles.at(chosen)
        location, scale = _log_normal(number)
        value = np.floor(np.exp(location + scale * standard[i]))
        dense[i] = np.minimum(value, number.maximum)
        if number.negative:
            below = uniform(key_of(seed, "negative", name), numbers[is_negative])
            dense[i][is_negative] = np.floor(LEAST[i] * below**3)  # -1 most often
            standard[i][is_negative] = 0.0  # says nothing about the click
    return dense, standard


def _log_normal(number: Number) -> tuple[float, float]:
    """Mean and standard deviation of the logarithm of a number that is then rounded down."""
    middle, high = (
        float(
            normal_quantiles().at(np.array([(share - number.negative) / (1 - number.negative)]))[0]
        )
        for share in (0.5, 0.99)
    )
    scale = np.log((number.high + 0.5) / (number.median + 0.5)) / (high - middle)
    return float(np.log(number.median + 0.5) - scale * middle), float(scale)


def frame(seed: int, rows: GeneratedRows, clicks: IntArray) -> pl.DataFrame:
    """Label, I1 to I13, C1 to C26."""
    columns = [pl.Series("label", clicks.astype(np.int8))]
    for name, values in zip(DENSE, rows.dense, strict=True):
        columns.append(pl.Series(name, values).fill_nan(None).cast(pl.Int32))
    for column, ranks in zip(CRITEO.columns, rows.sparse, strict=True):
        columns.append(hex_text(column.name, ranks))
    return pl.DataFrame(columns)


CRITEO = Layout(
    name="criteo",
    file="train.txt",
    dense=DENSE,
    least=LEAST,
    columns=_columns(),
    missing=MISSING,
    draw_numbers=draw_numbers,
    pairs=(
        ("C14", "C17"),
        ("C17", "C23"),
        ("C6", "C23"),
        ("C6", "C14"),
        ("C2", "C15"),
        ("C7", "C8"),
    ),
    triples=(("C6", "C14", "C23"), ("C2", "C8", "C17")),
    click_rate=0.256,
    frame=frame,
)  # fmt: skip
