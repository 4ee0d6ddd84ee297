"""The facts of a run: what was searched, how, on which data, with which versions."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from nasrec_opt import __version__
from nasrec_opt.report._records import StudyRecord

PACKAGES = ("optuna", "torch", "numpy", "polars", "scikit-learn", "botorch", "ax-platform")
DATA = {"source": "data", "fingerprint": "data fingerprint"}


def facts_of_page(
    record: StudyRecord,
    data: Mapping[str, Any],
    facts: Mapping[str, str],
    stages: Mapping[str, float],
) -> dict[str, str]:
    """The facts under the heading `Run`: texts by their names.

    Args:
        record: The study.
        data: Source, fingerprint, rows and numbers of columns.
        facts: Other facts, by name.
        stages: Wall time of each stage, s, in their order.
    """
    found = {"trials": _trials(record)}
    if seen := _rows_seen(record):
        found["rows seen by trials"] = seen
    if record.failures:
        found["failed"] = record.failures
    found |= facts
    found |= {name: str(data[key]) for key, name in DATA.items() if key in data}
    if data.get("rows"):
        found["rows"] = ", ".join(f"{n:,} {name}" for name, n in data["rows"].items())
    if {"num_dense", "num_sparse"} <= data.keys():
        found["columns"] = f"{data['num_dense']} dense, {data['num_sparse']} sparse"
    if stages:
        found["stages"] = ", ".join(f"{name} {spent:.1f} s" for name, spent in stages.items())
    found["versions"] = _versions()
    return found


def _trials(record: StudyRecord) -> str:
    counts = ", ".join(f"{count:,} {state}" for state, count in record.states.items())
    infeasible = record.num_infeasible
    return f"{counts}; {infeasible:,} of them infeasible" if infeasible else counts


def _rows_seen(record: StudyRecord) -> str:
    """How many rows a race has read, and how sure it is of the trials that it stopped."""
    seen = [trial.num_rows for trial in record.trials if trial.num_rows is not None]
    if not seen:
        return ""
    share = sum(seen) / (len(record.trials) * max(seen))
    errors = sorted(trial.log_loss_se for trial in record.trials if trial.log_loss_se)
    told = f"{share:.0%} of what all trials on {max(seen):,} rows would read"
    if not errors:
        return told
    return (
        f"{told}; {len(errors):,} trials stopped early, standard error of their log loss at most "
        f"{errors[-1]:.2g}, median {errors[len(errors) // 2]:.2g}"
    )


def _versions() -> str:
    known = [f"nasrec-opt {__version__}", f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            known.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue  # an optional package that is not installed
    return ", ".join(known)
