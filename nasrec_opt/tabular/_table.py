"""Every model of a small search space with its log loss and its costs, and studies on them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from nasrec_opt._files import atomic_write
from nasrec_opt.errors import GenotypeError, StudyError
from nasrec_opt.samplers import hypervolume, non_dominated
from nasrec_opt.space import Genotype, SearchSpace

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

FILE = Path(__file__).parent / "ctr_tabular.parquet"
METRICS = (
    "log_loss",
    "auc",
    "log_loss_se",
    "latency_us",
    "energy_uj",
    "area_mm2",
    "mflops",
    "parameters",
)
OBJECTIVES = ("log_loss", "latency_us", "energy_uj")

Floats = npt.NDArray[np.float64]


class TabularBenchmark:
    """An objective for Optuna that looks up every answer.

    The table is complete: it holds each distinct model of `space`, so no proposal is ever outside
    it, and no fallback rule exists that a sampler could exploit. Genotypes that build the same
    model share an entry, as the same model has one score.

    Args:
        space: The space that the table covers.
        table: Canonical genotypes as JSON, and each of `METRICS`, `[models]`.
        objectives: The values of a trial, in order; all are minimised except `auc`.
        about: Where the table comes from.

    Raises:
        StudyError: An objective is none of `METRICS`, or named twice.

    Example:
        >>> import optuna
        >>> from nasrec_opt import RegularizedEvolutionSampler
        >>> benchmark = TabularBenchmark.load()
        >>> study = optuna.create_study(
        ...     directions=benchmark.directions,
        ...     sampler=RegularizedEvolutionSampler(benchmark.space, seed=0),
        ... )
        >>> study.optimize(benchmark, n_trials=100)
        >>> benchmark.hypervolume([trial.values for trial in study.trials])  # 1 is all of it
        1.0
    """

    def __init__(
        self,
        space: SearchSpace,
        table: Mapping[str, Sequence[Any] | npt.NDArray[Any]],
        *,
        objectives: Sequence[str] = OBJECTIVES,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.metric_names = tuple(objectives)
        for name in self.metric_names:
            if name not in METRICS:
                raise StudyError(f"objectives: expected some of {', '.join(METRICS)}, got {name!r}")
        if not self.metric_names or len(set(self.metric_names)) < len(self.metric_names):
            raise StudyError(f"objectives: expected distinct metrics, got {self.metric_names}")
        self.space = space
        self.about = dict(about or {})
        self.genotypes = list(table["genotype"])
        self._columns = {name: np.asarray(table[name], dtype=np.float64) for name in METRICS}
        self._row_of = {text: row for row, text in enumerate(self.genotypes)}

    @classmethod
    def load(
        cls, path: Path | str = FILE, *, objectives: Sequence[str] = OBJECTIVES
    ) -> TabularBenchmark:
        """Read a table, by default the one that ships.

        Args:
            path: A Parquet file that `save` wrote.
            objectives: The values of a trial, in order, out of `METRICS`.

        Returns:
            The benchmark.

        Raises:
            StudyError: The file cannot be read, or is no table of a benchmark.
        """
        try:
            table = pq.read_table(path)
            about = json.loads(table.schema.metadata[b"nasrec_opt"])
            columns = {name: table.column(name).to_numpy() for name in ("genotype", *METRICS)}
            space = SearchSpace.from_dict(about.pop("space"), str(path))
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise StudyError(f"{path}: expected the table of a benchmark, got: {reason}") from error
        return cls(space, columns, objectives=objectives, about=about)

    def save(self, path: Path | str) -> None:
        """Write the table as Parquet, with its space and its origin in the metadata.

        Args:
            path: The file; an existing one is replaced.
        """
        types = {name: np.float64 if name == "log_loss" else np.float32 for name in METRICS}
        columns = {name: self._columns[name].astype(types[name]) for name in METRICS}
        about = json.dumps({"space": self.space.to_dict(), **self.about})
        table = pa.table({"genotype": self.genotypes, **columns}).replace_schema_metadata(
            {"nasrec_opt": about}
        )
        with atomic_write(path, "wb") as stream:
            pq.write_table(table, stream, compression="zstd", compression_level=19)

    def __len__(self) -> int:
        return len(self.genotypes)

    def __call__(self, trial: BaseTrial) -> float | tuple[float, ...]:
        """Score a trial.

        Args:
            trial: Asked for a genotype of `space`; gets it as the user attribute `genotype`.

        Returns:
            The value of the only objective, or the values of all of them in order.

        Raises:
            GenotypeError: The trial was enqueued with a genotype outside the space.
        """
        genotype = self.space.suggest(trial)
        metrics = self.metrics(genotype)
        trial.set_user_attr("genotype", genotype.to_json())
        values = tuple(metrics[name] for name in self.metric_names)
        return values[0] if len(values) == 1 else values

    @property
    def directions(self) -> list[Literal["minimize", "maximize"]]:
        """Of an Optuna study with these objectives."""
        return ["maximize" if name == "auc" else "minimize" for name in self.metric_names]

    def metrics(self, genotype: Genotype) -> dict[str, float]:
        """Look up all metrics of a model.

        Args:
            genotype: A genotype of `space`.

        Returns:
            Values by name, for each of `METRICS`.

        Raises:
            GenotypeError: The genotype is not in the space.
        """
        row = self._row_of.get(genotype.canonical().to_json())
        if row is None:
            self.space.encode(genotype)  # says which gene is outside
            raise GenotypeError(f"table: expected every model, lacks {genotype.to_json()}")
        return {name: float(column[row]) for name, column in self._columns.items()}

    def column(self, name: str) -> Floats:
        """Read one metric of every model.

        Args:
            name: One of `METRICS`.

        Returns:
            A copy of its values, in the order of `genotypes`, `[models]`.

        Raises:
            KeyError: The table has no such metric.
        """
        return self._columns[name].copy()

    @cached_property
    def values(self) -> Floats:
        """The objectives of every model, `[models, objectives]`."""
        return np.stack([self._columns[name] for name in self.metric_names], axis=1)

    @cached_property
    def front(self) -> Floats:
        """The objectives of the models that none dominates, `[front, objectives]`."""
        unique = np.unique(self.values * self._signs, axis=0)
        return np.asarray(unique[non_dominated(unique)] * self._signs)

    @cached_property
    def reference_point(self) -> Floats:
        """The worst value that the table has of each objective, `[objectives]`."""
        return np.asarray((self.values * self._signs).max(axis=0) * self._signs)

    def hypervolume(self, values: Sequence[Sequence[float]] | Floats) -> float:
        """Measure what trials dominate, as a share of what the table's own front dominates.

        Args:
            values: Objectives of the trials, `[trials, objectives]`.

        Returns:
            A share from 0 to 1; 1 means that the trials found the whole front.
        """
        return self._dominated(np.asarray(values, dtype=np.float64)) / self._whole

    @cached_property
    def _whole(self) -> float:
        return self._dominated(self.front)

    def _dominated(self, values: Floats) -> float:
        losses = values.reshape(-1, len(self.metric_names)) * self._signs
        best = (self.front * self._signs).min(axis=0)
        worst = self.reference_point * self._signs
        width = np.where(worst > best, worst - best, 1.0)
        return hypervolume((losses - best) / width, np.ones(len(width)))

    @property
    def _signs(self) -> Floats:
        return np.array([-1.0 if name == "auc" else 1.0 for name in self.metric_names])
