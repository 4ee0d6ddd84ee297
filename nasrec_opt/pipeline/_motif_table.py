"""What `nasrec-opt motifs` prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from nasrec_opt.pipeline._motifs import MotifGroup
from nasrec_opt.report import motif_cells

MOST_MODELS = 6  # that have a column each


def print_motifs(groups: Sequence[MotifGroup]) -> None:
    """Print a table for each space.

    Args:
        groups: The models and their motifs.
    """
    console = Console(soft_wrap=True)
    for group in groups:
        many = len(group.names) > MOST_MODELS
        alone = () if many or len(group.names) == 1 else group.names
        count = f"{len(group.names)} models" if len(group.names) > 1 else group.names[0]
        title = f"{group.space.name}, {group.space.num_blocks} blocks: {count}"
        table = Table("motif", *alone, "mean" if alone or many else group.names[0], "random")
        for head in ("95 % of random", "than random"):
            table.add_column(head)
        for column in table.columns[1:-1]:
            column.justify = "right"
        for row in group.rows:
            if not row.is_constant:
                table.add_row(row.label, *motif_cells(row, with_models=bool(alone)))
        console.print(title, highlight=False, markup=False)
        console.print(table)
    console.print(
        "Only what reaches the logit counts. The interval holds 95 % of the means of as many "
        "random models of the space; about one figure in twenty is outside by chance.",
        highlight=False,
        markup=False,
    )
