"""Arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nasrec_opt.errors import StudyError

RunPath = Annotated[
    Path,
    typer.Argument(
        metavar="RUN|results.json|STUDY.toml",
        help="A run, its results, or the study of the run in runs/<study name>.",
    ),
]
StudyPath = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study file.")]
DataOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--data",
        metavar="DATA",
        help="The click log: a file, a folder, a pattern in quotes, or a prepared dataset; may be "
        "given several times (default: the study's, or the synthetic log).",
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="criteo|SCHEMA.toml",
        help="How the log is laid out (default: as the study says).",
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="The run folder (default: runs/<study name>)."),
]
RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="The Ray cluster that evaluates trials and trains models: HOST:PORT, ray://HOST:PORT "
        "or auto (default: the study's, or the processes of this machine).",
    ),
]
ModelOption = Annotated[
    int | None,
    typer.Option(
        "--model", metavar="N", help="Rank of the retrained model of a run (default: 1, the best)."
    ),
]


def run_at(target: Path) -> Path:
    """Find the run that a user points at by its study.

    Args:
        target: A study file, or anything else that a command takes.

    Returns:
        `runs/<study name>`, or what was given if it is no study file.

    Raises:
        StudyError: The study file is missing or not valid, or its run is not there.
    """
    if target.suffix != ".toml":
        return target
    from nasrec_opt.pipeline import StudyConfig

    run = Path("runs") / StudyConfig.from_toml(target).name
    if not run.is_dir():
        raise StudyError(
            f"{target}: expected the run of this study in {run}, found nothing there; give the "
            "folder of the run"
        )
    return run


def architecture_at(target: str) -> str:
    """`run_at` for commands that also take names of architectures, such as `published:NAME`."""
    return str(run_at(Path(target))) if target.endswith(".toml") else target
