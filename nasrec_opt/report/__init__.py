"""Reports: drawings of architectures, and one HTML page about a run."""

from nasrec_opt.report._averaged import averaged_in_words
from nasrec_opt.report._comparison import Search, write_comparison
from nasrec_opt.report._cost_plot import plot_cost
from nasrec_opt.report._drawing import draw
from nasrec_opt.report._failures import failed_trials, reasons_in_words
from nasrec_opt.report._figures import importance_figure
from nasrec_opt.report._html import Table as PageTable
from nasrec_opt.report._inspection import (
    INSPECTION_NOTES,
    inspection_tables,
    write_inspection,
)
from nasrec_opt.report._ladder import expectation_in_words, ladder_in_words
from nasrec_opt.report._model_table import ModelRow, to_csv, to_markdown
from nasrec_opt.report._motifs import motif_cells, space_of
from nasrec_opt.report._pruned import PRUNING_COLUMNS, PRUNING_NOTE, pruning_cells
from nasrec_opt.report._records import read_study
from nasrec_opt.report._report import write_report
from nasrec_opt.report._winner import winner, winner_in_words
from nasrec_opt.report._words import comparisons

__all__ = [
    "INSPECTION_NOTES",
    "PRUNING_COLUMNS",
    "PRUNING_NOTE",
    "ModelRow",
    "PageTable",
    "Search",
    "averaged_in_words",
    "comparisons",
    "draw",
    "expectation_in_words",
    "failed_trials",
    "importance_figure",
    "inspection_tables",
    "ladder_in_words",
    "motif_cells",
    "plot_cost",
    "pruning_cells",
    "read_study",
    "reasons_in_words",
    "space_of",
    "to_csv",
    "to_markdown",
    "winner",
    "winner_in_words",
    "write_comparison",
    "write_inspection",
    "write_report",
]
