"""From raw rows to probabilities, whatever computes the logits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nasrec_opt.data import Inputs, Preprocessor
from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec

CHUNK_ROWS = 1024  # what stays in cache


class RowPredictor(ABC):
    """Click probabilities of raw rows; a subclass computes the logits of encoded ones.

    Args:
        preprocessor: Reads rows as the log of the model was read.
        features: The shape of the model's input.

    Raises:
        StudyError: The model reads other columns or vocabularies than the preprocessor makes.
    """

    def __init__(self, preprocessor: Preprocessor, features: FeatureSpec) -> None:
        own = preprocessor.features
        if (own.num_dense, own.cardinalities) != (features.num_dense, features.cardinalities):
            raise StudyError("model: expected one of the preprocessor's columns, got another one")
        self.preprocessor = preprocessor

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
        parts = [np.empty(0, np.float32)]
        for start in range(0, len(inputs.dense), CHUNK_ROWS):
            chunk = slice(start, start + CHUNK_ROWS)
            parts.append(self._chunk_logits(inputs.dense[chunk], inputs.sparse[chunk]))
        return np.concatenate(parts)

    @abstractmethod
    def _chunk_logits(
        self, dense: npt.NDArray[np.float32], sparse: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        """Logits `[rows]` of 1 to `CHUNK_ROWS` rows."""


def _probabilities(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    # In double precision, so that the log loss of confident answers is that of their logits.
    exact = np.exp(-np.abs(logits.astype(np.float64)))
    return np.where(logits >= 0, 1.0, exact) / (1.0 + exact)
