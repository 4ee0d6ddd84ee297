"""A trained model with the preprocessor of its log."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from nasrec_opt._files import atomic_directory
from nasrec_opt.data import Inputs, Preprocessor
from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.retrain import Ensemble
from nasrec_opt.serving._places import MODEL, PREPROCESSOR, ModelChoice, find
from nasrec_opt.supernet import Subnet

CHUNK_ROWS = 1024  # what stays in cache


class Predictor:
    """Click probabilities of raw rows.

    Args:
        preprocessor: Reads rows as the log of the model was read.
        model: The trained model, or several that are averaged.

    Raises:
        StudyError: The model reads other columns or vocabularies than the preprocessor makes.

    Example:
        A run folder, its best model, and a row as a dict::

            predictor = Predictor.load("runs/quickstart")
            predictor.predict({"I1": 5, "I2": None, ..., "C26": "2bf691b1"})
    """

    def __init__(self, preprocessor: Preprocessor, model: Subnet | Ensemble) -> None:
        own, wanted = preprocessor.features, model.features
        if (own.num_dense, own.cardinalities) != (wanted.num_dense, wanted.cardinalities):
            raise StudyError("model: expected one of the preprocessor's columns, got another one")
        self.preprocessor = preprocessor
        self.model = model.eval()

    @classmethod
    def load(cls, path: Path | str, *, model: ModelChoice = 1) -> Self:
        """Load a trained model.

        Args:
            path: A run folder or its `results.json`, the folder of one trained model or of an
                ensemble in a run, or a folder that `save` wrote.
            model: Which model of a run: its rank from 1, `"ensemble"`, or `"best"` for the winner
                that the run names.

        Returns:
            The predictor, on the CPU.

        Raises:
            StudyError: There is no such model, or it cannot be read.
            DataError: The dataset of the run, which says how rows are read, is damaged.
        """
        place = find(Path(path), model)
        network = (Ensemble if place.is_ensemble else Subnet).load(place.weights)
        return cls(_preprocessor(place.preprocessor, network.features), network)

    def save(self, folder: Path | str) -> None:
        """Write a folder that stands by itself: the weights and how raw rows are read.

        Args:
            folder: The folder; one that is there is replaced.
        """
        with atomic_directory(folder) as out:
            self.preprocessor.save(out / PREPROCESSOR)
            self.model.save(out / MODEL)

    def predict(self, rows: Any) -> npt.NDArray[np.float64]:
        """Predict the probability of a click.

        Args:
            rows: One row as a dict, a list of them, or a table of pandas, polars or Arrow, with the
                columns of the log; further columns are ignored.

        Returns:
            Probabilities, `[rows]`.

        Raises:
            DataError: A column is missing, or a value is of the wrong type: one sentence with row
                and field.
        """
        return _probabilities(self.logits(self.preprocessor.transform(rows)))

    def predict_file(self, source: Path | str) -> npt.NDArray[np.float64]:
        """Predict the probability of a click for each row of a file.

        Args:
            source: Text, plain or .gz, or Parquet, in the layout of the log that the model was
                trained on. The label may be missing, and is ignored.

        Returns:
            Probabilities, `[rows]`.

        Raises:
            DataError: One sentence with file, row, field, what was expected and what was found.
        """
        parts = [self.logits(inputs) for inputs in self.preprocessor.read(source)]
        return _probabilities(np.concatenate(parts))

    def logits(self, inputs: Inputs) -> npt.NDArray[np.float32]:
        """Compute the log odds of a click.

        Args:
            inputs: Encoded rows, from the preprocessor.

        Returns:
            Logits, `[rows]`.
        """
        dense, sparse = (torch.from_numpy(values) for values in inputs)
        parts = [np.empty(0, np.float32)]
        with torch.inference_mode():
            for start in range(0, len(dense), CHUNK_ROWS):
                chunk = slice(start, start + CHUNK_ROWS)
                parts.append(self.model(dense[chunk], sparse[chunk]).numpy())
        return np.concatenate(parts)


def _probabilities(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    # In double precision, so that the log loss of confident answers is that of their logits.
    exact = np.exp(-np.abs(logits.astype(np.float64)))
    return np.where(logits >= 0, 1.0, exact) / (1.0 + exact)


def _preprocessor(folder: Path, features: FeatureSpec) -> Preprocessor:
    """The preprocessor that reads rows as a model of these features does."""
    preprocessor = Preprocessor.load(folder)
    if len(features.cardinalities) > len(preprocessor.schema.sparse):
        preprocessor = Preprocessor.load(folder, binned_dense=True)
    return preprocessor.cut_to(features)
