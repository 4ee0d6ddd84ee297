"""The best few from scratch, and the baselines they have to beat."""

from nasrec_opt.retrain._baselines import (
    LogisticRegressionBaseline,
    baselines,
    constant_log_loss,
    logistic_regression,
)
from nasrec_opt.retrain._config import RetrainConfig
from nasrec_opt.retrain._metrics import predict
from nasrec_opt.retrain._retrain import RetrainedModel, retrain

__all__ = [
    "LogisticRegressionBaseline",
    "RetrainConfig",
    "RetrainedModel",
    "baselines",
    "constant_log_loss",
    "logistic_regression",
    "predict",
    "retrain",
]
