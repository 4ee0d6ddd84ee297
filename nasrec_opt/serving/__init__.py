"""Trained models in use: raw rows in, click probabilities out."""

from nasrec_opt.serving._predictor import Predictor
from nasrec_opt.serving._stream import check_out, predict_path, write_probabilities

__all__ = ["Predictor", "check_out", "predict_path", "write_probabilities"]
