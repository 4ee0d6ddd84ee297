"""What people look at: drawings of architectures, and one HTML page about a run."""

from nasrec_opt.report._drawing import draw
from nasrec_opt.report._report import write_report

__all__ = ["draw", "write_report"]
