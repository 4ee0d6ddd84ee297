"""MLflow: one parent run a study, one nested run a trial, written in the background."""

from nasrec_opt.tracking._logger import MLflowLogger, genotype_of

__all__ = ["MLflowLogger", "genotype_of"]
