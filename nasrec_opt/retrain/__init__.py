"""The best few from scratch, and the baselines they have to beat."""

from nasrec_opt.retrain._baselines import (
    Baseline,
    LogisticRegressionBaseline,
    baselines,
    constant,
    constant_log_loss,
    logistic_regression,
)
from nasrec_opt.retrain._comparison import Comparison, compare
from nasrec_opt.retrain._config import RetrainConfig
from nasrec_opt.retrain._metrics import predict
from nasrec_opt.retrain._retrain import RetrainedModel, retrain

__all__ = [
    "Baseline",
    "Comparison",
    "LogisticRegressionBaseline",
    "RetrainConfig",
    "RetrainedModel",
    "baselines",
    "compare",
    "constant",
    "constant_log_loss",
    "logistic_regression",
    "predict",
    "retrain",
]
