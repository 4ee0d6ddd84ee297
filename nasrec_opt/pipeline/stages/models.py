"""Given architectures trained from scratch, in `retrained/`; only for a study that names some."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasrec_opt._files import read_json, write_json
from nasrec_opt.pipeline import _sentences as sentences
from nasrec_opt.pipeline._conditions import Conditions, conditions_of_study
from nasrec_opt.pipeline._context import Context
from nasrec_opt.pipeline._cost import costs_where_possible
from nasrec_opt.pipeline._ensembling import Judge
from nasrec_opt.pipeline._identity import model_settings
from nasrec_opt.pipeline._named import given_genotypes
from nasrec_opt.pipeline._rates import write_rate_studies
from nasrec_opt.pipeline._retraining import over_seeds, results_with
from nasrec_opt.pipeline._searches import studies_of
from nasrec_opt.pipeline._stage import Stage
from nasrec_opt.pipeline._trainers import train_ahead
from nasrec_opt.pipeline._trainings import Trainings
from nasrec_opt.report import winner
from nasrec_opt.space import Genotype


def models_stage(genotypes: Mapping[str, Genotype] | None = None) -> Stage:
    """The stage that trains given architectures in place of a search.

    Args:
        genotypes: By name, or None for those of the study.
    """

    def chosen(context: Context) -> Mapping[str, Genotype]:
        given = genotypes
        return given or given_genotypes(context.config.retrain.genotypes, context.config)

    return Stage(
        name="models",
        inputs=lambda c: model_settings(c.config, c.folder, list(chosen(c).values())),
        output=lambda folder, _: folder.dataset_record,
        run=lambda context: _train(context, chosen(context)),
        is_wanted=lambda config: bool(genotypes or config.retrain.genotypes),
        is_shared=True,
        is_repeated=True,  # models that are there are read
    )


def _train(context: Context, genotypes: Mapping[str, Genotype]) -> str:
    dataset, trainings = context.dataset(), trainings_of(context)
    advance = context.reporter.advance
    jobs = [trainings.job(g, seed) for seed in trainings.seeds for g in genotypes.values()]
    config = context.config
    train_ahead(jobs, dataset, config.retrain.workers, advance, ray=config.ray.address)
    for job in jobs:
        job.model(dataset, advance)
    folder = context.folder
    conditions = conditions_of_study(
        context.config, dataset, balance=True, genotypes=genotypes.values()
    )
    judge = Judge.of_run(folder, dataset)
    models = [
        _entry(name, genotype, trainings, judge, conditions) for name, genotype in genotypes.items()
    ]
    models.sort(key=lambda model: float(model["mean_validation_log_loss"]))
    results = results_with(context.config, dataset, models, judge, conditions)
    results["winner"] = winner(results)
    if not studies_of(folder):  # the results of a search stay what they are
        _write(folder.results, json.loads(json.dumps(results)))
    write_rate_studies(folder, models)
    return sentences.retrained(results)


def _write(file: Path, results: dict[str, Any]) -> None:
    """Write the results, unless they are there already."""
    try:
        if read_json(file) == results:
            return
    except (OSError, ValueError):
        pass
    write_json(file, results)


def _entry(
    name: str, genotype: Genotype, trainings: Trainings, judge: Judge, conditions: Conditions
) -> dict[str, Any]:
    """The entry of a model in `results.json`."""
    trained = {seed: trainings.model(genotype, seed) for seed in trainings.seeds}
    return {
        "genotype": genotype.to_dict(),
        "name": name,
        **over_seeds(trained, judge),
        **costs_where_possible(genotype, conditions),
        **conditions.entry,
    }


def trainings_of(context: Context) -> Trainings:
    """The trainings of given models."""
    balance = context.config.retrain.model.balance is not False
    return Trainings(context.config, context.folder, context.dataset(), balance=balance)


MODELS = models_stage()
