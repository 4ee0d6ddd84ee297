"""A click-through-rate benchmark of architecture search: no log, no training, answers at once."""

from nasrec_opt.tabular._table import METRICS, TabularBenchmark

__all__ = ["METRICS", "TabularBenchmark"]
