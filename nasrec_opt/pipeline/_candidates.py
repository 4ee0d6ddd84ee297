"""The trained models of a run as rows of a table, each with its logits on the test rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import numpy.typing as npt

from nasrec_opt._files import read_json
from nasrec_opt._results import folder_of, read_results
from nasrec_opt.baselines import BaselineOptions
from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline._baselines import fitted_baselines
from nasrec_opt.pipeline._conditions import Conditions
from nasrec_opt.pipeline._cost import costs_where_possible
from nasrec_opt.pipeline._folder import RunFolder, model_folder
from nasrec_opt.pipeline._random_search import random_results
from nasrec_opt.pipeline._search_cost import search_cost
from nasrec_opt.pipeline._tuned_baselines import KeptBaseline, TunedBaselines
from nasrec_opt.pipeline.stages import STAGES
from nasrec_opt.pipeline.stages.baselines import BASELINES
from nasrec_opt.report import ModelRow, averaged_in_words
from nasrec_opt.retrain import Ensemble, predict
from nasrec_opt.space import Genotype, name_of
from nasrec_opt.supernet import Subnet, best_device

BATCH_SIZE = 512  # of a run whose results do not say

Logits = npt.NDArray[np.float32]
Found = tuple[ModelRow, Logits]


class Candidates:
    """The models of a run with their logits on the test rows.

    Args:
        found: Contents of the results.
        results: Their file.
        folder: The run folder.

    Attributes:
        labels: Of the test rows, `[rows]`.
        weights: Of the test rows, `[rows]`, or None where each counts once.
        handmade: The hand-made models of the run.
    """

    def __init__(self, found: Mapping[str, Any], results: Path, folder: RunFolder) -> None:
        self._models, self._ensemble = found["models"], found.get("ensemble")
        self._results, self._folder = results, folder
        search = folder.search_of(results)
        self._search_cost = search_cost(folder, search, STAGES)
        self._probes = _probes(folder.probes_of(search))
        if "conditions" not in found:
            raise StudyError(
                f"{results}: expected results that state how models are costed, got those of an "
                "older version; `nasrec-opt run` writes them again without training"
            )
        self._conditions = Conditions.from_dict(found["conditions"])
        file = random_results(folder, search)
        self._random = None if file is None else Candidates(read_results(file), file, folder)
        dataset = Dataset.open(
            folder.dataset, min_count=int(found.get("training", {}).get("min_count", 1))
        )
        if dataset.features != self._conditions.features:
            dataset = Dataset.open(
                folder.dataset, min_count=int(dataset.view["min_count"]), binned_dense=True
            )
        self._dataset = dataset
        training = found.get("training", {})
        self.handmade = TunedBaselines(
            folder,
            dataset,
            BaselineOptions(batch_size=int(training.get("batch_size") or BATCH_SIZE)),
            _first_seed(self._models),
        )
        self._test = dataset.split("test")
        self.labels, self.weights = self._test.labels, self._test.weights

    def searched(self) -> list[Found]:
        """The models of the search, and their ensemble."""
        rows = []
        for rank, model in enumerate(self._models, start=1):
            trained = self._seeds(model)
            if "trial" in model:
                row = self._found(_row(f"model {rank} (trial {model['trial']})", trained, model))
            else:  # a given one, which no search has found
                row = _row(f"model {rank} ({model['name']})", trained, model)
            rows.append(
                (row, self._logits(folder_of(model, self._results, self._folder.path) / "model"))
            )
        if self._ensemble:
            name = f"ensemble of {averaged_in_words(self._ensemble)}"
            row = self._found(_row(name, [self._ensemble], self._ensemble))
            row = replace(row, training_seconds=self._seconds_of_members())
            network = Ensemble.load(self._results.parent / "ensemble").to(best_device())
            rows.append((row, predict(network, self._test)[0]))
        return rows

    def random(self) -> list[Found]:
        """The models of random search at equal budget, if it was asked for."""
        found = [] if self._random is None else self._random.searched()
        return [(replace(row, name=f"random search: {row.name}"), logits) for row, logits in found]

    def others(self) -> list[Found]:
        """Models of the folder that no search of the table has retrained, such as given ones."""
        searched = [*self._models, *(self._random._models if self._random else ())]
        known = {str(Genotype.from_dict(model["genotype"]).to_json()) for model in searched}
        grouped: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
        for file in sorted(self._folder.retrained.glob("*/result.json")):
            figures = _figures(file)
            key = Genotype.from_dict(figures["genotype"], str(file)).to_json()
            if key not in known:
                grouped.setdefault(key, []).append((file.parent, figures))
        rows = []
        for key, trained in grouped.items():
            place, _ = min(trained, key=lambda entry: entry[1]["validation_log_loss"])
            subnet = Subnet.load(place / "model").to(best_device())
            if subnet.features == self._dataset.features:
                genotype = Genotype.from_json(key)
                conditions = replace(
                    self._conditions, balance=subnet.balance, layer_norm=subnet.layer_norm
                )
                costs = costs_where_possible(genotype, conditions)
                name = _name(genotype, place, is_probe=key in self._probes)
                row = _row(name, [figures for _, figures in trained], costs)
                rows.append((row, predict(subnet, self._test)[0]))
        return rows

    def baselines(self) -> list[Found]:
        """The click rate, logistic regression, and the hand-made models that have been trained."""
        fitted = fitted_baselines(self._folder, self._dataset)
        # The click rate is counted: the time is that of the fits of logistic regression.
        seconds = self._folder.record().get(BASELINES.key(""), {}).get("seconds")
        spent = {"constant": None, "logistic_regression": seconds}
        rows = [
            (
                _row(name.replace("_", " "), [{**baseline.to_dict(), "seconds": spent[name]}], {}),
                baseline.test_logits,
            )
            for name, baseline in fitted.items()
        ]
        return rows + [_handmade(kept) for kept in self.handmade.kept()]

    def _found(self, row: ModelRow) -> ModelRow:
        """The row of a model of the search."""
        cost = self._search_cost
        return replace(row, search_seconds=cost.seconds, search_trials=cost.trials)

    def _seconds_of_members(self) -> float | None:
        """Wall time of training the members of the ensemble, each once, s."""
        members = (self._ensemble or {}).get("members", [])
        folders = {member.get("folder") for member in members}
        if None in folders:  # of results of before they named it
            return None
        files = [self._folder.path / str(folder) / "result.json" for folder in folders]
        return _seconds([_figures(file) for file in files])

    def _seeds(self, model: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Figures of a model's seeds; each has a folder of its own."""
        seeds = [entry["seed"] for entry in model.get("seeds", [])]
        if len(seeds) < 2:
            return [model]
        found = []
        for seed in seeds:
            own = model_folder(self._folder, model["genotype"], seed)
            usual = model_folder(self._folder, model["genotype"])
            found.append(_figures((own if own.exists() else usual) / "result.json"))
        return found

    def _logits(self, weights: Path) -> Logits:
        return predict(Subnet.load(weights).to(best_device()), self._test)[0]


