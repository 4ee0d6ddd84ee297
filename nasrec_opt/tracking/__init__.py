"""MLflow: one parent run a study, one nested run a trial, written in the background."""

from nasrec_opt.tracking._logger import MLflowLogger
from nasrec_opt.tracking._rebuild import Recipe, genotype_of, rebuild, recipe_of
from nasrec_opt.tracking._registry import Champion, Registered
from nasrec_opt.tracking._relocate import relocate
from nasrec_opt.tracking._store import Store, as_study_error, require_server
from nasrec_opt.tracking._tracker import NullTracker, Tracker

__all__ = [
    "Champion",
    "MLflowLogger",
    "NullTracker",
    "Recipe",
    "Registered",
    "Store",
    "Tracker",
    "as_study_error",
    "genotype_of",
    "rebuild",
    "recipe_of",
    "relocate",
    "require_server",
]
