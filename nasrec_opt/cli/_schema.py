"""The command that writes a first schema of a log."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from nasrec_opt.errors import DataError


def schema(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="The log, as `prepare` takes it; read in part.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="SCHEMA.toml", help="A new file; default: the terminal."),
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column of clicks (default: guessed).")
    ] = None,
) -> None:
    """Guess the schema of a log from its first rows, and write it with comments."""
    from nasrec_opt._files import atomic_write
    from nasrec_opt.data import guess_schema

    if out is not None and out.exists():
        raise DataError(f"{out}: expected a new file, found one there; it may hold your changes")
    text = guess_schema(data, label=label)
    if out is None:
        print(text, end="")
        return
    with atomic_write(out) as stream:
        stream.write(text)
    command = f"nasrec-opt prepare {quote(str(data))} --format {quote(str(out))} --out DIR"
    print(f"{out}: read it, then: {command}")