def _row(name: str, trained: Sequence[Mapping[str, Any]], costs: Mapping[str, Any]) -> ModelRow:
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
        training_seconds=_seconds(trained),
    )


def _first_seed(models: Sequence[Mapping[str, Any]]) -> int:
    """The seed of the study, which the first trained model of an architecture has."""
    if not models:
        return 0
    seeds = models[0].get("seeds") or [{"seed": models[0].get("seed", 0)}]
    return min(int(entry["seed"]) for entry in seeds)


def _handmade(kept: KeptBaseline) -> Found:
    """The row of a hand-made model; the search that found it is its tuning."""
    best = min(kept.models, key=lambda model: model.validation_log_loss)
    figures = [model.to_dict() for model in kept.models]
    row = _row(kept.label, figures, {"mflops": best.mflops, "parameters": best.parameters})
    return replace(row, search_seconds=kept.seconds, search_trials=kept.trials), best.test_logits


def _figures(file: Path) -> dict[str, Any]:
    try:
        return dict(read_json(file)["figures"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(f"{file}: expected the figures of a model, got {error}") from error


def _seconds(trained: Sequence[Mapping[str, Any]]) -> float | None:
    """Wall time of training all of them, s."""
    spent = [figures.get("seconds") for figures in trained]
    return None if None in spent else sum(float(seconds) for seconds in spent if seconds)


def _probes(file: Path) -> set[str]:
    """The genotypes that were trained before the supernet, as JSON; none without such a stage."""
    try:
        models = read_json(file)["models"]
        return {Genotype.from_dict(model["genotype"]).to_json() for model in models}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _name(genotype: Genotype, place: Path, *, is_probe: bool) -> str:
    usual = f"{'probe' if is_probe else 'trained beside the search'} ({place.name[:8]})"
    return name_of(genotype) or usual
