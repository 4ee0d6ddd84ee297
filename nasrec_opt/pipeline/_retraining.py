"""Training of the best searched models from scratch, and comparison with the baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial

from nasrec_opt._files import write_json
from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.oracle import Oracle
from nasrec_opt.pipeline._conditions import Conditions, conditions_of_study
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._context import Context
from nasrec_opt.pipeline._cost import architecture_cost
from nasrec_opt.pipeline._ensembling import Judge, Member, ensemble_of
from nasrec_opt.pipeline._folder import RunFolder, folder_in_run, model_folder
from nasrec_opt.pipeline._schema import as_json
from nasrec_opt.pipeline._search import Found, Progress, log_loss_of
from nasrec_opt.pipeline._trainers import train_ahead
from nasrec_opt.pipeline._trainings import Trainings
from nasrec_opt.report import winner
from nasrec_opt.retrain import RetrainedModel, auc, expected_log_loss, log_losses
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import Supernet


def retrain_winners(
    context: Context,
    study: optuna.Study,
    chosen: Sequence[Found],
    *,
    others: Sequence[Found] = (),
    ladder: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train the chosen models of a search, each in a folder of its own.

    Models whose folders have a result are not trained again.

    Args:
        context: The open run. `results.json` of its search and the folder of its ensemble are
            written.
        study: The finished search.
        chosen: The architectures, and the trials that found them.
        others: What was trained to the end before the search: it is one of the models where it is
            better on validation rows than all that were chosen, and may be a member of the ensemble
            anyway.
        ladder: What the climb that chose the architectures came to, or None without one.

    Returns:
        What `results.json` holds from then on: `models`, the best on validation over their seeds
        first, each with the figures of its best seed, `ensemble` where several models together are
        better, `ladder` where there is one, `baselines`, the `winner` of all, `clicks` and rows of
        the splits, how the models were trained (`training`), the `conditions` that the costs hold
        for, and `bayes` where the least possible log loss is known. `against_on_validation` of a
        model is its difference from each baseline on the validation rows, which decide who wins,
        and `against` that on the test rows.
    """
    config, folder, place = context.config, context.folder, context.place
    work = _Retraining(context, study)
    members = work.train(chosen, context.reporter.advance)
    models = [work.entry(*found) for found in chosen]
    work.add(others, models, members)
    models.sort(key=lambda model: model["mean_validation_log_loss"])
    results = results_with(config, context.dataset(), models, work.judge, work.conditions, ladder)
    ensemble = ensemble_of(
        members,
        work.judge,
        work.conditions,
        most=config.retrain.ensemble,
        constraints=config.search.constraints,
        where=folder.ensemble_of(place),
    )
    if ensemble is not None:
        results["ensemble"] = ensemble
    results["winner"] = winner(results)
    write_json(folder.results_of(place), results)
    return results


class _Retraining:
    """Trains the models of a search, and computes their figures.

    Args:
        context: The open run.
        study: The finished search.
    """

    def __init__(self, context: Context, study: optuna.Study) -> None:
        config, folder, dataset = context.config, context.folder, context.dataset()
        supernet = Supernet.load(folder.supernet)
        self.judge = Judge.of_run(folder, dataset)
        self.conditions = conditions_of_study(config, dataset, balance=supernet.balance)
        self._study = study
        self._workers, self._ray = config.retrain.workers, config.ray.address
        self._trainings = Trainings(config, folder, dataset, supernet.balance)
        self._seeds = self._trainings.seeds
        # A search in floating point did not score models at their bits.
        self._at_bits = context.oracle("genotype") if config.oracle.bits == "float" else None

    def train(self, chosen: Sequence[Found], progress: Progress) -> list[Member]:
        """Train each architecture with each seed, one of each first.

        Args:
            chosen: The architectures.
            progress: Called with (steps done, steps at most) where models are trained side by side,
                and with (models trained, models).

        Raises:
            StudyError: A training failed.
        """
        trainings = self._trainings
        wanted = [(seed, genotype) for seed, (genotype, _) in product(self._seeds, chosen)]
        ahead = [trainings.job(genotype, seed) for seed, genotype in wanted]
        train_ahead(ahead, trainings.dataset, self._workers, progress, ray=self._ray)
        members = []
        for done, (seed, genotype) in enumerate(wanted):
            progress(done, len(wanted))
            members.append((seed, trainings.model(genotype, seed)))
        return members

    def add(
        self, others: Sequence[Found], models: list[dict[str, Any]], members: list[Member]
    ) -> None:
        """Add earlier models: to the members, and to the models if one is the best."""
        known = {model["trial"] for model in models}
        best = min(model["validation_log_loss"] for model in models)
        seed = self._seeds[0]
        for genotype, trial in others:
            if trial.number not in known:
                with suppress(StudyError):  # of a failed training
                    members.append((seed, self._trainings.model(genotype, seed)))
                    if members[-1][1].validation_log_loss < best:
                        models.append(self.entry(genotype, trial))

    def entry(self, genotype: Genotype, trial: FrozenTrial) -> dict[str, Any]:
        """The entry of a model in `results.json`."""
        trained = {seed: self._trainings.model(genotype, seed) for seed in self._seeds}
        return {
            "genotype": genotype.to_dict(),
            "trial": trial.number,
            "search_log_loss": log_loss_of(self._study, trial),
            **_at_bits(self._at_bits, genotype),
            **over_seeds(trained, self.judge),
            **_cost(genotype, self.conditions),
            **self.conditions.entry,
        }


