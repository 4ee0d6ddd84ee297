"""Arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StudyPath = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study file.")]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DATA", help="The click log (default: the study's, or the synthetic one)."
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="The run folder (default: runs/<study name>)."),
]
ModelOption = Annotated[
    int | None,
    typer.Option(
        "--model", metavar="N", help="Rank of the retrained model of a run (default: 1, the best)."
    ),
]
