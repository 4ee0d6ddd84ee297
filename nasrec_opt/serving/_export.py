"""Trained models for others: graphs of ONNX and `torch.export`, and models of MLflow."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from nasrec_opt._files import atomic_directory
from nasrec_opt.errors import MissingExtraError
from nasrec_opt.retrain import Ensemble
from nasrec_opt.serving._bundle import Bundle, Format, check_format, check_new
from nasrec_opt.serving._mlflow import write_pyfunc
from nasrec_opt.serving._predictor import Predictor
from nasrec_opt.supernet import Subnet

EXAMPLE_ROWS = 3  # of the pass that is recorded; 0 and 1 would be taken for constants
ONE_FILE_BYTES = 1 << 30  # a file of ONNX holds 2 GiB: larger weights get a file of their own


def export(predictor: Predictor, out: Path | str, *, format: Format = "onnx") -> None:  # noqa: A002
    """Write a model for ONNX Runtime, torch or MLflow, with what reads raw rows.

    A graph takes `dense`, float32 `[rows, num_dense]`, and `sparse`, int32 `[rows, num_sparse]`,
    as `Preprocessor.transform` makes them, for any number of rows, and gives `logit` and
    `probability`, float32 `[rows]` each.

    Args:
        predictor: The model.
        out: A new or empty folder; it appears whole or not at all.
        format: `"onnx"`, for ONNX Runtime; `"torch"`, for `torch.export.load`; or `"mlflow"`, for
            `mlflow.pyfunc.load_model` and `mlflow models serve`.

    Raises:
        StudyError: The folder holds something, or the format is unknown.
        MissingExtraError: The packages that write ONNX, or MLflow, are not installed.

    Example:
        The best model of a run, for ONNX Runtime::

            export(Predictor.load("runs/quickstart"), "ctr-onnx")
            OnnxPredictor.load("ctr-onnx").predict(rows)
    """
    out, format = check_new(out), check_format(format)  # noqa: A001
    if format == "mlflow":
        with atomic_directory(out) as folder:
            write_pyfunc(predictor, folder)
        return
    with atomic_directory(out) as folder:
        bundle = Bundle(folder, format, predictor.model.features)
        if format == "torch":
            torch.export.save(_traced(predictor.model), bundle.graph)
        else:
            save_onnx(predictor.model, bundle.graph)
        bundle.write(predictor.preprocessor)


def weight_bytes(model: Subnet | Ensemble) -> int:
    """Size of the weights of a model, bytes."""
    return sum(w.numel() * w.element_size() for w in model.state_dict().values())


class _Graph(nn.Module):
    """Logits and probabilities of a model, without gradients."""

    def __init__(self, model: Subnet | Ensemble) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    def forward(self, dense: Tensor, sparse: Tensor) -> tuple[Tensor, Tensor]:
        logit = self.model(dense, sparse)
        return logit, torch.sigmoid(logit)


def _traced(model: Subnet | Ensemble) -> torch.export.ExportedProgram:
    features = model.features
    dense = torch.zeros(EXAMPLE_ROWS, features.num_dense)
    sparse = torch.zeros(EXAMPLE_ROWS, features.num_sparse, dtype=torch.int32)
    rows = torch.export.Dim("rows")
    with torch.no_grad(), _quiet():
        return torch.export.export(
            _Graph(model), (dense, sparse), dynamic_shapes=({0: rows}, {0: rows})
        )


def save_onnx(model: Subnet | Ensemble, file: Path) -> None:
    """Write the graph of a model.

    Args:
        model: The model.
        file: The file.

    Raises:
        MissingExtraError: The packages that write ONNX are not installed.
    """
    _require_onnx()
    with torch.no_grad(), _quiet():
        written = torch.onnx.export(
            _traced(model),
            dynamo=True,
            input_names=["dense", "sparse"],
            output_names=["logit", "probability"],
            verbose=False,
        )
        assert written is not None  # None is for exporters of before dynamo
        written.save(file, external_data=weight_bytes(model) > ONE_FILE_BYTES)


def _require_onnx() -> None:
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("ONNX", "onnx") from error
    del onnx


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on packages and on itself, which users cannot act on."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
