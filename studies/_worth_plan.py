"""What `studies/worth.toml` says: logs with their budgets, and the study files of our chains.

A chain is a study file that `nasrec-opt run` could be given. It is written into the folder of the
study, so that what ran can be run again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nasrec_opt._files import atomic_write, read_toml
from nasrec_opt._settings import build_settings
from nasrec_opt.errors import StudyError

SYNTHETIC = "synthetic"
DEFAULT = "default"
PAPER = "paper"
WITHOUT = "without-"

Tables = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log that contenders are compared on.

    Args:
        budget_s: Seconds that a contender has.
        source: `synthetic`, or the name of a schema, whose file is given on the command line.
        rows: Rows drawn at random from the file, or generated; None for all rows of the file.
        paper_trials: Trials of the paper's protocol on this log.
        paper_top: Models that it retrains.
    """

    budget_s: float
    source: str = SYNTHETIC
    rows: int | None = None
    paper_trials: int = 2048
    paper_top: int = 15

    def __post_init__(self) -> None:
        if not self.budget_s > 0:
            raise StudyError(f"budget_s: expected above 0, got {self.budget_s}")
        for name in ("rows", "paper_trials", "paper_top"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise StudyError(f"{name}: expected 1 or more, got {value}")
        if self.source == SYNTHETIC and self.rows is None:
            raise StudyError("rows: expected a number of rows of a synthetic log, got none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """`[paper]`: the paper's protocol in place of ours.

    Args:
        study: Its study file.
        tables: Tables of that file which replace those of the default.
    """

    study: Path
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole file; `from_toml` reads it.

    Args:
        study: The study file of our chain.
        paper: The paper's protocol.
        logs: By name.
        schemas: What a source's file looks like: keys of `nasrec_opt.data.Schema`, or nothing for
            Criteo's layout.
        without: Overrides of the study file that switch an ingredient off, by its name.
    """

    study: Path
    paper: Protocol
    logs: Mapping[str, Log]
    schemas: Tables = field(default_factory=dict)
    without: Tables = field(default_factory=dict)

    @classmethod
    def from_toml(cls, path: Path) -> Plan:
        """Read the file; the paths in it are relative to its folder.

        Raises:
            StudyError: It is missing, not TOML, or has an unknown key or a wrong value.
        """
        values = read_toml(path, StudyError)
        free = {name: values.pop(name, {}) for name in ("schemas", "without")}
        for table, entries in free.items():
            for name, entry in {table: entries, **entries}.items():
                if not isinstance(entry, Mapping):
                    raise StudyError(f"{path}: {table}: {name}: expected a table, got {entry!r}")
        read = build_settings(_Read, values, str(path))
        for name, log in read.logs.items():
            if log.source not in (SYNTHETIC, *free["schemas"]):
                raise StudyError(
                    f"{path}: logs.{name}: source: expected {SYNTHETIC!r} or a name under "
                    f"[schemas], got {log.source!r}"
                )
        base = path.parent
        paper = Protocol(study=base / read.paper.study, tables=read.paper.tables)
        return cls(study=base / read.study, paper=paper, logs=read.logs, **free)

    @property
    def chains(self) -> tuple[str, ...]:
        """Names of the chains: the default, those without an ingredient, the paper's protocol."""
        return (DEFAULT, *(WITHOUT + name for name in self.without), PAPER)

    def chain(self, name: str, log: Log) -> dict[str, Any]:
        """Tables of a chain's study file, without a log and a seed.

        Args:
            name: Of `chains`.
            log: Scales the paper's protocol.
        """
        tables = read_toml(self.study, StudyError)
        if name == PAPER:
            paper = read_toml(self.paper.study, StudyError)
            tables |= {table: paper[table] for table in self.paper.tables if table in paper}
            scale = {
                "search": {"n_trials": log.paper_trials},
                "retrain": {"top": log.paper_top},
            }
            tables = merged(tables, scale)
        elif name != DEFAULT:
            tables = merged(tables, self.without[name.removeprefix(WITHOUT)])
        return tables | {"name": name}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What of a `Plan` has types."""

    study: Path
    paper: Protocol
    logs: Mapping[str, Log]


def merged(tables: Tables, overrides: Tables) -> dict[str, Any]:
    """Tables with overrides, key by key at every depth; the arguments stay as they are.

    Args:
        tables: What is overridden.
        overrides: New values; `false` in place of a table removes it.
    """
    found = dict(deepcopy(tables))
    for key, value in overrides.items():
        if value is False and isinstance(found.get(key), Mapping):
            del found[key]
            continue
        if isinstance(value, Mapping):
            inner = found.get(key)
            value = merged(inner if isinstance(inner, Mapping) else {}, value)
        found[key] = value
    return found


def write_toml(path: Path, tables: Tables) -> None:
    """Write tables of text, numbers, truths, lists and further tables."""
    with atomic_write(path) as stream:
        stream.write("".join(_lines(tables, ())))


def _lines(table: Tables, above: tuple[str, ...]) -> list[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    lines = [f"\n[{'.'.join(above)}]\n"] if above else []
    # JSON's text, numbers, truths and lists are TOML as well.
    lines += [
        f"{json.dumps(key)} = {json.dumps(value, ensure_ascii=False)}\n"
        for key, value in plain.items()
    ]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += _lines(value, (*above, _json(key)))
    return lines


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
