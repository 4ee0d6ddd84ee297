"""How MLflow loads an exported model: the loader module that the file `MLmodel` names.

The name of this module is written into every such model, so it has to stay.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nasrec_opt.errors import DataError
from nasrec_opt.serving._predictor import Predictor


class ServedModel:
    """What `mlflow.pyfunc.load_model` wraps and `mlflow models serve` answers with.

    Args:
        predictor: The model.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(
        self, model_input: Any, params: dict[str, Any] | None = None
    ) -> npt.NDArray[np.float64]:
        """Predict the probability of a click.

        Args:
            model_input: Raw rows, a data frame of pandas as a rule.
            params: Ignored; MLflow passes None.

        Returns:
            Probabilities, `[rows]`.

        Raises:
            MlflowException: A value is of the wrong type; a server answers with status 400 and the
                sentence, which names row and field.
        """
        from mlflow.exceptions import MlflowException

        try:
            return self.predictor.predict(model_input)
        except DataError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error


def _load_pyfunc(data_path: str) -> ServedModel:
    """Load the folder that `Predictor.save` wrote; MLflow looks for a function of this name."""
    return ServedModel(Predictor.load(data_path))
