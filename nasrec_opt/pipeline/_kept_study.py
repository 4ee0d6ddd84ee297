"""The study of a search, kept in its run folder: a command continues a run without the study file.

What the run decided, such as the batch size that follows the log, is in it as well.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hw import shipped_technology
from nasrec_opt._files import read_json, write_json
from nasrec_opt._settings import build_settings
from nasrec_opt.errors import StudyError
from nasrec_opt.options import HardwareConfig, RayConfig
from nasrec_opt.pipeline._config import StudyConfig, based
from nasrec_opt.pipeline._context import Context
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._schema import as_json


def keep_study(context: Context) -> None:
    """Write the study of a search, unless it is there already.

    Args:
        context: The open run. The log is left out, since it is prepared, and the
            cluster, which another command may not have.
    """
    file, values = context.folder.study_of(context.place), _portable(context.config)
    try:
        is_there = read_json(file) == values
    except (OSError, ValueError):
        is_there = False
    if not is_there:
        write_json(file, values)


def kept_study(folder: RunFolder, search: str) -> StudyConfig:
    """Read the study of a search.

    Args:
        folder: The run folder.
        search: Name of the search's study; empty for the first search of the folder.

    Raises:
        StudyError: The file is missing or damaged.
    """
    file = folder.study_of(search)
    try:
        values = read_json(file)
        technology = values["hardware"]["technology"]
        shipped = None if technology is None else shipped_technology(technology)
        if shipped is not None:
            values["hardware"]["technology"] = str(shipped)
    except (OSError, ValueError, KeyError, TypeError) as error:
        found = "found none" if isinstance(error, FileNotFoundError) else f"got {error!r}"
        raise StudyError(
            f"{file}: expected the study of a run, {found}; `nasrec-opt run STUDY.toml --out "
            f"{folder.path}` writes it without training anything again"
        ) from error
    return build_settings(StudyConfig, values, str(file))


def _portable(config: StudyConfig) -> dict[str, Any]:
    """A study as JSON values that mean the same in any working directory."""
    config = based(config, Path.cwd())
    technology = config.hardware.technology
    if technology is not None and shipped_technology(technology.name) == technology:
        config = replace(config, hardware=HardwareConfig(technology=Path(technology.name)))
    data = replace(config.data, source=None)
    values: dict[str, Any] = as_json(replace(config, data=data, ray=RayConfig()))
    return values
