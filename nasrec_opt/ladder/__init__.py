"""From a search to its finalists: many models scored, fewer trained a little, fewer trained on.

A supernet scores a model in a fraction of a second, but ranks inaccurately. An epoch from scratch
takes seconds and ranks well. The ladder combines both: see `climb`.
"""

from nasrec_opt.ladder._candidates import Candidate, feature_names, features_of, training_work
from nasrec_opt.ladder._climb import Climb, Rung, Train, Trained, climb
from nasrec_opt.ladder._correction import Correction, corrected_tau, kendall_tau
from nasrec_opt.ladder._plan import (
    affordable_models,
    early_epochs,
    first_epochs,
    rung_epochs,
    rung_sizes,
)
from nasrec_opt.ladder._probes import probe_genotypes
from nasrec_opt.ladder._promotion import expected_improvement, promote
from nasrec_opt.ladder._summary import summary
from nasrec_opt.options import LadderConfig

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
    "early_epochs",
    "expected_improvement",
    "feature_names",
    "features_of",
    "first_epochs",
    "kendall_tau",
    "probe_genotypes",
    "promote",
    "rung_epochs",
    "rung_sizes",
    "summary",
    "training_work",
]
