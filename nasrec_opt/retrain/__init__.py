"""Training of the best models from scratch, and the baselines that they have to beat."""

from nasrec_opt.options import RetrainConfig
from nasrec_opt.retrain._answers import answers_of
from nasrec_opt.retrain._baselines import (
    Baseline,
    LogisticRegressionBaseline,
    OneHot,
    baselines,
    constant,
    constant_log_loss,
    logistic_regression,
)
from nasrec_opt.retrain._comparison import Comparison, compare
from nasrec_opt.retrain._early import forget_early, has_early, retrain_early
from nasrec_opt.retrain._ensemble import Ensemble, choose_members, refer_to
from nasrec_opt.retrain._expected import Expected, expected_log_loss
from nasrec_opt.retrain._job import untrained
from nasrec_opt.retrain._metrics import auc, log_loss, log_losses, predict
from nasrec_opt.retrain._partial import PartialModel, epoch_steps, forget_training, train_epochs
from nasrec_opt.retrain._retrain import RetrainedModel, has_result, retrain
from nasrec_opt.retrain._training import VALIDATION_PASS, Training

__all__ = [
    "VALIDATION_PASS",
    "Baseline",
    "Comparison",
    "Ensemble",
    "Expected",
    "LogisticRegressionBaseline",
    "OneHot",
    "PartialModel",
    "RetrainConfig",
    "RetrainedModel",
    "Training",
    "answers_of",
    "auc",
    "baselines",
    "choose_members",
    "compare",
    "constant",
    "constant_log_loss",
    "epoch_steps",
    "expected_log_loss",
    "forget_early",
    "forget_training",
    "has_early",
    "has_result",
    "log_loss",
    "log_losses",
    "logistic_regression",
    "predict",
    "refer_to",
    "retrain",
    "retrain_early",
    "train_epochs",
    "untrained",
]
