"""What `nasrec-opt inspect` prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nasrec_opt.inspection import Finding, Inspection, percent
from nasrec_opt.report import INSPECTION_NOTES, PageTable, inspection_tables

NAME_WIDTH = 18  # characters; a longer name is cut


def print_inspection(found: Inspection) -> None:
    """Print the figures as tables, and then the findings.

    Args:
        found: The figures.
    """
    console = Console(highlight=False, markup=False)
    threshold = f", min_count {found.min_count}" if found.min_count > 1 else ""
    console.print(
        f"{found.source}: {found.rows:,} rows, {percent(found.click_rate)} clicked, "
        f"{len(found.dense)} dense and {len(found.sparse)} sparse columns{threshold}"
    )
    for table in inspection_tables(found):
        console.print(_table(table))
    for note in INSPECTION_NOTES:
        console.print(note, style="dim")
    console.print()
    if not found.warnings:
        console.print("No warnings.")
    print_findings(found.findings, console)


def print_findings(findings: Sequence[Finding], console: Console | None = None) -> None:
    """Print findings, a line each.

    Args:
        findings: The findings.
        console: Where to; None means standard error.
    """
    console = console or Console(stderr=True, highlight=False, markup=False)
    for finding in findings:
        text = Text(f"{finding.severity}: ", style="bold" if finding.severity == "warning" else "")
        text.append(finding.text, style="not bold")
        console.print(text, soft_wrap=not console.is_terminal)


def _table(cells: PageTable) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for place, head in enumerate(cells.heads):
        table.add_column(head, justify="right" if place else "left", no_wrap=True)
        cells_of = (head, *(row.cells[place] for row in cells.rows))
        table.columns[place].min_width = max(map(len, cells_of))
    table.columns[0].min_width, table.columns[0].max_width = 4, NAME_WIDTH  # cut where it is narrow
    for row in cells.rows:
        table.add_row(*map(Text, row.cells))
    return table
