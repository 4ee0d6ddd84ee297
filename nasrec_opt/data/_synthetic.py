"""A synthetic click log in Criteo's layout, with planted interactions and known Bayes log loss.

Values of a planted field carry a latent vector; pairs of fields add inner products of their vectors to
the log odds, and triples the sums of threefold products: what a factorization machine or a dot product
can find and a linear model cannot. The click is drawn from the resulting probability, so the log loss
of that probability is the least that any model can expect.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nasrec_opt._files import write_json
from nasrec_opt.data._dataset import META, Dataset
from nasrec_opt.data._prepare import prepare
from nasrec_opt.data._split import SPLITS, split_of

Progress = Callable[[int, int | None], None]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Values of the 26 categorical fields: a few planted and small, some long-tailed as in real logs.
CARDINALITIES = (12, 15, 2000, 1500, 20, 10, 800, 25, 3, 1200, 400, 1800, 300, 18, 500, 1600, 10)
CARDINALITIES += (250, 600, 4, 1700, 8, 14, 900, 30, 700)
PLANTED = (0, 1, 4, 5, 7, 13, 16, 22, 24, 8)
PAIRS = ((0, 1), (0, 4), (1, 5), (4, 7), (5, 13), (7, 16), (13, 22), (16, 24), (1, 24), (0, 22))
TRIPLES = ((0, 5, 8), (1, 4, 16), (7, 13, 24))
MISSING_GROUPS = (  # dense fields that are missing together, and how often
    ((0, 9), 0.45),
    ((6, 8, 10), 0.04),
    ((3, 12, 2, 5), 0.21),
    ((11,), 0.76),
)
LATENT = 2
PAIR_SCALE, TRIPLE_SCALE, LINEAR_SCALE = 0.24, 0.14, 0.28
BIAS = -2.6
CHUNK_ROWS = 50_000


def generate_synthetic(
    out: Path | str, *, rows: int = 120_000, seed: int = 0, progress: Progress | None = None
) -> Dataset:
    """Write a synthetic log and prepare it.

    Args:
        out: Folder of the dataset.
        rows: Rows of the log, at least 100.
        seed: Seed of everything; the split has seed 0.
        progress: Called with (done, total) of no particular unit.

    Returns:
        The dataset; `bayes_log_loss` says what the true probabilities reach on each split.
    """
    world = _World(np.random.default_rng([seed, 0]))
    probabilities, labels = np.empty(rows), np.empty(rows, np.int64)
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / f"synthetic-{rows}-{seed}.txt"
        with source.open("w", encoding="ascii") as stream:
            for number, first in enumerate(range(0, rows, CHUNK_ROWS), start=1):
                count = min(CHUNK_ROWS, rows - first)
                rng = np.random.default_rng([seed, number])
                dense, sparse, odds = world.draw(rng, count)
                chance = 1 / (1 + np.exp(-odds))
                clicks = (rng.random(count) < chance).astype(np.int64)
                probabilities[first : first + count] = chance
                labels[first : first + count] = clicks
                stream.writelines(_lines(clicks, dense, sparse))
        dataset = prepare(source, out, progress=progress)
    losses = -np.where(labels == 1, np.log(probabilities), np.log1p(-probabilities))
    split = split_of(0, rows, 0)
    bayes = {name: float(losses[split == i].mean()) for i, name in enumerate(SPLITS)}
    write_json(Path(out) / META, dataset.meta | {"bayes_log_loss": bayes})
    return Dataset.open(out)


class _World:
    """What is true of every row: effects of values, and latent vectors of planted fields."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.popularity = [np.cumsum(_zipf(c, 1.05 if c > 50 else 0.6)) for c in CARDINALITIES]
        self.linear = [rng.normal(0, LINEAR_SCALE, c) for c in CARDINALITIES]
        self.latent = {f: rng.normal(0, 1, (CARDINALITIES[f], LATENT)) for f in PLANTED}
        self.slopes = rng.normal(0, 0.12, 13)

    def draw(self, rng: np.random.Generator, count: int) -> tuple[IntArray, IntArray, FloatArray]:
        """Integers (-1000 = missing), values by field, and log odds of `count` rows."""
        sparse = np.stack(
            [np.searchsorted(p, rng.random(count) * p[-1]) for p in self.popularity], axis=1
        )
        scale = np.exp(rng.normal(0, 1.4, (count, 13)))
        dense = np.floor(scale * np.array([2, 20, 6, 4, 900, 30, 10, 9, 40, 1, 2, 1, 5]))
        dense = dense.astype(np.int64)
        dense[:, 1] -= rng.integers(0, 4, count)
        for fields, share in MISSING_GROUPS:
            dense[np.ix_(rng.random(count) < share, fields)] = -1000
        known = np.maximum(dense, 0)
        odds = BIAS + ((np.log1p(known) - 2) * (dense != -1000)) @ self.slopes
        for field, effects in enumerate(self.linear):
            odds += effects[sparse[:, field]] * (1.0 if CARDINALITIES[field] <= 50 else 0.5)
        vectors = {f: latent[sparse[:, f]] for f, latent in self.latent.items()}
        for a, b in PAIRS:
            odds += PAIR_SCALE * (vectors[a] * vectors[b]).sum(axis=1)
        for a, b, c in TRIPLES:
            odds += TRIPLE_SCALE * (vectors[a] * vectors[b] * vectors[c]).sum(axis=1)
        return dense, sparse, odds


def _zipf(count: int, exponent: float) -> FloatArray:
    return 1.0 / np.arange(1, count + 1) ** exponent


def _lines(labels: IntArray, dense: IntArray, sparse: IntArray) -> list[str]:
    """Rows as Criteo writes them; a value's name is a hash of field and number."""
    columns = [labels.astype(str)]
    columns += [np.where(column == -1000, "", column.astype(str)) for column in dense.T]
    for field, column in enumerate(sparse.T):
        names = np.array(
            [
                f"{(field * 2654435761 + value * 40503 + 12345) * 2246822519 % 2**32:08x}"
                for value in range(CARDINALITIES[field])
            ]
        )
        columns.append(names[column])
    return ["\t".join(fields) + "\n" for fields in zip(*(c.tolist() for c in columns), strict=True)]
