"""A climb as JSON values, for `ladder.json`, `results.json` and the report."""

from __future__ import annotations

from typing import Any

from nasrec_opt.ladder._candidates import feature_names
from nasrec_opt.ladder._climb import Climb
from nasrec_opt.ladder._correction import Correction


def summary(climb: Climb) -> dict[str, Any]:
    """Summarise a finished or unfinished climb.

    Args:
        climb: The climb.

    Returns:
        `candidates`: how many there were; `rungs`: epochs, models, models promoted and mean seconds
        of a model; `models`: of each model that was trained its trial, score, costs and features,
        and the validation log loss at the end of each of its rungs; `finalists`: their trials;
        `tau` and `tau_of_score`: how well corrected and raw scores rank the first rung's models;
        `correction`: its weights, for features of mean 0 and spread 1; `failures`: by trial.
    """
    trials = [candidate.trial for candidate in climb.candidates]
    last = climb.rungs[-1] if climb.rungs else None
    return {
        "candidates": len(climb.candidates),
        "rungs": [
            {
                "epochs": rung.epochs,
                "models": rung.size,
                "promoted": len(rung.promoted),
                "seconds_per_model": rung.seconds,
            }
            for rung in climb.rungs
        ],
        "models": [_model(climb, number) for number in (climb.rungs[0].trained if last else ())],
        "finalists": [trials[i] for i in last.promoted] if last else [],
        "tau": climb.tau,
        "tau_of_score": climb.tau_of_score,
        "correction": None if climb.correction is None else _correction(climb.correction),
        "failures": {str(trials[i]): reason for i, reason in climb.failures.items()},
    }


def _model(climb: Climb, number: int) -> dict[str, Any]:
    candidate = climb.candidates[number]
    results = [rung.trained[number] for rung in climb.rungs if number in rung.trained]
    return {
        "trial": candidate.trial,
        "score": candidate.score,
        "costs": list(candidate.costs),
        "features": dict(zip(feature_names(), candidate.features, strict=True)),
        "log_losses": [None if result is None else result.log_loss for result in results],
    }


def _correction(correction: Correction) -> dict[str, Any]:
    names = ("score", *feature_names())
    return {
        "truths": correction.truths,
        "residual": correction.residual,
        "penalty": correction.penalty,
        "weights": dict(zip(names, correction.weights.tolist(), strict=True)),
    }
