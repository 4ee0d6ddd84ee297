"""A retrained model of a run made smaller, and what that saves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from nasrec_opt._files import read_json, write_json
from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline._conditions import Conditions
from nasrec_opt.pipeline._console import Reporter
from nasrec_opt.pipeline._cost import architecture_cost
from nasrec_opt.pipeline._cpu_latency import cpu_latencies
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._report import refresh_report
from nasrec_opt.pipeline._target import Target, read_target
from nasrec_opt.pruning import PruneConfig, Round, prune
from nasrec_opt.report import PRUNING_COLUMNS, PRUNING_NOTE, pruning_cells
from nasrec_opt.retrain import RetrainConfig
from nasrec_opt.serving import find, find_results
from nasrec_opt.space import Genotype

RESULT = "result.json"
COSTS = (
    "mflops", "mflops_paper", "parameters", "latency_us", "energy_uj", "area_mm2",
)  # fmt: skip
LOSSES = ("validation_log_loss", "test_log_loss", "test_auc")


def prune_model(
    run: Path,
    config: PruneConfig,
    *,
    model: int | None = None,
    out: Path | None = None,
    reporter: Reporter,
) -> dict[str, Any]:
    """Prune a retrained model of a run.

    It is trained as the run trained it, on the run's log. Finished rounds are read. The report of
    the run shows the prunings that lie in its folder.

    Args:
        run: The run folder, or its `results.json`.
        config: How the model is pruned.
        model: Rank of the model, from 1, or None for the best.
        out: Gets the rounds, the smaller model, `genotype.json` and `results.json`, or None for
            `pruned/model-<N>-<method>` in the run folder.
        reporter: Who is told of progress.

    Returns:
        What `results.json` holds: figures of the `model` and of each of the `rounds`, with the
        fields of `CpuLatency`; the last round has log losses as well, and `bytes` of its weights on
        disk.

    Raises:
        StudyError: There is no such run or model, its training is not written down, another process
            works on `out`, or there is nothing to remove.
        GenotypeError: The genotype of the model is not valid.
    """
    results, home = find_results(run)
    run_folder = RunFolder(home)
    search = run_folder.search_of(results)
    rank = 1 if model is None else model
    place, target = find(run, rank), read_target(run, model=rank)
    folder = place.weights.parent
    training, figures = _training_of(folder)
    dataset = _dataset_of(place.preprocessor, figures["wanted"]["dataset"])
    if out is None:
        out = run_folder.pruned_of(search) / f"model-{rank}-{config.method}"
    with RunFolder(out).locked():
        begun: list[str] = []

        def begin(sentence: str) -> None:
            if begun:
                reporter.end(begun[-1])
            begun.append(sentence)
            reporter.begin("prune", sentence)

        rounds = prune(
            target.genotype, dataset, out, config,
            training=training, begin=begin, progress=reporter.advance,
        )  # fmt: skip
        reporter.end(f"{len(rounds)} rounds: {out}")
        whole = _figures(target.genotype, target.conditions, figures["figures"], place.weights)
        result = {
            "pruning": asdict(config),
            **_measured(whole, rounds, target, dataset),
        }
        write_json(out / "genotype.json", rounds[-1].genotype.to_dict())
        write_json(out / "results.json", result)
    refresh_report(run_folder, search)
    return result


def _measured(
    whole: Mapping[str, Any], rounds: Sequence[Round], target: Target, dataset: Dataset
) -> dict[str, Any]:
    """The figures of the whole model and of each round, with the times measured here."""
    entries: list[dict[str, Any]] = [dict(whole)]
    for found in rounds:
        trained = found.trained
        figures = _figures(
            found.genotype,
            target.conditions,
            trained.to_dict() if trained else None,
            trained.path / "model" if trained else None,
        )
        entries.append({"round": found.number} | figures)
    genotypes = [target.genotype, *(found.genotype for found in rounds)]
    times = cpu_latencies(genotypes, dataset, **target.conditions.of_model)
    for entry, measured in zip(entries, times, strict=True):
        entry |= asdict(measured)
    return {"model": entries[0], "rounds": entries[1:]}


def print_pruning(figures: Mapping[str, Any]) -> None:
    """Print what pruning saves as a table.

    Args:
        figures: The result of `prune_model`.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("model", no_wrap=True)
    for head in PRUNING_COLUMNS:
        table.add_column(head.replace(" ", "\n"), justify="right", no_wrap=True)
    whole = figures["model"]
    for entry in (whole, *figures["rounds"]):
        name = f"round {entry['round']}" if "round" in entry else "whole"
        cells = pruning_cells(entry, whole)
        table.add_row(name, *(cells[head] for head in PRUNING_COLUMNS))
    console = Console(soft_wrap=True)
    console.print(table)
    console.print(PRUNING_NOTE, highlight=False, markup=False)


def _figures(
    genotype: Genotype,
    conditions: Conditions,
    losses: Mapping[str, Any] | None,
    weights: Path | None,
) -> dict[str, Any]:
    """What a model costs, and where it was trained to the end what it is worth."""
    cost = architecture_cost(genotype, conditions)
    found: dict[str, Any] = {"genotype": genotype.to_dict(), **{n: cost[n] for n in COSTS}}
    if losses is not None and weights is not None:
        found |= {name: losses[name] for name in LOSSES}
        found["bytes"] = (weights / "weights.safetensors").stat().st_size
    return found


def _training_of(folder: Path) -> tuple[RetrainConfig, dict[str, Any]]:
    """How a model was trained, and its figures.

    Raises:
        StudyError: Its folder does not say.
    """
    file = folder / RESULT
    try:
        result = read_json(file)
        given = dict(result["wanted"]["config"])
        known = {f.name for f in fields(RetrainConfig)}
        values = {name: value for name, value in given.items() if name in known}
        if isinstance(values.get("learning_rates"), list):
            values["learning_rates"] = tuple(values["learning_rates"])
        return RetrainConfig(**values), {name: result[name] for name in ("wanted", "figures")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(f"{file}: expected how the model was trained, got: {error!r}") from error


def _dataset_of(path: Path, fingerprint: str) -> Dataset:
    """The log, opened as the model with this fingerprint of its data has read it.

    Raises:
        StudyError: The dataset has changed since.
    """
    for min_count in _least_counts(path):
        for binned_dense in (False, True):
            dataset = Dataset.open(path, min_count=min_count, binned_dense=binned_dense)
            if dataset.fingerprint == fingerprint:
                return dataset
    raise StudyError(
        f"{path}: expected the dataset that the model was trained on, got another one; run the "
        "study again"
    )


def _least_counts(path: Path) -> list[int]:
    """The `min_count` that the run's results state, then all that it may have been."""
    known = list(range(1, 33))
    try:
        results = read_json(path.parent / "retrained" / "results.json")
        return [int(results["training"]["min_count"]), *known]
    except (OSError, ValueError, KeyError, TypeError):
        return known
