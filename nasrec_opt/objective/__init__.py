"""What `study.optimize` takes: a trial becomes a genotype, the genotype its metrics."""

from nasrec_opt._metrics import METRICS
from nasrec_opt.objective._ahead import answer, lag_of
from nasrec_opt.objective._failures import FAILED
from nasrec_opt.objective._metrics import Answer, by_operator, metrics_many
from nasrec_opt.objective._objective import ACCELERATOR, Objective
from nasrec_opt.objective._search import FINISHED, finished_trials, requeue_interrupted, search
from nasrec_opt.objective._study import MODELS, describe_study, note_models

__all__ = [
    "ACCELERATOR",
    "FAILED",
    "FINISHED",
    "METRICS",
    "MODELS",
    "Answer",
    "Objective",
    "answer",
    "by_operator",
    "describe_study",
    "finished_trials",
    "lag_of",
    "metrics_many",
    "note_models",
    "requeue_interrupted",
    "search",
]
