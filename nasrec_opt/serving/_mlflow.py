"""A trained model as a folder that MLflow serves: weights, preprocessor, signature, requirements.

MLflow loads it through `nasrec_opt.serving.pyfunc`, so it holds no pickle.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nasrec_opt import __version__
from nasrec_opt.errors import MissingExtraError
from nasrec_opt.serving._places import PYFUNC_DATA
from nasrec_opt.serving._predictor import Predictor

LOADER = "nasrec_opt.serving.pyfunc"


def write_pyfunc(predictor: Predictor, folder: Path) -> None:
    """Write a model of MLflow's flavour `python_function`.

    Args:
        predictor: The model.
        folder: An empty folder.

    Raises:
        MissingExtraError: MLflow is not installed.
    """
    mlflow = _import_mlflow()
    with tempfile.TemporaryDirectory() as scratch, _quiet(), _without_project_files():
        data = Path(scratch) / PYFUNC_DATA.name
        predictor.save(data)
        mlflow.pyfunc.save_model(
            str(folder),
            loader_module=LOADER,
            data_path=str(data),
            signature=_signature(predictor),
            input_example=_example(predictor),
            pip_requirements=requirements(),
        )


def requirements() -> list[str]:
    """List what serving needs: this library, which brings torch and polars, and MLflow."""
    return [f"mlflow=={version('mlflow')}", f"nasrec-opt=={__version__}"]


def _signature(predictor: Predictor) -> Any:
    """Names of all columns, and one probability for each row.

    The columns have no types. MLflow would refuse integers in a column of floats, which a column
    without missing values is, and numbers among categories. The preprocessor takes them, and names
    row and field of a value that is wrong.
    """
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, Schema, TensorSpec

    schema = predictor.preprocessor.schema
    any_type = AnyType()  # type: ignore[no-untyped-call] # MLflow has no types there
    names = (*schema.dense, *schema.sparse)
    columns: list[ColSpec | TensorSpec] = [ColSpec(any_type, name) for name in names]
    outputs = Schema([TensorSpec(np.dtype(np.float64), (-1,), "probability")])
    return ModelSignature(inputs=Schema(columns), outputs=outputs)


def _example(predictor: Predictor) -> Any:
    """A row of frequent values, and one in which half of the values are missing."""
    import pandas as pd

    row = predictor.preprocessor.example()
    half = {name: None if place % 2 else value for place, (name, value) in enumerate(row.items())}
    return pd.DataFrame([row, half], dtype=object)  # None would be NaN, which JSON has not


def _import_mlflow() -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        import mlflow.pyfunc
    except ImportError as error:
        raise MissingExtraError("MLflow", "mlflow") from error
    return mlflow


@contextmanager
def _quiet() -> Iterator[None]:
    """Without lines on what MLflow does at each step."""
    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _without_project_files() -> Iterator[None]:
    """Keep MLflow from copying uv.lock and pyproject.toml of the working directory."""
    name = "MLFLOW_UV_AUTO_DETECT"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
