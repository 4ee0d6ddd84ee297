"""Options of every part, each declared once: a study file and the Python API share these classes.

They are frozen, check themselves, and need no torch, so that a study file is read in an instant.
"""

from nasrec_opt.options._adagrad import AdagradOptions
from nasrec_opt.options._bayes import AxConfig, PoolBayesConfig
from nasrec_opt.options._choices import (
    Connections,
    Initialization,
    Precision,
    PrecisionChoice,
    RankedBits,
    Strategy,
    check_choice,
    check_initialization,
    check_precision,
    check_ranked_bits,
)
from nasrec_opt.options._data import FORMATS, DataConfig, HardwareConfig, Layout
from nasrec_opt.options._differences import differences, json_values
from nasrec_opt.options._evolution import EvolutionConfig, TieBreak
from nasrec_opt.options._ladder import LadderConfig
from nasrec_opt.options._mlflow import MLflowConfig
from nasrec_opt.options._oracle import AdagradFit, FineTune, Scratch
from nasrec_opt.options._racing import Racing
from nasrec_opt.options._ray import RayConfig
from nasrec_opt.options._retrain import PAPER, RetrainConfig
from nasrec_opt.options._scoring import Fidelity, LastLayer, OracleConfig, OracleOptions
from nasrec_opt.options._search import SearchConfig
from nasrec_opt.options._space import SpaceConfig
from nasrec_opt.options._storage import StorageConfig
from nasrec_opt.options._supernet import TrainConfig
from nasrec_opt.options._winners import RetrainStageConfig

__all__ = [
    "FORMATS",
    "PAPER",
    "AdagradFit",
    "AdagradOptions",
    "AxConfig",
    "Connections",
    "DataConfig",
    "EvolutionConfig",
    "Fidelity",
    "FineTune",
    "HardwareConfig",
    "Initialization",
    "LadderConfig",
    "LastLayer",
    "Layout",
    "MLflowConfig",
    "OracleConfig",
    "OracleOptions",
    "PoolBayesConfig",
    "Precision",
    "PrecisionChoice",
    "Racing",
    "RankedBits",
    "RayConfig",
    "RetrainConfig",
    "RetrainStageConfig",
    "Scratch",
    "SearchConfig",
    "SpaceConfig",
    "StorageConfig",
    "Strategy",
    "TieBreak",
    "TrainConfig",
    "check_choice",
    "check_initialization",
    "check_precision",
    "check_ranked_bits",
    "differences",
    "json_values",
]
