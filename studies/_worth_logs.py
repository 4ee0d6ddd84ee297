"""The logs of a study of worth, prepared once for each seed, and our chains' settings on them.

A prepared log is a run folder. Every contender gets a copy of it, hard links where the file system
has them, so that none pays for what is the same for all.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from nasrec_opt._files import atomic_write
from nasrec_opt.errors import DataError, StudyError
from nasrec_opt.pipeline import Reporter, StudyConfig, run_study
from studies._worth_plan import DEFAULT, SYNTHETIC, Plan, write_toml


class Logs:
    """Logs of a plan below a folder.

    Args:
        folder: Of the study.
        plan: Which logs there are.
        files: Of real logs, by the name of their source.

    Raises:
        StudyError: A file is of a source that the plan does not know.
    """

    def __init__(self, folder: Path, plan: Plan, files: Mapping[str, Path]) -> None:
        self._folder, self._plan, self._files = folder, plan, files
        for name in files:
            if name not in plan.schemas:
                known = ", ".join(plan.schemas)
                raise StudyError(f"data: expected a source of {known}, got {name!r}")
        self.chain = cache(self._chain)

    def available(self, names: Sequence[str]) -> tuple[list[str], list[str]]:
        """The logs whose file is there, and for each other one a sentence."""
        there, missing = [], []
        for name in names:
            source = self._plan.logs[name].source
            file = self._files.get(source)
            if source == SYNTHETIC or (file and file.is_file()):
                there.append(name)
            elif file:
                missing.append(f"{name}: skipped, {file}: expected a click log, found nothing")
            else:
                missing.append(f"{name}: skipped, name its file: --data {source}=FILE")
        return there, missing

    def _chain(self, chain: str, name: str) -> StudyConfig:
        """A chain's study without a seed and a real log; its file is in the folder."""
        log = self._plan.logs[name]
        file = self._folder / "studies" / name / f"{chain}.toml"
        tables = self._plan.chain(chain, log)
        if log.source == SYNTHETIC:
            tables["data"] = dict(tables.get("data", {})) | {"synthetic_rows": log.rows}
        write_toml(file, tables)
        return StudyConfig.from_toml(file)

    def config(self, chain: str, name: str, seed: int) -> StudyConfig:
        """A chain's study on a log; the seed is also that of the split or the synthetic world."""
        config = self.chain(chain, name)
        log = self._plan.logs[name]
        data = replace(config.data, split_seed=seed, synthetic_seed=seed)
        if log.source != SYNTHETIC:
            schema = self._folder / "logs" / f"{log.source}.toml"
            is_criteo = not self._plan.schemas[log.source]
            data = replace(
                data,
                source=self._source(name, seed),
                format="criteo" if is_criteo else str(schema),
            )
        return replace(config, seed=seed, data=data)

    def prepare(self, name: str, seed: int, reporter: Reporter) -> None:
        """Draw and prepare a log, where that is not done."""
        log = self._plan.logs[name]
        if log.source != SYNTHETIC:
            schema = self._plan.schemas[log.source]
            if schema:
                write_toml(self._folder / "logs" / f"{log.source}.toml", schema)
            part = self._source(name, seed)
            if log.rows is not None and not part.exists():
                has_header = bool(schema) and "columns" not in schema
                draw_rows(self._files[log.source], part, log.rows, seed, has_header=has_header)
        config = self.config(DEFAULT, name, seed)
        run_study(config, self._prepared(name, seed), until="prepare", reporter=reporter)

    def copy(self, name: str, seed: int, folder: Path) -> Path:
        """A run folder of one's own with the prepared log, below `folder`."""
        copied = folder / "run"
        shutil.copytree(
            self._prepared(name, seed),
            copied,
            copy_function=_link,
            ignore=shutil.ignore_patterns(".lock"),
        )
        return copied

    def _prepared(self, name: str, seed: int) -> Path:
        return self._folder / "logs" / f"{name}-{seed}"

    def _source(self, name: str, seed: int) -> Path:
        """The raw log: the file itself, or the part drawn from it."""
        log = self._plan.logs[name]
        if log.rows is None:
            return self._files[log.source].resolve()
        return self._folder / "logs" / f"{name}-{seed}.txt"


def draw_rows(file: Path, part: Path, rows: int, seed: int, *, has_header: bool) -> None:
    """Write a random part of a log, its rows in their order.

    Args:
        file: The log, a row a line.
        part: The file to write.
        rows: How many.
        seed: Of the draw.
        has_header: Whether the first line names columns and stays.

    Raises:
        DataError: The log has fewer rows.
    """
    lines = file.read_bytes().splitlines(keepends=True)
    head, lines = (lines[:1], lines[1:]) if has_header else ([], lines)
    if len(lines) < rows:
        raise DataError(f"{file}: expected {rows:,} rows or more, got {len(lines):,}")
    drawn = np.sort(np.random.default_rng([seed, rows]).choice(len(lines), rows, replace=False))
    with atomic_write(part, "wb") as stream:
        stream.writelines([*head, *(lines[place] for place in drawn)])


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
