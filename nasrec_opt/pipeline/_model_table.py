"""All trained models of a finished run beside each other, as the paper's Tables 4 and 5 show them.

The best of them is named by validation rows; every other one is then compared with it row by row on
the test rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.errors import HwError
from nasrec_opt._files import atomic_write, read_json
from nasrec_opt._results import folder_of, read_results
from nasrec_opt.data import Dataset
from nasrec_opt.errors import NasrecError, StudyError
from nasrec_opt.lowering import lower
from nasrec_opt.pipeline._baselines import fitted_baselines
from nasrec_opt.pipeline._conditions import Conditions
from nasrec_opt.pipeline._cost import architecture_cost
from nasrec_opt.pipeline._folder import RunFolder, model_folder
from nasrec_opt.report import averaged_in_words
from nasrec_opt.retrain import Comparison, Ensemble, compare, predict
from nasrec_opt.space import Genotype, published_models
from nasrec_opt.supernet import Subnet, best_device

NOTICEABLE = 1e-3  # nats; a difference in log loss that matters in practice (paper, section 5.2)
Z_95 = 1.96  # standard errors to each side of a 95 % interval
COSTS = ("mflops", "mflops_paper", "parameters", "latency_us", "energy_uj")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """A model of the table.

    Args:
        name: What it is.
        seeds: Number of trained models behind the means; the other figures are of the one that is
            best on validation rows.
        validation_log_loss: Mean over the seeds, nats.
        test_log_loss: Mean over the seeds, nats.
        test_log_loss_deviation: Standard deviation over the seeds, or None for one seed.
        test_auc: Mean over the seeds, or None where it is not defined.
        test_auc_deviation: Standard deviation over the seeds, or None.
        mflops: Millions of multiply-accumulates of one sample, without padding; None for a model
            that is no network.
        mflops_paper: The same by the rule of the paper's Table 5.
        parameters: Weights without embedding tables.
        latency_us: Of one sample on the run's accelerator, us; None where it cannot run there.
        energy_uj: Of one sample on the run's accelerator, uJ.
        difference: Test log loss minus that of the best model, row by row, nats; None for the best.
        standard_error: Of that difference, nats.
        is_worse_by_0001: `yes` if the difference is beyond 0.001 with 95 % confidence, `no` if it
            is below with the same confidence, else `open`; empty for the best.
    """

    name: str
    seeds: int
    validation_log_loss: float
    test_log_loss: float
    test_log_loss_deviation: float | None = None
    test_auc: float | None = None
    test_auc_deviation: float | None = None
    mflops: float | None = None
    mflops_paper: float | None = None
    parameters: int | None = None
    latency_us: float | None = None
    energy_uj: float | None = None
    difference: float | None = None
    standard_error: float | None = None
    is_worse_by_0001: str = ""


def compare_models(run: Path) -> list[ModelRow]:
    """Compare all trained models of a finished run: searched, averaged, given, and baselines.

    Models of `retrain --genotype` and probes that were trained in the same folder are rows as well.

    Args:
        run: A run folder, or a `results.json` in one.

    Returns:
        The best on validation rows first; the others are compared with it on the test rows.

    Raises:
        StudyError: The run is not finished, or a model of it is missing or damaged.
    """
    results, folder = _places(run)
    found = read_results(results)
    candidates = _Candidates(found, results, folder)
    rows = [*candidates.searched(), *candidates.others(), *candidates.baselines()]
    rows.sort(key=lambda entry: entry[0].validation_log_loss)
    (best, logits), labels = rows[0], candidates.labels
    return [best] + [_against(row, compare(others, logits, labels)) for row, others in rows[1:]]


def write_table(rows: list[ModelRow], run: Path) -> tuple[Path, Path]:
    """Write the table beside the results of a run.

    Args:
        rows: The result of `compare_models`.
        run: The same run.

    Returns:
        The files, Markdown and CSV.

    Raises:
        StudyError: It is no run.
    """
    results, folder = _places(run)
    where = folder.path if results == folder.results else results.parent
    files = where / "comparison.md", where / "comparison.csv"
    for file, text in zip(files, (to_markdown(rows), to_csv(rows)), strict=True):
        with atomic_write(file, "w") as stream:
            stream.write(text)
    return files


def to_markdown(rows: list[ModelRow]) -> str:
    """Lay the table out as Markdown.

    Args:
        rows: The result of `compare_models`.

    Returns:
        Text.
    """
    head = (
        "model",
        "seeds",
        "validation log loss",
        "test log loss",
        "test AUC",
        "MFLOPs",
        "MFLOPs (paper)",
        "parameters",
        "latency us",
        "energy uJ",
        "difference from the best",
        "worse by 0.001",
    )
    lines = [head, ("---", *["---:"] * (len(head) - 1))]
    for row in rows:
        lines.append(
            (
                row.name,
                str(row.seeds),
                f"{row.validation_log_loss:.5f}",
                _spread(row.test_log_loss, row.test_log_loss_deviation),
                _spread(row.test_auc, row.test_auc_deviation),
                *(_short(getattr(row, name)) for name in COSTS),
                _spread(row.difference, row.standard_error, sign="+"),
                row.is_worse_by_0001 or "-",
            )
        )
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return (
        f"{table}\n\nThe first row is the best on validation rows. Log loss and AUC are means ± "
        "standard deviations over the seeds. The difference from the best is that of the test log "
        "losses, row by row, ± its standard error; it and the costs are those of the seed that is "
        'best on validation rows. "Worse by 0.001" says yes or no where the 95 % interval of the '
        "difference does, and else open. Parameters are without embedding tables.\n"
    )


def to_csv(rows: list[ModelRow]) -> str:
    """Lay the table out as CSV, a column for each field of `ModelRow`.

    Args:
        rows: The result of `compare_models`.

    Returns:
        Text.
    """
    stream = io.StringIO()
    names = [field.name for field in fields(ModelRow)]
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: getattr(row, name) for name in names} for row in rows)
    return stream.getvalue()


Logits = npt.NDArray[np.float32]
Found = tuple[ModelRow, Logits]


class _Candidates:
    """The models of a run with their logits on the test rows.

    Args:
        found: Contents of the results.
        results: Their file.
        folder: The run folder.
    """

    def __init__(self, found: Mapping[str, Any], results: Path, folder: RunFolder) -> None:
        self._models, self._ensemble = found["models"], found.get("ensemble")
        self._results, self._folder = results, folder
        if "conditions" not in found:
            raise StudyError(
                f"{results}: expected results that state how models are costed, got those of an "
                "older version; `nasrec-opt run` writes them again without training"
            )
        self._conditions = Conditions.from_dict(found["conditions"])
        dataset = Dataset.open(
            folder.dataset, min_count=int(found.get("training", {}).get("min_count", 1))
        )
        if dataset.features != self._conditions.features:
            dataset = Dataset.open(
                folder.dataset, min_count=int(dataset.view["min_count"]), binned_dense=True
            )
        self._dataset = dataset
        self._test = dataset.split("test")
        self.labels = self._test.labels

    def searched(self) -> list[Found]:
        """The models of the search, and their ensemble."""
        rows = []
        for rank, model in enumerate(self._models, start=1):
            trained = self._seeds(model)
            row = _row(f"model {rank} (trial {model['trial']})", trained, model)
            rows.append(
                (row, self._logits(folder_of(model, self._results, self._folder.path) / "model"))
            )
        if self._ensemble:
            name = f"ensemble of {averaged_in_words(self._ensemble)}"
            row = _row(name, [self._ensemble], self._ensemble)
            network = Ensemble.load(self._results.parent / "ensemble").to(best_device())
            rows.append((row, predict(network, self._test)[0]))
        return rows

    def others(self) -> list[Found]:
        """Models of the folder that the search has not retrained, such as given ones."""
        known = {str(Genotype.from_dict(model["genotype"]).to_json()) for model in self._models}
        grouped: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
        for file in sorted(self._folder.retrained.glob("*/result.json")):
            figures = read_json(file)["figures"]
            key = Genotype.from_dict(figures["genotype"], str(file)).to_json()
            if key not in known:
                grouped.setdefault(key, []).append((file.parent, figures))
        rows = []
        for key, trained in grouped.items():
            place, _ = min(trained, key=lambda entry: entry[1]["validation_log_loss"])
            subnet = Subnet.load(place / "model").to(best_device())
            if subnet.features == self._dataset.features:
                genotype = Genotype.from_json(key)
                costs = _costs(genotype, replace(self._conditions, balance=subnet.balance))
                row = _row(_name(genotype, place), [figures for _, figures in trained], costs)
                rows.append((row, predict(subnet, self._test)[0]))
        return rows

    def baselines(self) -> list[Found]:
        """The click rate and logistic regression."""
        return [
            (_row(name.replace("_", " "), [baseline.to_dict()], {}), baseline.test_logits)
            for name, baseline in fitted_baselines(self._folder, self._dataset).items()
        ]

    def _seeds(self, model: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Figures of a model's seeds; each has a folder of its own."""
        seeds = [entry["seed"] for entry in model.get("seeds", [])]
        if len(seeds) < 2:
            return [model]
        found = []
        for seed in seeds:
            own = model_folder(self._folder, model["genotype"], seed)
            usual = model_folder(self._folder, model["genotype"])
            file = (own if own.exists() else usual) / "result.json"
            try:
                found.append(read_json(file)["figures"])
            except (OSError, ValueError, KeyError) as error:
                raise StudyError(f"{file}: expected the figures of a model, got {error}") from error
        return found

    def _logits(self, weights: Path) -> Logits:
        return predict(Subnet.load(weights).to(best_device()), self._test)[0]


