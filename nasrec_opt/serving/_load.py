"""Whatever a user points at as a predictor."""

from __future__ import annotations

from pathlib import Path

from nasrec_opt.errors import StudyError
from nasrec_opt.serving._base import RowPredictor
from nasrec_opt.serving._bundle import Bundle
from nasrec_opt.serving._places import ModelChoice, is_exported


def load_predictor(path: Path | str, *, model: ModelChoice = 1) -> RowPredictor:
    """Load a trained model of a run, one that was saved, or one that was exported.

    Args:
        path: What `Predictor.load` takes, or a folder that `export` wrote.
        model: Which model of a run, as for `Predictor.load`.

    Returns:
        The predictor.

    Raises:
        StudyError: There is no such model, or it cannot be read.
        DataError: What says how rows are read is damaged.
        MissingExtraError: It is an ONNX model, and ONNX Runtime is not installed.
    """
    path = Path(path)
    if not is_exported(path):
        from nasrec_opt.serving._predictor import Predictor  # torch: an ONNX model needs none

        return Predictor.load(path, model=model)
    if model != 1:
        raise StudyError(f"model: expected only with a run, got the exported model in {path}")
    if Bundle.read(path).format == "onnx":
        from nasrec_opt.serving._onnx import OnnxPredictor

        return OnnxPredictor.load(path)
    from nasrec_opt.serving._torch import TorchPredictor

    return TorchPredictor.load(path)
