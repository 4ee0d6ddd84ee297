"""A whole run: it prepares the folder, then runs one stage after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nasrec_opt.distributed import connected
from nasrec_opt.errors import DataError
from nasrec_opt.pipeline._checks import check_study
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._console import Reporter, SilentReporter
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._log_source import Source, content_of, is_same_log
from nasrec_opt.pipeline._notes import warnings_as_notes
from nasrec_opt.pipeline._opening import settle
from nasrec_opt.pipeline._storage import kept_storage, require_storage, settle_storage

if TYPE_CHECKING:
    from nasrec_opt.pipeline._run import Run
    from nasrec_opt.pipeline._stage import Stage


def run_study(
    config: StudyConfig,
    out: Path,
    *,
    data: Source | None = None,
    until: str | None = None,
    reporter: Reporter | None = None,
    stages: Sequence[Stage] | None = None,
) -> Run:
    """Run the stages of a study; those already done are skipped.

    Args:
        config: The study.
        out: The run folder; created if it is missing.
        data: The click log, or a dataset that is prepared already, instead of what the study
            names. A folder that holds a run on other data is renamed, and a new run begins.
        until: Name of the last stage to run, or None for all.
        reporter: Receives the progress, or None for no output.
        stages: All stages in their order, such as `STAGES` with one of your own among them; None
            means `STAGES`.

    Returns:
        The run, closed; its folder and figures can be read.

    Raises:
        DataError: The log is bad.
        StudyError: The folder holds something made with other settings, or another process works in
            it; or no stage is called `until`; or there is no Ray cluster where the study says,
            or no storage or tracking server.
    """
    reporter = reporter or SilentReporter()
    folder = RunFolder(out)
    folder.require_utf8()
    check_study(config)
    if data is not None:
        _require_log(folder, data)
        _make_way(folder, data, reporter)
    if config.has_search and config.storage.url is not None:
        require_storage(config.storage.url)
    from nasrec_opt.pipeline._run import Run  # loads torch; earlier errors are reported without it

    with (
        connected(config.ray.address),
        warnings_as_notes(reporter),
        folder.locked(),
        Run(config, folder, data or config.data.source, reporter, stages) as run,
    ):
        settle(folder)
        if config.has_search:
            settle_storage(folder, config.storage.url, config.name)
        run.check()
        with kept_storage(folder):
            run.follow(until)
    return run


def _require_log(folder: RunFolder, data: Source) -> None:
    """Refuse a missing log, unless it was prepared before."""
    try:
        content_of(data)
    except DataError:
        previous = folder.record().get("prepare")
        is_prepared = previous is not None and folder.dataset_record.exists()
        if previous is None or not is_prepared or not is_same_log(previous["settings"], data):
            raise


def _make_way(folder: RunFolder, data: Source, reporter: Reporter) -> None:
    """Rename a folder that holds a run on another log."""
    previous = folder.record().get("prepare")
    if previous and not is_same_log(previous["settings"], data):
        with folder.locked():  # no other process works in it now
            aside = folder.set_aside()
            settle(RunFolder(aside))
        reporter.note(f"{folder.path} holds a run on other data; it is now {aside}")
