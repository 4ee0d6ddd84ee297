"""`precision = "auto"` is decided once for a run, which keeps it on another processor."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, get_args

from nasrec_opt._files import read_json, write_json
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.space import FLOAT_BITS, SearchSpace
from nasrec_opt.supernet import Precision, best_device, choose_precision, learns_in_floats

STAGES = ("supernet", "oracle")  # tables of a study file that have a precision


def with_precision(config: StudyConfig, folder: RunFolder, space: SearchSpace) -> StudyConfig:
    """Replace `auto` in a study: by the run's earlier choice, or by the best for this device.

    Args:
        config: The study.
        folder: Its run folder; nothing is written.
        space: Its space.

    Raises:
        StudyError: The folder's record of it is damaged.
    """
    kept = _kept(folder)
    is_rounded = {
        "supernet": not learns_in_floats(space),
        "oracle": config.oracle.bits == "genotype" and space.bits != (FLOAT_BITS,),
    }

    def settled(name: str) -> Any:
        table: Any = getattr(config, name)
        if table.precision != "auto":
            return table
        precision = kept.get(name) or choose_precision(
            "auto", best_device(), is_quantized=is_rounded[name]
        )
        return dataclasses.replace(table, precision=precision)

    return dataclasses.replace(config, supernet=settled("supernet"), oracle=settled("oracle"))


def keep_precision(config: StudyConfig, folder: RunFolder) -> None:
    """Store the precisions that a run begins with; earlier ones stay.

    Args:
        config: The study, without `auto`.
        folder: Its run folder.
    """
    in_force = {name: getattr(config, name).precision for name in STAGES} | _kept(folder)
    if not folder.precision.exists():
        write_json(folder.precision, in_force)


def _kept(folder: RunFolder) -> dict[str, Precision]:
    """The precisions that a run began with; float32 for a run from before `auto`.

    Raises:
        StudyError: The file is damaged.
    """
    file: Path = folder.precision
    if not file.exists():
        begun = {"supernet": folder.supernet, "oracle": folder.study_db}
        return {name: "float32" for name, output in begun.items() if output.exists()}
    try:
        values = read_json(file)
        if {values[name] for name in STAGES} <= {*get_args(Precision)}:
            return {name: values[name] for name in STAGES}
        found = str(values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        found = repr(error)
    raise StudyError(
        f"{file}: expected the precision of {' and '.join(STAGES)}, got: {found}; remove it to use "
        "float32"
    )
