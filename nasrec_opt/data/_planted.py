"""Log odds of a click: effects of single values, and planted interactions of two and three columns.

The effect of a value is a function of the seed, the column and the value. So no table grows with
the vocabulary. Effects have mean 0 and variance 1 over the rows; so a planted interaction, which is
a product of effects, says nothing about any of its columns alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nasrec_opt.data._counter_random import hashed, key_of, normal, uniform
from nasrec_opt.data._log_layout import Draw, GeneratedRows, Layout, hour_of_day

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LATENT = 2  # products of an interaction
# Variance of the log odds that each part makes.
DENSE_VARIANCE, SPARSE_VARIANCE, PAIR_VARIANCE, TRIPLE_VARIANCE = 0.6, 1.3, 0.5, 0.1


class Planted:
    """The log odds of a layout, up to a constant.

    Args:
        layout: Kind of the log.
        draw: Its rows.
        seed: Of the effects.
        drift: How far effects turn into others until the end of the log, 0 to 1 for all the way.
    """

    def __init__(self, layout: Layout, draw: Draw, *, seed: int, drift: float) -> None:
        names = [column.name for column in layout.columns]
        planted = {name for names in (*layout.pairs, *layout.triples) for name in names}
        # Some columns matter much, most little; planted ones as much as the mean.
        scales = -np.log(1 - uniform(key_of(seed, "scales"), np.arange(len(names))))
        scales[[name in planted for name in names]] = 1.0
        self._scales = scales * np.sqrt(SPARSE_VARIANCE / (scales**2).sum())
        self._effects = [
            _Effects(
                key_of(seed, "effect", name),
                _values(draw, i, is_clock=name == layout.clock),
                # The first effect is also that of the value alone: values that attract clicks by
                # themselves attract more in combination.
                count=LATENT if name in planted else 1,
                drift=drift,
            )
            for i, name in enumerate(names)
        ]
        self._slopes = _slopes(layout, seed)
        self._terms = [
            self._term([layout.index[name] for name in names], variance / len(group))
            for group, variance in (
                (layout.pairs, PAIR_VARIANCE),
                (layout.triples, TRIPLE_VARIANCE),
            )
            for names in group
        ]

    def __call__(self, rows: GeneratedRows) -> FloatArray:
        """Log odds of rows, up to a constant, `[rows]`."""
        odds = np.zeros(len(rows.numbers))
        for slope, values in zip(self._slopes.tolist(), rows.standard, strict=True):
            odds += slope * values  # a product of matrices would depend on the number of rows
        latent = [
            effects.of(values, rows.time)
            for effects, values in zip(self._effects, rows.sparse, strict=True)
        ]
        for scale, effects in zip(self._scales.tolist(), latent, strict=True):
            odds += scale * effects[0]
        for term in self._terms:
            for part in range(LATENT):
                product = term.scale * latent[term.columns[0]][part]
                for column in term.columns[1:]:
                    product *= latent[column][part]
                odds += product
        return odds

    def _term(self, columns: Sequence[int], variance: float) -> _Term:
        """An interaction whose log odds have this variance if its columns are independent."""
        squares = np.ones((LATENT, LATENT))
        for column in columns:
            squares *= self._effects[column].squares
        return _Term(tuple(columns), float(np.sqrt(variance / squares.sum())))


class _Term(NamedTuple):
    columns: tuple[int, ...]
    scale: float


class _Effects:
    """Effects of the values of one column, each with mean 0 and variance 1 over the rows."""

    def __init__(self, key: np.uint64, values: IntArray, *, count: int, drift: float) -> None:
        self._keys = (key, hashed(key, np.array([1]))[0]) if drift else (key,)
        self._drift, self._count = drift, count
        self._locations = np.zeros((2, count))
        self._scales = np.ones((2, count))
        for place in range(len(self._keys)):
            drawn = np.stack([self._raw(values, place, part) for part in range(count)])
            self._locations[place], self._scales[place] = drawn.mean(axis=1), drawn.std(axis=1)
        first = np.stack([self._standard(values, 0, part) for part in range(count)])
        self.squares = first @ first.T / len(values)

    def of(self, values: IntArray, time: FloatArray) -> list[FloatArray]:
        """Effects of values at places in the log."""
        begin = [self._standard(values, 0, part) for part in range(self._count)]
        if not self._drift:
            return begin
        angle = time * (self._drift * np.pi / 2)
        near, far = np.cos(angle), np.sin(angle)
        return [
            near * effect + far * self._standard(values, 1, part)
            for part, effect in enumerate(begin)
        ]

    def _standard(self, values: IntArray, place: int, part: int) -> FloatArray:
        effect = self._raw(values, place, part)
        effect -= self._locations[place, part]
        effect /= self._scales[place, part]
        return effect

    def _raw(self, values: IntArray, place: int, part: int) -> FloatArray:
        return normal(hashed(self._keys[place], values), part)


def _values(draw: Draw, column: int, *, is_clock: bool) -> IntArray:
    """Values of a column, each as often as in the log."""
    if is_clock:
        return hour_of_day(np.arange(10_000) / 10_000)
    return draw.popularity[column].sample()


def _slopes(layout: Layout, seed: int) -> FloatArray:
    if layout.slopes is not None:
        return np.array(layout.slopes)
    numbers = np.arange(len(layout.dense))
    slopes = normal(hashed(key_of(seed, "slopes"), numbers), 0)
    return np.asarray(slopes * np.sqrt(DENSE_VARIANCE / max((slopes**2).sum(), 1e-12)))
