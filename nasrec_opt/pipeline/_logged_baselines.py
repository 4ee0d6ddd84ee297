"""The hand-made models of a run as runs in MLflow, beside those of the studies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean, stdev
from typing import Any

from nasrec_opt.errors import NasrecError
from nasrec_opt.pipeline._console import Reporter
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._opening import settle
from nasrec_opt.pipeline._registering import study_at, tracker_of
from nasrec_opt.pipeline._searches import studies_of
from nasrec_opt.pipeline._tuned_baselines import KeptBaseline

SCORES = ("test_log_loss", "test_auc", "validation_log_loss", "validation_auc")


def log_handmade(
    folder: RunFolder, search: str, kept: Iterable[KeptBaseline], reporter: Reporter
) -> None:
    """Log the hand-made models of a run, if the run itself was logged.

    A store that cannot be written is a note: the models are in the folder, and the next comparison
    logs them.

    Args:
        folder: The run folder.
        search: Name of the search's study; empty for the first search of the folder.
        kept: The models.
        reporter: Receives the note.
    """
    if not folder.mlflow_record.exists() or not studies_of(folder):
        return
    try:
        settle(folder)
        study = study_at(folder, search)
        with tracker_of(folder, study) as tracker:
            tracker.log_baselines(study, {each.label: _figures(each) for each in kept})
    except NasrecError as error:
        reporter.note(f"hand-made models are not logged: {error}")


def _figures(kept: KeptBaseline) -> dict[str, Any]:
    """Means over the seeds and their deviations, size, time, and hyperparameters."""
    models = kept.models
    figures: dict[str, Any] = {}
    for name in SCORES:
        values = [getattr(model, name) for model in models]
        if None not in values:
            figures |= _over_seeds(name, values)
    return figures | {
        "mflops": models[0].mflops,
        "parameters": models[0].parameters,
        "seeds": len(models),
        "trials": kept.trials,
        "search_seconds": kept.seconds,
        "seconds": sum(model.seconds for model in models),
        "hyperparameters": models[0].hyperparameters,
    }


def _over_seeds(name: str, values: Sequence[float]) -> dict[str, float]:
    deviation = {f"{name}_deviation": stdev(values)} if len(values) > 1 else {}
    return {name: fmean(values), **deviation}