def results_with(
    config: StudyConfig,
    dataset: Dataset,
    models: list[dict[str, Any]],
    judge: Judge,
    conditions: Conditions,
    ladder: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The contents of `results.json`: the models, and everything that explains their figures."""
    labels = {name: dataset.split(name).labels for name in ("train", "test")}
    results: dict[str, Any] = {
        "models": models,
        "baselines": {
            name: baseline.to_dict()
            | {"validation_auc": auc(baseline.validation_logits, *judge.rows["validation"])}
            for name, baseline in judge.reference.items()
        },
        "clicks": {
            name: [int(values.sum(dtype=np.int64)), len(values)] for name, values in labels.items()
        },
        "training": as_json(config.retrain.model) | {"min_count": dataset.view["min_count"]},
        "conditions": conditions.to_dict(),
        **({} if ladder is None else {"ladder": dict(ladder)}),
    }
    if dataset.bayes_log_loss is not None:
        results["bayes"] = dataset.bayes_log_loss["test"]
    return results


def folder_of_model(folder: RunFolder, config: StudyConfig, model: Mapping[str, Any]) -> Path:
    """Find the folder of the model of an entry of `results.json`.

    Args:
        folder: The run folder.
        config: The study.
        model: The entry, of this version or an older one.
    """
    seed = model.get("seed", config.seed)
    return model_folder(folder, model["genotype"], None if seed == config.seed else seed)


def _at_bits(oracle: Oracle | None, genotype: Genotype) -> dict[str, float]:
    """The searched log loss at the model's bits, if the search ranked in floating point."""
    if oracle is None:
        return {}
    return {"search_log_loss_at_bits": oracle.evaluate(genotype).log_loss}


def _cost(genotype: Genotype, conditions: Conditions) -> dict[str, Any]:
    figures = architecture_cost(genotype, conditions)
    for name in ("breakdown", "conditions", "notes"):  # the last two are the same for all models
        del figures[name]
    return figures


def over_seeds(trained: Mapping[int, RetrainedModel], judge: Judge) -> dict[str, Any]:
    """Figures of the seed that is best on validation, and the expectation for any seed.

    That one model is compared with each baseline on the same rows: `against` on test rows,
    `against_on_validation` on validation rows.
    """
    best = min(trained, key=lambda seed: trained[seed].validation_log_loss)
    names = ("validation_log_loss", "test_log_loss")
    labels, weights = judge.rows["test"]
    losses = [
        log_losses(judge.answers(model.weights()[0], "test"), labels) for model in trained.values()
    ]
    return {
        **trained[best].to_dict(),
        "folder": folder_in_run(trained[best].path),
        "seed": best,
        "seeds": [
            {"seed": seed, **{name: getattr(model, name) for name in names}}
            for seed, model in trained.items()
        ],
        "mean_validation_log_loss": float(
            np.mean([model.validation_log_loss for model in trained.values()])
        ),
        "expected_test_log_loss": expected_log_loss(losses, weights).to_dict(),
        **judge.against(
            {split: judge.answers(trained[best].weights()[0], split) for split in judge.rows}
        ),
    }
