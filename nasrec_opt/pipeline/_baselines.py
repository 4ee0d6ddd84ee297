"""The baselines of a run: fitted once for its log, with their logits of validation and test rows.

They are the first models of a run, and compete with the retrained ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from zipfile import BadZipFile

import numpy as np

from nasrec_opt._files import atomic_write, read_json, write_json
from nasrec_opt.data import Dataset
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._search import Progress
from nasrec_opt.retrain import Baseline, baselines

ANSWERS = ("validation_logits", "test_logits")


def fitted_baselines(
    folder: RunFolder, dataset: Dataset, progress: Progress | None = None
) -> dict[str, Baseline]:
    """Read the baselines of a run, or fit them, which takes minutes on long logs.

    Args:
        folder: The run folder. Missing or damaged baselines are fitted and written again.
        dataset: Its log, opened in any way.
        progress: Called with (fits done, maximum number of fits).

    Returns:
        By name, as `nasrec_opt.retrain.baselines` gives them.
    """
    found = _kept(folder, dataset.fingerprint)
    if found is None:
        found = baselines(dataset, progress)
        _keep(folder, dataset.fingerprint, found)
    return found


def _kept(folder: RunFolder, fingerprint: str) -> dict[str, Baseline] | None:
    try:
        known = read_json(folder.baselines)
        if known["dataset"] != fingerprint:
            return None
        with np.load(folder.answers_of_baselines) as answers:
            return {
                name: Baseline(**figures, **{what: answers[f"{name}.{what}"] for what in ANSWERS})
                for name, figures in known["baselines"].items()
            }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, BadZipFile):
        return None  # missing, or not ours


def _keep(folder: RunFolder, fingerprint: str, fitted: Mapping[str, Baseline]) -> None:
    folder.baselines.unlink(missing_ok=True)  # logits and figures never disagree
    with atomic_write(folder.answers_of_baselines, "wb") as stream:
        np.savez(
            stream,
            **{f"{n}.{what}": getattr(b, what) for n, b in fitted.items() for what in ANSWERS},
        )
    figures = {name: baseline.to_dict() for name, baseline in fitted.items()}
    write_json(folder.baselines, {"dataset": fingerprint, "baselines": figures})
    for name in ("baselines.json", "baselines.npz"):  # of older versions, without validation rows
        (folder.retrained / name).unlink(missing_ok=True)
