"""An oracle that looks answers up in a table, for tests, samplers and repeated studies."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from nasrec_opt._files import atomic_write
from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.oracle._protocol import Architecture, Evaluation, Oracle, Report, architecture
from nasrec_opt.space import Genotype

SCHEMA = {
    "genotype": pl.String,
    "log_loss": pl.Float64,
    "auc": pl.Float64,
    "log_loss_se": pl.Float64,
    "num_rows": pl.Int64,
}


class TabularOracle(Oracle):
    """Answers from a table; genotypes that build the same model share an answer.

    Args:
        table: Answers by genotype.
        features: Shape of the input, which an `Objective` needs for costs.

    Raises:
        StudyError: Two genotypes of one model have different answers.
    """

    def __init__(
        self, table: Mapping[Genotype, Evaluation], *, features: FeatureSpec | None = None
    ) -> None:
        self.features = features
        self.table = dict(table)
        self._answers: dict[Architecture, Evaluation] = {}
        for genotype, answer in self.table.items():
            if self._answers.setdefault(architecture(genotype), answer) != answer:
                raise StudyError(
                    f"table: expected one answer for each model, got several for "
                    f"{genotype.canonical().to_json()}"
                )

    def evaluate(self, genotype: Genotype, *, report: Report | None = None) -> Evaluation:
        """Look up a genotype.

        Args:
            genotype: One whose model is in the table; its accelerator genes do not matter.
            report: Called with the answer's intermediate log losses.

        Returns:
            The table's answer.

        Raises:
            StudyError: The table does not hold this model.
        """
        try:
            answer = self._answers[architecture(genotype)]
        except KeyError:
            raise StudyError(
                f"table: expected one of its {len(self._answers):,} models, got "
                f"{genotype.to_json()}"
            ) from None
        if report:
            for step, log_loss in answer.intermediate:
                report(step, log_loss)
        return answer

    def to_parquet(self, path: Path | str) -> None:
        """Write the table, one entry per genotype, the genotype as JSON.

        Intermediate log losses and differences from a reference are left out.

        Args:
            path: The file; an existing one is replaced.
        """
        rows = [
            {"genotype": genotype.to_json(), **dataclasses.asdict(answer)}
            for genotype, answer in self.table.items()
        ]
        columns = {name: [row[name] for row in rows] for name in SCHEMA}
        with atomic_write(path, "wb") as stream:
            pl.DataFrame(columns, schema=SCHEMA).write_parquet(stream)

    @classmethod
    def from_parquet(
        cls, path: Path | str, *, features: FeatureSpec | None = None
    ) -> TabularOracle:
        """Read a table with columns `genotype` and `log_loss`, and any others of `Evaluation`.

        Args:
            path: The Parquet file.
            features: Shape of the input that the models were scored on, if it is known.

        Returns:
            The oracle.

        Raises:
            StudyError: The file cannot be read, lacks a column, or an entry has no genotype or no
                log loss.
            GenotypeError: An entry's genotype is not valid.
        """
        try:
            frame = pl.read_parquet(path)
            for name in ("genotype", "log_loss"):
                if name not in frame.columns:
                    raise StudyError(f"{path}: expected a column {name!r}, got {frame.columns}")
            frame = frame.select(pl.col(n).cast(t) for n, t in SCHEMA.items() if n in frame.columns)
        except (OSError, pl.exceptions.PolarsError) as error:
            reason = str(error).splitlines()[0]
            raise StudyError(f"{path}: expected a table of answers, got: {reason}") from error
        table = {}
        for number, row in enumerate(frame.iter_rows(named=True), start=1):
            if row["genotype"] is None or row["log_loss"] is None:
                raise StudyError(f"{path}: row {number}: expected a genotype and a log loss")
            text = row.pop("genotype")
            table[Genotype.from_json(text, f"{path}: row {number}")] = Evaluation(**row)
        return cls(table, features=features)
