"""A run: one stage after the other, each skipped where the run folder says that it is done."""

from __future__ import annotations

import time
from collections.abc import Sequence

from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._console import Reporter
from nasrec_opt.pipeline._context import Context
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._log_source import Source
from nasrec_opt.pipeline._stage import Stage
from nasrec_opt.pipeline.stages import STAGES


class Run(Context):
    """One run folder with its study and its stages; a context manager that ends the tracking.

    Args:
        config: The study.
        folder: Where everything is kept.
        source: The click log or a dataset; None means what the folder was prepared from, or else
            the synthetic log.
        reporter: Receives the progress.
        stages: All stages in their order, or None for `STAGES`.
    """

    def __init__(
        self,
        config: StudyConfig,
        folder: RunFolder,
        source: Source | None,
        reporter: Reporter,
        stages: Sequence[Stage] | None = None,
    ) -> None:
        super().__init__(config, folder, source, reporter, STAGES if stages is None else stages)

    def check(self) -> None:
        """Refuse now what a later stage would refuse after hours.

        Raises:
            StudyError: A stage cannot be run, such as where a tracking server does not answer.
        """
        for stage in self.stages:
            if stage.is_wanted(self.config):
                stage.check(self)

    def follow(self, until: str | None = None) -> None:
        """Bring the stages to their end, one after the other.

        Args:
            until: Name of the last stage to run, or None for all.

        Raises:
            StudyError: There is no such stage, or one cannot continue from what the folder holds.
        """
        names = [stage.name for stage in self.stages]
        if until is not None and until not in names:
            raise StudyError(f"until: expected one of {', '.join(names)}, got {until!r}")
        last = len(names) if until is None else names.index(until) + 1
        for stage in self.stages[:last]:
            if stage.is_wanted(self.config):
                self._follow(stage)

    def _follow(self, stage: Stage) -> None:
        """Skip a finished stage; otherwise run it, time it, and write it down."""
        folder, key, inputs = self.folder, stage.key(self.place), stage.inputs(self)
        if stage.keeps is not None:
            output = stage.output(folder, self.place)
            folder.require_same(key, inputs, output, stage.keeps(folder))
        stage.before(self)
        self.reporter.begin(stage.name, stage.detail(self))
        if stage.is_done(self) and not stage.is_repeated:
            self.reporter.end("already done")
        else:
            started = time.perf_counter()
            sentence = stage.run(self)
            seconds = time.perf_counter() - started
            folder.finish(key, inputs, seconds)
            self.reporter.end(sentence if stage.is_repeated else f"{sentence} [{seconds:.1f} s]")
        stage.after(self)
