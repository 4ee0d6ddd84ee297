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
from nasrec_opt.options import FORMATS
from nasrec_opt.pipeline._config import StudyConfig, beside
from nasrec_opt.pipeline._context import Context
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._schema import as_json


def keep_study(context: Context) -> None:
    """Write the study of a search, unless it is there already.

    Args:
        context: The open run. The log is left out, since it is prepared.
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
    data, space, hardware = config.data, config.space, config.hardware
    data = replace(data, source=None)
    if data.format not in FORMATS:
        data = replace(data, format=str(Path(data.format).absolute()))
    if data.users is not None:
        data = replace(data, users=data.users.absolute())
    if space.file is not None:
        space = replace(space, file=space.file.absolute())
    technology = hardware.technology
    if technology is not None:
        is_shipped = shipped_technology(technology.name) == technology
        found = Path(technology.name) if is_shipped else technology.absolute()
        hardware = replace(hardware, technology=found)
    search = replace(config.search, initial=beside(Path.cwd(), config.search.initial))
    values: dict[str, Any] = as_json(
        replace(config, data=data, space=space, hardware=hardware, search=search)
    )
    return values
