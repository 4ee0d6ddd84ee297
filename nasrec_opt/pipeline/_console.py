"""Progress of the stages on the terminal, and the cost table."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table


class Reporter(Protocol):
    """Receives the progress of a run."""

    def begin(self, stage: str, detail: str = "") -> None:
        """Report that a stage begins.

        Args:
            stage: Name of the stage.
            detail: What the stage works on; may be empty.
        """

    def advance(self, done: int, total: int | None) -> None:
        """Report progress within the stage.

        Args:
            done: Units done so far.
            total: Units in all, or None where the total is not known.
        """

    def end(self, sentence: str) -> None:
        """Report that the stage is over.

        Args:
            sentence: What came out of it.
        """

    def note(self, sentence: str) -> None:
        """Report something else that is worth a line.

        Args:
            sentence: The line.
        """


class SilentReporter:
    """Reports nothing."""

    def begin(self, stage: str, detail: str = "") -> None:
        """Ignore the beginning of a stage.

        Args:
            stage: Ignored.
            detail: Ignored.
        """

    def advance(self, done: int, total: int | None) -> None:
        """Ignore the progress.

        Args:
            done: Ignored.
            total: Ignored.
        """

    def end(self, sentence: str) -> None:
        """Ignore the end of a stage.

        Args:
            sentence: Ignored.
        """

    def note(self, sentence: str) -> None:
        """Ignore the sentence.

        Args:
            sentence: Ignored.
        """


class ConsoleReporter:
    """A line for each stage, and a progress bar while it runs if the output is a terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task: Any = None
        self._stage = ""
        self._shown = 0.0

    def __enter__(self) -> ConsoleReporter:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def begin(self, stage: str, detail: str = "") -> None:
        """Show a new bar; if the output is not a terminal, only `advance` and `end` print.

        Args:
            stage: Name of the stage.
            detail: What the stage works on; may be empty.
        """
        self._stage = stage
        self._shown = time.monotonic()
        self._task = self._progress.add_task(f"{stage:<9} {detail}", total=None)

    def advance(self, done: int, total: int | None) -> None:
        """Move the bar, or print a line every half minute if the output is not a terminal.

        Args:
            done: Units done so far.
            total: Units in all, or None where the total is not known.
        """
        if self._task is not None:
            self._progress.update(self._task, completed=done, total=total)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._shown > 30:
            self._shown = now
            of = f" of {total:,}" if total else ""
            self._console.print(f"{self._stage:<9} {done:,}{of}", markup=False)

    def end(self, sentence: str) -> None:
        """Replace the bar by a sentence.

        Args:
            sentence: What came out of the stage.
        """
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
        self._console.print(f"{self._stage:<9} {sentence}", markup=False)

    def note(self, sentence: str) -> None:
        """Print a sentence above the bar.

        Args:
            sentence: The line.
        """
        self._console.print(sentence, markup=False)


def print_cost(figures: Mapping[str, Any]) -> None:
    """Print a cost as tables.

    Args:
        figures: The result of `architecture_cost`.
    """
    console = Console(soft_wrap=True)
    console.print(conditions_in_words(figures["conditions"]), highlight=False, markup=False)
    for head, parts in (("operator", figures["breakdown"]), ("component", figures["components"])):
        console.print(_cost_table(head, parts, figures))
    console.print(
        f"area {figures['area_mm2']:.4g} mm2, {figures['mflops']:.4g} MFLOPs, "
        f"{figures['mflops_paper']:.4g} MFLOPs (paper), "
        f"{figures['parameters']:,} parameters without embedding tables",
        highlight=False,
    )
    for note in figures["notes"].values():
        console.print(note, highlight=False, markup=False)


def conditions_in_words(conditions: Mapping[str, Any]) -> str:
    """State the number of columns and the accelerator of the figures."""
    assumed = " (assumed: Criteo's)" if conditions["columns_are_assumed"] else ""
    ships = "which ships" if conditions["technology_ships"] else "which does not ship"
    genes = ", with the genotype's accelerator genes" if conditions["has_accelerator_genes"] else ""
    nodes = ", ".join(conditions["nodes"]) or "no node stated"
    return (
        f"One sample of {conditions['num_dense']} dense and {conditions['num_sparse']} sparse "
        f"columns{assumed}, on {conditions['accelerator']}: {conditions['technology']}, "
        f"{ships}, figures of {nodes}{genes}."
    )


def _cost_table(
    head: str, parts: Mapping[str, Mapping[str, float]], figures: Mapping[str, Any]
) -> Table:
    """Latency and energy of the parts that have any, those with most energy first."""
    table = Table(head, "latency us", "energy uJ", "share of energy")
    for column in table.columns[1:]:
        column.justify = "right"
    total = figures["energy_uj"]
    latency, energy = parts["latency_us"], parts["energy_uj"]
    for name in sorted(energy, key=lambda name: -energy[name]):
        if latency.get(name) or energy[name]:
            share = energy[name] / total if total else 0.0
            table.add_row(
                name, f"{latency.get(name, 0):.4g}", f"{energy[name]:.4g}", f"{share:.0%}"
            )
    table.add_section()
    table.add_row("total", f"{figures['latency_us']:.4g}", f"{total:.4g}", "100%")
    return table
