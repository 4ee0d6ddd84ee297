"""Trained models in use: raw rows in, click probabilities out.

Names are loaded on first use (PEP 562): an exported ONNX model is served without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasrec_opt._lazy import loader

if TYPE_CHECKING:
    from nasrec_opt.serving._base import RowPredictor
    from nasrec_opt.serving._bundle import check_format, check_new
    from nasrec_opt.serving._classifier import CTRClassifier
    from nasrec_opt.serving._export import export
    from nasrec_opt.serving._int8_export import Int8Cost, export_int8
    from nasrec_opt.serving._load import load_predictor
    from nasrec_opt.serving._onnx import OnnxPredictor
    from nasrec_opt.serving._places import ModelChoice, Place, find, find_results
    from nasrec_opt.serving._predictor import Predictor
    from nasrec_opt.serving._stream import check_out, predict_path, write_probabilities
    from nasrec_opt.serving._torch import TorchPredictor

__all__ = [
    "CTRClassifier",
    "Int8Cost",
    "ModelChoice",
    "OnnxPredictor",
    "Place",
    "Predictor",
    "RowPredictor",
    "TorchPredictor",
    "check_format",
    "check_new",
    "check_out",
    "export",
    "export_int8",
    "find",
    "find_results",
    "load_predictor",
    "predict_path",
    "write_probabilities",
]

_HOMES = {
    "OnnxPredictor": "_onnx",
    "Int8Cost": "_int8_export",
    "ModelChoice": "_places",
    "Place": "_places",
    "Predictor": "_predictor",
    "RowPredictor": "_base",
    "TorchPredictor": "_torch",
    "CTRClassifier": "_classifier",
    "check_format": "_bundle",
    "check_new": "_bundle",
    "check_out": "_stream",
    "export": "_export",
    "export_int8": "_int8_export",
    "find": "_places",
    "find_results": "_places",
    "load_predictor": "_load",
    "predict_path": "_stream",
    "write_probabilities": "_stream",
}

__getattr__ = loader(__name__, _HOMES)
