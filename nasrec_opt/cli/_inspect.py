"""The command that looks at a prepared log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from nasrec_opt.errors import DataError


def inspect(
    dataset: Annotated[
        Path, typer.Argument(metavar="DATASET", help="The folder that prepare wrote.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page with plots as well."),
    ] = None,
    min_count: Annotated[
        int, typer.Option(min=1, help="Read values of fewer training rows as one rare value.")
    ] = 1,
    users: Annotated[
        list[str] | None,
        typer.Option(
            "--users",
            metavar="COLUMN",
            help="A column of users; may be given several times (default: by its name).",
        ),
    ] = None,
) -> None:
    """Print what a dataset holds, and warn of what will hurt: leaks, copies, drift, ids."""
    from nasrec_opt.data import Dataset
    from nasrec_opt.inspection import inspect_dataset
    from nasrec_opt.pipeline import ConsoleReporter, print_inspection

    if html is not None and (html.is_dir() or html.suffix.lower() not in (".html", ".htm")):
        raise DataError(f"{html}: expected a file name that ends in .html")
    opened = Dataset.open(dataset, min_count=min_count)
    with ConsoleReporter() as reporter:
        reporter.begin("inspect", str(dataset))
        found = inspect_dataset(opened, users=users, progress=reporter.advance)
    if html is not None:
        from nasrec_opt.report import write_inspection

        write_inspection(html, found)
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
        return
    print_inspection(found)
    if html is not None:
        print(html)
