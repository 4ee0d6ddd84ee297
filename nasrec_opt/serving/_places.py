"""Where a trained model is, and the preprocessor of the log that it was trained on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nasrec_opt._results import folder_of, read_results
from nasrec_opt.data import Preprocessor
from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec

ModelChoice = int | Literal["best", "ensemble"]

MODEL, PREPROCESSOR = "model", "preprocessor"  # folders of a saved predictor
RESULTS = Path("retrained") / "results.json"  # in a run folder
DESCRIPTION, MEMBERS = "model.json", "ensemble.json"  # in the folder of a model, of an ensemble
DATASET = Path("dataset") / "dataset.json"
GENOTYPE = "genotype.json"  # beside the weights of a model
EXPORT = "export.json"  # in the folder of an exported model
MLMODEL = "MLmodel"  # in the folder of one that MLflow serves
PYFUNC_DATA = Path("data") / "predictor"  # in that folder: a saved predictor
LEVELS = 4  # folders between a run folder and the weights of one of its models, at most


@dataclass(frozen=True, slots=True)
class Place:
    """Folders that make a predictor.

    Args:
        weights: Of a subnet or of an ensemble.
        preprocessor: Of a dataset or of a saved preprocessor.
    """

    weights: Path
    preprocessor: Path

    @property
    def is_ensemble(self) -> bool:
        """Whether several models are averaged."""
        return (self.weights / MEMBERS).exists()


def find(path: Path, model: ModelChoice) -> Place:
    """Find the model that a user points at.

    Args:
        path: A run folder, a run's `results.json`, the folder of one of its models or of its
            ensemble, or the folder of a saved predictor or of a model that MLflow serves.
        model: Which model of a run; 1 for the folder of a single model.

    Returns:
        Folders of its weights and of its preprocessor.

    Raises:
        StudyError: There is no such thing, or no such model.
    """
    if path.is_file() or (path / RESULTS).exists():
        results, run = find_results(path)
        return Place(_chosen(results, run, model), run / DATASET.parent)
    saved = path / PYFUNC_DATA if (path / MLMODEL).exists() else path
    for weights in (saved, saved / MODEL):
        if (weights / DESCRIPTION).exists() or (weights / MEMBERS).exists():
            if model != 1:
                raise StudyError(f"model: expected only with a run, got the model in {path}")
            own = saved / PREPROCESSOR
            return Place(weights, own if own.exists() else run_of(weights) / DATASET.parent)
    if is_exported(path):
        raise StudyError(
            f"{path}: expected the weights of a model, got an exported one, which "
            "nasrec_opt.serving.load_predictor loads"
        )
    if not path.exists():
        raise StudyError(f"{path}: expected a run or a trained model, found nothing there")
    raise StudyError(
        f"{path}: expected a run with retrained models ({RESULTS.as_posix()}), or the folder of a "
        "trained model, found neither"
    )


def find_results(path: Path) -> tuple[Path, Path]:
    """Find the results of a run that a user points at.

    Args:
        path: A run folder, or a run's `results.json`.

    Returns:
        The file of its results, and the run folder.

    Raises:
        StudyError: There are no results, or they are in no run folder.
    """
    results = path / RESULTS if path.is_dir() else path
    if not results.exists():
        raise StudyError(
            f"{path}: expected a finished run, or its results.json, found no retrained models there"
        )
    return results, run_of(results)


def is_exported(folder: Path) -> bool:
    """Whether a folder is that of an exported model."""
    return (folder / EXPORT).exists()


def preprocessor_for(folder: Path, features: FeatureSpec) -> Preprocessor:
    """Load the preprocessor that reads rows as a model of these features does.

    Raises:
        DataError: It is damaged, or of other columns.
    """
    preprocessor = Preprocessor.load(folder)
    if len(features.cardinalities) > len(preprocessor.schema.sparse_features):
        preprocessor = Preprocessor.load(folder, binned_dense=True)
    return preprocessor.cut_to(features)


def run_of(inside: Path) -> Path:
    """The run folder that a file or folder is in.

    Raises:
        StudyError: No folder above it has a dataset.
    """
    whole = Path(
        os.path.normpath(inside.absolute())
    )  # without "..", whose parent is no folder above it
    written = [] if ".." in inside.parts else list(inside.parents)  # as the user writes them
    for level, folder in enumerate(list(whole.parents)[:LEVELS]):
        if (folder / DATASET).exists():
            return written[level] if level < len(written) else folder
    raise StudyError(
        f"{inside}: expected it in a run folder, whose dataset/ says how raw rows are read, found "
        "no dataset above it"
    )


def _chosen(results: Path, run: Path, model: ModelChoice) -> Path:
    found = read_results(results)
    if model == "best":
        winner = (found.get("winner") or {}).get("name", "model")
        if winner not in ("model", "ensemble"):
            raise StudyError(
                f"{results}: model: expected a trained model to be the winner, got "
                f"{winner.replace('_', ' ')}, of which only figures are kept; 1 is the best of the "
                "trained models"
            )
        model = "ensemble" if winner == "ensemble" else 1
    if model == "ensemble":
        if not found.get("ensemble"):
            raise StudyError(f"{results}: expected an ensemble, got none in this run")
        return results.parent / "ensemble"
    models = found["models"]
    if not isinstance(model, int) or isinstance(model, bool) or not 1 <= model <= len(models):
        raise StudyError(
            f"{results}: model: expected 1 to {len(models)}, 'best' or 'ensemble', got {model!r}"
        )
    return folder_of(models[model - 1], results, run) / MODEL
