"""Figures of the retrained models and the baselines, as a run keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasrec_opt._files import read_json
from nasrec_opt.errors import StudyError


def read_results(file: Path) -> dict[str, Any]:
    """Read the results of an earlier `retrain_winners`.

    Raises:
        StudyError: The file is missing, or holds something else.
    """
    try:
        results = read_json(file)
        models = results["models"]
        if models and results["baselines"] and all("genotype" in model for model in models):
            return dict(results)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise StudyError(
        f"{file}: expected retrained models and baselines, got something else; remove it to have "
        "it written again"
    )


def folder_of(entry: Mapping[str, Any], results: Path, run: Path) -> Path:
    """Find the folder of a model; results of before they named it have the figures of one.

    Args:
        entry: Of the results.
        results: Their file, for messages.
        run: The run folder.

    Raises:
        StudyError: The model is not there.
    """
    if "folder" in entry:
        return run / str(entry["folder"])
    names = ("genotype", "validation_log_loss", "test_log_loss")
    for file in sorted(run.glob("retrained/*/result.json")):
        figures = read_json(file)["figures"]
        if all(figures[name] == entry[name] for name in names):
            return file.parent
    raise StudyError(f"{results}: expected the models that it lists beside it, found others")
