"""The winners of a search trained from scratch, the baselines beside them, and their figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna

from hw import TechnologyFile
from nasrec_opt._files import read_json, write_json
from nasrec_opt.data import Dataset
from nasrec_opt.pipeline._conditions import Conditions
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._cost import architecture_cost
from nasrec_opt.pipeline._folder import RunFolder, digest
from nasrec_opt.pipeline._search import Progress, log_loss_of, winners
from nasrec_opt.retrain import baselines, retrain
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import Supernet


def retrain_winners(
    config: StudyConfig,
    folder: RunFolder,
    study: optuna.Study,
    dataset: Dataset,
    progress: Progress,
) -> dict[str, Any]:
    """Train what a search found, each model in a folder of its own.

    Args:
        config: The study.
        folder: The run folder; what it holds already is not trained again.
        study: The finished search.
        dataset: What the models are trained on.
        progress: Called with (models begun, models and the baselines).

    Returns:
        What `results.json` holds from then on: `models`, the best on validation first,
        `baselines`, the `conditions` that the costs hold for, and `bayes` where the least possible
        log loss is known.
    """
    supernet = Supernet.load(folder.supernet)
    chosen = winners(study, config.retrain.top)
    progress(0, len(chosen) + 1)
    reference = _baselines(folder, Dataset.open(folder.dataset))
    conditions = Conditions(dataset.features, TechnologyFile.read(config.hardware.technology))
    models = []
    for done, (genotype, trial) in enumerate(chosen, start=1):
        progress(done, len(chosen) + 1)
        model = retrain(
            genotype,
            dataset,
            model_folder(folder, genotype.to_dict()),
            dataclasses.replace(config.retrain.model, seed=config.seed),
            supernet=supernet,
        )
        models.append(
            {
                "genotype": genotype.to_dict(),
                "trial": trial.number,
                "search_log_loss": log_loss_of(study, trial),
                **model.to_dict(),
                **_cost(genotype, conditions),
            }
        )
    models.sort(key=lambda model: model["validation_log_loss"])
    results: dict[str, Any] = {
        "models": models,
        "baselines": reference,
        "conditions": conditions.to_dict(),
    }
    if dataset.bayes_log_loss is not None:
        results["bayes"] = dataset.bayes_log_loss["test"]
    write_json(folder.results, results)
    return results


def model_folder(folder: RunFolder, genotype: Mapping[str, Any]) -> Path:
    """Where the retrained model of a genotype is."""
    return folder.retrained / digest(genotype)


def _cost(genotype: Genotype, conditions: Conditions) -> dict[str, Any]:
    figures = architecture_cost(genotype, conditions)
    for name in ("breakdown", "conditions", "notes"):  # the last two are the same for all models
        del figures[name]
    return figures


def _baselines(folder: RunFolder, dataset: Dataset) -> dict[str, float]:
    """Fitted once for a dataset: on a long log that takes minutes."""
    file = folder.retrained / "baselines.json"
    try:
        known = read_json(file)
        if known["dataset"] == dataset.fingerprint:
            return dict(known["baselines"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, or not ours: what is fitted now replaces it
    fitted = baselines(dataset)
    write_json(file, {"dataset": dataset.fingerprint, "baselines": fitted})
    return fitted
