"""Click logs: prepared once, memory-mapped, read in batches; and a synthetic one."""

from nasrec_opt.data._columns import Column
from nasrec_opt.data._dataset import Batch, Dataset, JoinedSplit, Split
from nasrec_opt.data._loader import Loader
from nasrec_opt.data._prepare import prepare
from nasrec_opt.data._preprocessor import Inputs, Preprocessor
from nasrec_opt.data._schema import Schema
from nasrec_opt.data._split import evenly_spaced
from nasrec_opt.data._synthetic import generate_synthetic

__all__ = [
    "Batch",
    "Column",
    "Dataset",
    "Inputs",
    "JoinedSplit",
    "Loader",
    "Preprocessor",
    "Schema",
    "Split",
    "evenly_spaced",
    "generate_synthetic",
    "prepare",
]
