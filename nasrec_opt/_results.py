"""Figures of the retrained models and the baselines, as a run keeps them."""

from __future__ import annotations

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