def _places(run: Path) -> tuple[Path, RunFolder]:
    """The results that a user points at, and the run folder that they are in."""
    if run.is_dir():
        folder = RunFolder(run)
        if not folder.results.exists():
            raise StudyError(f"{run}: expected a finished run, found no retrained models there")
        return folder.results, folder
    for above in list(run.parents)[:3]:
        if RunFolder(above).dataset_record.exists():
            return run, RunFolder(above)
    raise StudyError(f"{run}: expected a run folder, or the results.json of one, got neither")


def _row(name: str, trained: list[Any], costs: Mapping[str, Any]) -> ModelRow:
    test = [figures["test_log_loss"] for figures in trained]
    aucs = [figures["test_auc"] for figures in trained]
    several = len(trained) > 1
    return ModelRow(
        name=name,
        seeds=len(trained),
        validation_log_loss=fmean(figures["validation_log_loss"] for figures in trained),
        test_log_loss=fmean(test),
        test_log_loss_deviation=stdev(test) if several else None,
        test_auc=None if None in aucs else fmean(aucs),
        test_auc_deviation=stdev(aucs) if several and None not in aucs else None,
        mflops=costs.get("mflops"),
        mflops_paper=costs.get("mflops_paper"),
        parameters=costs.get("parameters"),
        latency_us=costs.get("latency_us"),
        energy_uj=costs.get("energy_uj"),
    )


def _against(row: ModelRow, found: Comparison) -> ModelRow:
    error = found.standard_error
    verdict = "open"
    if error is not None and found.difference - Z_95 * error > NOTICEABLE:
        verdict = "yes"
    elif error is not None and found.difference + Z_95 * error < NOTICEABLE:
        verdict = "no"
    return replace(row, difference=found.difference, standard_error=error, is_worse_by_0001=verdict)


def _costs(genotype: Genotype, conditions: Conditions) -> Mapping[str, Any]:
    try:
        return architecture_cost(genotype, conditions)
    except (HwError, NasrecError):  # such as floating point on crossbars
        workload = lower(genotype, conditions.features, balance=conditions.balance)
        return {name: getattr(workload, name) for name in COSTS[:3]}


def _name(genotype: Genotype, place: Path) -> str:
    for name, model in published_models().items():
        if model.genotype.with_bits(32) == genotype.with_bits(32):
            return f"published:{name}"
    return f"trained beside the search ({place.name[:8]})"


def _spread(value: float | None, around: float | None, sign: str = "") -> str:
    if value is None:
        return "-"
    return f"{value:{sign}.5f}" + ("" if around is None else f" ± {around:.5f}")


def _short(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
