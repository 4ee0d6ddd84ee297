"""The best searched models trained from scratch, in `retrained/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna

from nasrec_opt.data import Dataset
from nasrec_opt.pipeline import _sentences as sentences
from nasrec_opt.pipeline._context import Context
from nasrec_opt.pipeline._dashboard import files_of_models
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._identity import ladder_settings, retrain_settings
from nasrec_opt.pipeline._kept_study import keep_study
from nasrec_opt.pipeline._ladder import finalists_of
from nasrec_opt.pipeline._ladder_view import LadderView
from nasrec_opt.pipeline._probes import trained_probes
from nasrec_opt.pipeline._rates import write_rate_studies
from nasrec_opt.pipeline._retraining import folder_of_model, retrain_winners
from nasrec_opt.pipeline._schema import digest
from nasrec_opt.pipeline._search import Found, winners
from nasrec_opt.pipeline._stage import Stage
from nasrec_opt.report import winner_in_words


def _run(context: Context) -> str:
    config, folder, place = context.config, context.folder, context.place
    study, dataset = context.study(), context.dataset()
    others: list[Found] = []
    if config.search.ladder is None:
        chosen, ladder = winners(study, config.retrain.top), None
    else:
        chosen, ladder = finalists_of(folder, place, study)
        others = trained_probes(config, study, dataset)
    results = retrain_winners(context, study, chosen, others=others, ladder=ladder)
    if ladder is not None:
        key = digest(ladder_settings(config, folder, context.space))
        LadderView(study, folder, key).finish(results["models"])
    write_rate_studies(folder, results["models"])
    _log(context, study, dataset, results)
    return sentences.retrained(results)


def _log(
    context: Context, study: optuna.Study, dataset: Dataset, results: Mapping[str, Any]
) -> None:
    """The models with their files, for the tracker."""
    tracker, models = context.tracker(), results["models"]
    folders = [folder_of_model(context.folder, context.config, model) for model in models]
    with files_of_models(models, folders, dataset.features) as files:
        tracker.log_models(
            study,
            models,
            files=files,
            winner=" ".join(winner_in_words(results)),
            ensemble=results.get("ensemble"),
        )
    tracker.log_baselines(study, results["baselines"])


def _detail(context: Context) -> str:
    retrain = context.config.retrain
    recipe = retrain.model.recipe(context.dataset().split("train").num_rows)
    return f"{retrain.top} models in steps of {recipe.batch_size:,} rows"


RETRAIN = Stage(
    name="retrain",
    inputs=lambda context: retrain_settings(context.config, context.folder, context.space),
    output=RunFolder.results_of,
    run=_run,
    detail=_detail,
    after=keep_study,
    is_wanted=lambda config: config.has_search,
)
