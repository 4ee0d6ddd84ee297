"""Click logs: prepared once, memory-mapped, read in batches; and a synthetic one."""

from nasrec_opt.data._columns import Column
from nasrec_opt.data._dataset import Batch, Dataset, JoinedSplit, Split
from nasrec_opt.data._generate import (
    GeneratedLog,
    LogKind,
    VocabularyKind,
    generate_log,
    generated_features,
    model_inputs,
)
from nasrec_opt.data._guess import guess_schema
from nasrec_opt.data._loader import Loader
from nasrec_opt.data._log_files import FileFormat
from nasrec_opt.data._log_layout import GeneratedRows
from nasrec_opt.data._prepare import prepare
from nasrec_opt.data._preprocessor import Inputs, Preprocessor
from nasrec_opt.data._schema import Count, Schema
from nasrec_opt.data._sources import Log, find_log
from nasrec_opt.data._split import evenly_spaced
from nasrec_opt.data._synthetic import generate_synthetic

__all__ = [
    "Batch",
    "Column",
    "Count",
    "Dataset",
    "FileFormat",
    "GeneratedLog",
    "GeneratedRows",
    "Inputs",
    "JoinedSplit",
    "Loader",
    "Log",
    "LogKind",
    "Preprocessor",
    "Schema",
    "Split",
    "VocabularyKind",
    "evenly_spaced",
    "find_log",
    "generate_log",
    "generate_synthetic",
    "generated_features",
    "guess_schema",
    "model_inputs",
    "prepare",
]
