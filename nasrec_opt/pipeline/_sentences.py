"""The sentences that the stages of a run print at their end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna

from nasrec_opt.data import Dataset
from nasrec_opt.report import (
    averaged_in_words,
    comparisons,
    expectation_in_words,
    failed_trials,
    reasons_in_words,
    winner_in_words,
)
from nasrec_opt.retrain import Baseline, RetrainedModel


def prepared(dataset: Dataset, source: str) -> str:
    """State the number of rows by split, and the log."""
    rows = ", ".join(
        f"{dataset.split(name).num_rows:,} {name}" for name in ("train", "validation", "test")
    )
    return f"{rows} from {source}"


def fitted(baselines: Mapping[str, Baseline]) -> str:
    """State the log losses of the baselines."""
    regression, constant = baselines["logistic_regression"], baselines["constant"]
    return (
        f"logistic regression: validation log loss {regression.validation_log_loss:.4f}, test "
        f"{regression.test_log_loss:.4f}; constant click rate: {constant.validation_log_loss:.4f}, "
        f"test {constant.test_log_loss:.4f}"
    )


def probed(models: Sequence[RetrainedModel], together: Mapping[str, Any] | None) -> str:
    """State the log losses of the models trained before the supernet, and of their ensemble."""
    if not models:
        return "no training succeeded"
    best = models[0]
    return (
        f"{len(models)} model{'' if len(models) == 1 else 's'} trained from scratch: validation "
        f"log loss {best.validation_log_loss:.4f}, test {best.test_log_loss:.4f}"
        f"{'' if len(models) == 1 else ' of the best'}{_together(together)}"
    )


def _together(ensemble: Mapping[str, Any] | None) -> str:
    if ensemble is None:
        return ""
    return (
        f"; {ensemble['validation_log_loss']:.4f}, test {ensemble['test_log_loss']:.4f} of the "
        f"mean of {averaged_in_words(ensemble)}"
    )


def searched(
    study: optuna.Study, sampler: str, trials: int, *, done: int, seconds: float, start_up: float
) -> str:
    """State how many trials are on the front, how fast they were, and which failed.

    Args:
        study: The finished search.
        sampler: Name of the sampler.
        trials: Number of trials that the study asks for.
        done: Trials of this process.
        seconds: Seconds that these took.
        start_up: Seconds before the first of them.
    """
    failed = failed_trials(study)
    why = f"; {len(failed):,} failed ({reasons_in_words(failed)})" if failed else ""
    rate = f", {done / seconds:.1f} trials/s" if done else ""
    return (
        f"{trials:,} trials by {sampler}, {len(study.best_trials)} on the Pareto front{rate} "
        f"(+ {start_up:.1f} s to load){why}"
    )


def retrained(results: Mapping[str, Any]) -> str:
    """State the winner, and what to expect of the best model.

    Args:
        results: Contents of `results.json`.
    """
    best = results["models"][0]
    return " ".join(
        [
            f"best model: validation log loss {best['validation_log_loss']:.4f}, "
            f"test {best['test_log_loss']:.4f}.",
            *winner_in_words(results),
            *comparisons(results),
            *expectation_in_words(results),
            *_ranked_in_floats(best),
        ]
    )


def _ranked_in_floats(model: Mapping[str, Any]) -> list[str]:
    """Both searched log losses of a model that was ranked in floating point."""
    if "search_log_loss_at_bits" not in model:
        return []
    return [
        f"Its searched validation log loss is {model['search_log_loss']:.4f} in floating point, "
        f"{model['search_log_loss_at_bits']:.4f} at its bits."
    ]
