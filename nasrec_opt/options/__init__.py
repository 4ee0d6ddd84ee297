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
from nasrec_opt.options._differences import differences, json_values
from nasrec_opt.options._evolution import EvolutionConfig, TieBreak
from nasrec_opt.options._ladder import LadderConfig
from nasrec_opt.options._oracle import AdagradFit, FineTune, Scratch
from nasrec_opt.options._retrain import RetrainConfig
from nasrec_opt.options._scoring import Fidelity, LastLayer, OracleOptions
from nasrec_opt.options._supernet import TrainConfig

__all__ = [
    "AdagradFit",
    "AdagradOptions",
    "AxConfig",
    "Connections",
    "EvolutionConfig",
    "Fidelity",
    "FineTune",
    "Initialization",
    "LadderConfig",
    "LastLayer",
    "OracleOptions",
    "PoolBayesConfig",
    "Precision",
    "PrecisionChoice",
    "RankedBits",
    "RetrainConfig",
    "Scratch",
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
