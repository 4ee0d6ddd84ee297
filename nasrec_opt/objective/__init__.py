"""What `study.optimize` takes: a trial becomes a genotype, the genotype its metrics."""

from nasrec_opt.objective._metrics import METRICS, by_operator
from nasrec_opt.objective._objective import ACCELERATOR, Objective

__all__ = ["ACCELERATOR", "METRICS", "Objective", "by_operator"]
