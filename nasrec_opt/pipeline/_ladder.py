"""The ladder stage: searched models are trained rung by rung, until a few finalists are left.

All choices follow from the search, the log losses of trained models, and one measured number, which
the run keeps: the amount of work of the first rung. Trained models are kept in their folders, so a
restarted stage repeats at most one rung of one model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from nasrec_opt._files import read_json, write_json
from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.ladder import (
    Candidate,
    Climb,
    LadderConfig,
    affordable_models,
    climb,
    features_of,
    summary,
    training_work,
)
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._folder import RunFolder, model_folder
from nasrec_opt.pipeline._ladder_view import LadderView
from nasrec_opt.pipeline._probes import epochs_of, probes_of
from nasrec_opt.pipeline._schema import digest
from nasrec_opt.pipeline._search import Progress, complete_trials, log_loss_of, winners
from nasrec_opt.pipeline._trainers import Job, train_ahead
from nasrec_opt.report import ladder_in_words
from nasrec_opt.retrain import PartialModel, epoch_steps, forget_training, train_epochs
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import Supernet


def climb_ladder(
    config: StudyConfig,
    folder: RunFolder,
    study: optuna.Study,
    dataset: Dataset,
    progress: Progress,
    *,
    place: str,
    settings: Mapping[str, Any],
    spent: float,
) -> str:
    """Train the models of a search rung by rung.

    Args:
        config: The study, with a ladder.
        folder: The run folder.
        study: The finished search.
        dataset: What the models are trained on.
        progress: Called with (trainings done, trainings).
        place: Name of the search's place in the folder.
        settings: Everything that the climb depends on.
        spent: Seconds that supernet and search have taken.

    Returns:
        A sentence on the result; `ladder.json` has the details.

    Raises:
        StudyError: No trial meets the constraints, or no training succeeded.
    """
    ladder = config.search.ladder or LadderConfig()
    file, key = folder.ladder_of(place), digest(settings)
    supernet = Supernet.load(folder.supernet)
    recipe = dataclasses.replace(config.retrain.model, seed=config.seed)
    if recipe.balance is None:
        recipe = dataclasses.replace(recipe, balance=supernet.balance)
    view = LadderView(study, folder, key)
    candidates = candidates_of(study, dataset.features)
    places = {candidate.genotype: i for i, candidate in enumerate(candidates)}

    def train(genotype: Genotype, epochs: float) -> PartialModel:
        where = model_folder(folder, genotype.to_dict())
        return train_epochs(genotype, dataset, where, recipe, epochs=epochs)

    def ahead(genotypes: Sequence[Genotype], epochs: float) -> None:
        jobs = [Job(g, model_folder(folder, g.to_dict()), recipe, epochs) for g in genotypes]
        train_ahead(
            jobs,
            dataset,
            config.retrain.workers,
            lambda done, total: None,
            ray=config.ray.address,
        )

    def affordable(seconds_per_model: float) -> int:
        seconds = spent * ladder.share / (1 - ladder.share)
        return affordable_models(seconds, seconds_per_model, config.retrain.top)

    def keep(state: Climb) -> None:
        write_json(file, {"settings": key, "planned": state.work, **summary(state)})
        view.update(state)
        _forget(folder, state)
        trained = [rung.trained for rung in state.rungs]
        progress(sum(map(len, trained)), sum(rung.size for rung in state.rungs))

    state = climb(
        candidates,
        train,
        finalists=config.retrain.top,
        epochs=epochs_of(ladder, epoch_steps(dataset, recipe)),
        models=ladder.models or affordable,
        probes=[places[g] for g in probes_of(config, dataset) if g in places],
        work=_planned(folder, place, key),
        row_weights=dataset.split("validation").weights_of(recipe.evaluation_rows),
        on_change=keep,
        ahead=ahead,
    )
    return ladder_in_words(summary(state))


def candidates_of(study: optuna.Study, features: FeatureSpec) -> list[Candidate]:
    """List the candidates: the best trial of each architecture that meets the constraints.

    Args:
        study: The finished search.
        features: Shape of the input.

    Raises:
        StudyError: No trial keeps the constraints.
    """
    names = study.metric_names or []
    others = [i for i, name in enumerate(names) if name != "log_loss"]
    return [
        Candidate(
            genotype=genotype,
            trial=trial.number,
            score=log_loss_of(study, trial),
            costs=tuple(trial.values[i] for i in others),
            features=features_of(genotype, features),
            work=training_work(genotype, features),
        )
        for genotype, trial in winners(study, len(complete_trials(study)))
    ]


def finalists_of(
    folder: RunFolder, place: str, study: optuna.Study
) -> tuple[list[tuple[Genotype, FrozenTrial]], dict[str, Any]]:
    """Read the finalists of a finished climb with their trials, and its summary.

    Args:
        folder: The run folder.
        place: Of the search in the folder.
        study: The search.

    Raises:
        StudyError: `ladder.json` is missing or damaged.
    """
    file = folder.ladder_of(place)
    try:
        told = read_json(file)
        trials = {trial.number: trial for trial in complete_trials(study)}
        finalists = [trials[number] for number in told["finalists"]]
        del told["settings"], told["planned"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(
            f"{file}: expected the finalists of a climb, got: {error!r}; remove it, and the "
            "climb is read from the trained models again"
        ) from error
    return [(Genotype.from_trial(trial), trial) for trial in finalists], told


def _planned(folder: RunFolder, place: str, key: str) -> float | None:
    """The work planned for the first rung, if this climb has begun."""
    try:
        told = read_json(folder.ladder_of(place))
        is_same = folder.upgraded_digest(told["settings"]) == key
        return float(told["planned"]) if is_same and told["planned"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _forget(folder: RunFolder, state: Climb) -> None:
    """Remove the training state of dropped models: their weights and optimizers."""
    for rung in state.rungs:
        for number in rung.trained if rung.promoted else ():
            if number not in rung.promoted:
                genotype = state.candidates[number].genotype
                forget_training(model_folder(folder, genotype.to_dict()))
