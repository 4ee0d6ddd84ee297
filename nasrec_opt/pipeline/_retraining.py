"""The winners of a search trained from scratch, the baselines beside them, and their figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import optuna

from hw import TechnologyFile
from nasrec_opt._files import atomic_write, read_json, write_json
from nasrec_opt.data import Dataset
from nasrec_opt.oracle import Oracle
from nasrec_opt.pipeline._conditions import Conditions
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._cost import architecture_cost
from nasrec_opt.pipeline._folder import RunFolder, digest, plain
from nasrec_opt.pipeline._search import Progress, log_loss_of, winners
from nasrec_opt.report import winner
from nasrec_opt.retrain import Baseline, baselines, compare, predict, retrain
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import Subnet, Supernet, best_device


def retrain_winners(
    config: StudyConfig,
    folder: RunFolder,
    study: optuna.Study,
    dataset: Dataset,
    progress: Progress,
    *,
    file: Path,
    at_bits: Oracle | None = None,
) -> dict[str, Any]:
    """Train what a search found, each model in a folder of its own.

    Args:
        config: The study.
        folder: The run folder; what it holds already is not trained again.
        study: The finished search.
        dataset: What the models are trained on.
        progress: Called with (models begun, models and the baselines).
        file: The `results.json` to write.
        at_bits: Scores models at their bits, where the search ranked them in floating point.

    Returns:
        What `results.json` holds from then on: `models`, the best on validation first,
        `baselines`, the `winner` among them, `clicks` and rows of the splits, how the models were
        trained (`training`), the `conditions` that the costs hold for, and `bayes` where the least
        possible log loss is known. `against` of a model is its difference
        from each baseline on the test rows.
    """
    supernet = Supernet.load(folder.supernet)
    chosen = winners(study, config.retrain.top)
    progress(0, len(chosen) + 1)
    reference = _baselines(folder, Dataset.open(folder.dataset))
    conditions = Conditions(dataset.features, TechnologyFile.read(config.hardware.technology))
    labels, train = dataset.split("test").labels, dataset.split("train").labels
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
                **_at_bits(at_bits, genotype),
                **model.to_dict(),
                **_cost(genotype, conditions),
                "against": _against(model.path, dataset, reference, labels),
            }
        )
    models.sort(key=lambda model: model["validation_log_loss"])
    results: dict[str, Any] = {
        "models": models,
        "baselines": {name: baseline.to_dict() for name, baseline in reference.items()},
        "clicks": {
            name: [int(values.sum(dtype=np.int64)), len(values)]
            for name, values in (("train", train), ("test", labels))
        },
        "training": plain(config.retrain.model) | {"min_count": dataset.view["min_count"]},
        "conditions": conditions.to_dict(),
    }
    results["winner"] = winner(results)
    if dataset.bayes_log_loss is not None:
        results["bayes"] = dataset.bayes_log_loss["test"]
    write_json(file, results)
    return results


def model_folder(folder: RunFolder, genotype: Mapping[str, Any]) -> Path:
    """Where the retrained model of a genotype is."""
    return folder.retrained / digest(genotype)


def _at_bits(oracle: Oracle | None, genotype: Genotype) -> dict[str, float]:
    """The searched log loss once more, where the search had it in floating point."""
    if oracle is None:
        return {}
    return {"search_log_loss_at_bits": oracle.evaluate(genotype).log_loss}


def _cost(genotype: Genotype, conditions: Conditions) -> dict[str, Any]:
    figures = architecture_cost(genotype, conditions)
    for name in ("breakdown", "conditions", "notes"):  # the last two are the same for all models
        del figures[name]
    return figures


def _against(
    model: Path,
    dataset: Dataset,
    reference: Mapping[str, Baseline],
    labels: npt.NDArray[np.uint8],
) -> dict[str, Any]:
    """How a retrained model compares with each baseline on the test rows."""
    subnet = Subnet.load(model / "model").to(best_device())
    logits, _ = predict(subnet, dataset.split("test"))
    return {
        name: compare(logits, baseline.test_logits, labels).to_dict()
        for name, baseline in reference.items()
    }


def _baselines(folder: RunFolder, dataset: Dataset) -> dict[str, Baseline]:
    """Fitted once for a dataset: on a long log that takes minutes."""
    file, answers = folder.retrained / "baselines.json", folder.retrained / "baselines.npz"
    try:
        known = read_json(file)
        if known["dataset"] == dataset.fingerprint:
            with np.load(answers) as logits:
                return {
                    name: Baseline(**figures, test_logits=logits[name])
                    for name, figures in known["baselines"].items()
                }
    except (OSError, ValueError, KeyError, TypeError, BadZipFile):
        pass  # not there, or not ours: what is fitted now replaces it
    fitted = baselines(dataset)
    file.unlink(missing_ok=True)  # answers and figures never disagree
    with atomic_write(answers, "wb") as stream:
        np.savez(stream, **{name: baseline.test_logits for name, baseline in fitted.items()})
    figures = {name: baseline.to_dict() for name, baseline in fitted.items()}
    write_json(file, {"dataset": dataset.fingerprint, "baselines": figures})
    return fitted
