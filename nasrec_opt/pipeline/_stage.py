"""A stage of a run: its inputs, its output, and the work between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._context import Context
from nasrec_opt.pipeline._folder import RunFolder


def _do_nothing(context: Context) -> None:
    """Do nothing.

    Args:
        context: Ignored.
    """


def _no_detail(context: Context) -> str:
    """Add nothing to the name of the stage.

    Args:
        context: Ignored.

    Returns:
        The empty string.
    """
    return ""


def _always(config: StudyConfig) -> bool:
    """Have the stage in every study.

    Args:
        config: Ignored.

    Returns:
        True.
    """
    return True


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step on the way from a click log to a report.

    A stage is done where `run.json` has it with the same inputs and its output exists. Otherwise it
    is run, timed, and written down in `run.json`.

    Args:
        name: Of the stage: in `run.json`, on the terminal, and as the last stage to run.
        inputs: Gives everything that the result depends on, as JSON values.
        output: Gives the file that the stage leaves at its end, from the run folder and the name of
            the search; the name is empty for the first search of a folder.
        run: Does what is missing, and returns a sentence on what came of it. A stage that was
            killed is run again, so it goes on from what the folder has.
        detail: Says what the stage works on, for the terminal.
        is_wanted: Says whether a study has this stage.
        is_shared: Whether the searches of a folder share the output; otherwise each has its own.
        is_repeated: Whether a finished stage is run again each time, because it is quick.
        keeps: Gives a folder that is too expensive to be made again: other inputs are refused until
            a person removes it. None means that the stage is run again.
        check: Raises now what the stage would raise after hours; called before the first stage.
        before: Called before the stage, whether it is done or not.
        after: Called after the stage, whether it was done or not.

    Example:
        >>> from nasrec_opt.pipeline import STAGES, Stage
        >>> def write_size(context):
        ...     rows = context.dataset().split("test").num_rows
        ...     (context.folder.path / "size.txt").write_text(str(rows))
        ...     return f"{rows:,} test rows"
        >>> size = Stage(
        ...     name="size",
        ...     inputs=lambda context: {"split": "test"},
        ...     output=lambda folder, search: folder.path / "size.txt",
        ...     run=write_size,
        ...     is_shared=True,
        ... )
        >>> [stage.name for stage in (*STAGES, size)][-2:]
        ['report', 'size']
    """

    name: str
    inputs: Callable[[Context], Any]
    output: Callable[[RunFolder, str], Path]
    run: Callable[[Context], str]
    detail: Callable[[Context], str] = _no_detail
    is_wanted: Callable[[StudyConfig], bool] = _always
    is_shared: bool = False
    is_repeated: bool = False
    keeps: Callable[[RunFolder], Path] | None = None
    check: Callable[[Context], None] = _do_nothing
    before: Callable[[Context], None] = _do_nothing
    after: Callable[[Context], None] = _do_nothing

    def key(self, search: str) -> str:
        """Name the entry of `run.json`.

        Args:
            search: Name of the search's study; empty for the first search of the folder.

        Returns:
            The stage's name, followed by that of the search where it has an entry of its own.
        """
        return self.name if self.is_shared or not search else f"{self.name} {search}"

    def is_done(self, context: Context) -> bool:
        """Check whether the stage has finished with the inputs of this run.

        Args:
            context: The open run.

        Returns:
            True where `run.json` has it with the same inputs, and its output exists.
        """
        folder, search = context.folder, context.place
        output = self.output(folder, search)
        return folder.is_done(self.key(search), self.inputs(context), output)

    def forget(self, context: Context) -> None:
        """Have the stage run again.

        Args:
            context: The open run.
        """
        context.folder.forget(self.key(context.place))
