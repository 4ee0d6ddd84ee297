"""From a search to its finalists: many models scored, fewer trained a little, fewer trained on.

A supernet scores a model in a fraction of a second, and ranks loosely. An epoch from scratch takes
seconds and ranks well. The ladder spends its seconds on both: see `climb`.
"""

from nasrec_opt.ladder._candidates import Candidate, feature_names, features_of
from nasrec_opt.ladder._climb import Climb, Rung, Train, Trained, climb
from nasrec_opt.ladder._config import LadderConfig
from nasrec_opt.ladder._correction import Correction, corrected_tau, kendall_tau
from nasrec_opt.ladder._plan import affordable_models, first_epochs, rung_epochs, rung_sizes
from nasrec_opt.ladder._promotion import promote
from nasrec_opt.ladder._summary import summary

__all__ = [
    "Candidate",
    "Climb",
    "Correction",
    "LadderConfig",
    "Rung",
    "Train",
    "Trained",
    "affordable_models",
    "climb",
    "corrected_tau",
    "feature_names",
    "features_of",
    "first_epochs",
    "kendall_tau",
    "promote",
    "rung_epochs",
    "rung_sizes",
    "summary",
]
