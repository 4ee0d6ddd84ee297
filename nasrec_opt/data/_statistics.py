"""What is learned of the numeric columns from the training rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt.data._schema import Schema
from nasrec_opt.data._sketch import Sketch

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Statistics:
    """Statistics of the training rows.

    Args:
        minima: Smallest value of each dense feature, 0 at most, `[num_dense]`.
        means: Mean of each that is standardised, else 0, `[num_dense]`.
        deviations: Standard deviation of each that is standardised, else 1, `[num_dense]`.
        edges: For each quantile feature the numbers at which a new bin begins.
    """

    minima: FloatArray
    means: FloatArray
    deviations: FloatArray
    edges: tuple[FloatArray, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON values, without those that say nothing."""
        values: dict[str, Any] = {
            "dense_minima": self.minima.tolist(),
            "dense_shifts": (1 - self.minima).tolist(),
        }
        if self.means.any() or (self.deviations != 1).any():
            values["dense_means"] = self.means.tolist()
            values["dense_deviations"] = self.deviations.tolist()
        if self.edges:
            values["bin_edges"] = [edges.tolist() for edges in self.edges]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Statistics:
        """Inverse of `to_dict`, also of that of earlier versions.

        Raises:
            KeyError: The minima are missing.
        """
        # Datasets of before the minima were kept have 1 minus them.
        minima = values.get("dense_minima") or [1 - shift for shift in values["dense_shifts"]]
        return cls(
            np.asarray(minima, np.float64),
            np.asarray(values.get("dense_means", np.zeros(len(minima))), np.float64),
            np.asarray(values.get("dense_deviations", np.ones(len(minima))), np.float64),
            tuple(np.asarray(edges, np.float64) for edges in values.get("bin_edges", ())),
        )


class StatisticsCounter:
    """Learns the statistics from frames of training rows.

    Args:
        schema: The columns, resolved.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._minima = np.zeros(len(schema.dense_features))
        standard = [n for n in schema.dense_features if schema.option(n).transform == "standard"]
        self._sketches = {name: Sketch() for name in (*standard, *schema.quantile_features)}

    def add(self, train: pl.DataFrame) -> None:
        """Learn from some training rows."""
        for i, name in enumerate(self._schema.dense_features):
            least = train.select(pl.col(name).min()).item()
            self._minima[i] = min(self._minima[i], math.inf if least is None else float(least))
        for name, sketch in self._sketches.items():
            sketch.add(train[name].to_numpy())

    def finish(self) -> Statistics:
        """The statistics of all rows so far."""
        schema, names = self._schema, self._schema.dense_features
        pairs = [
            self._sketches[name].mean_and_deviation() if name in self._sketches else (0.0, 1.0)
            for name in names
        ]
        means, deviations = np.array(pairs, np.float64).reshape(-1, 2).T
        edges = [self._sketches[n].edges(schema.option(n).bins) for n in schema.quantile_features]
        return Statistics(self._minima, means, deviations, tuple(edges))
