"""What `study.optimize` takes: a trial becomes a genotype, the genotype its metrics."""

from nasrec_opt._metrics import METRICS
from nasrec_opt.objective._failures import FAILED
from nasrec_opt.objective._metrics import by_operator, metrics_many
from nasrec_opt.objective._objective import ACCELERATOR, Objective

__all__ = ["ACCELERATOR", "FAILED", "METRICS", "Objective", "by_operator", "metrics_many"]
