"""Rows for the command line from a pipe as from a file."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt._files import atomic_write
from nasrec_opt.errors import DataError, StudyError
from nasrec_opt.serving._base import RowPredictor

STDIN = Path("-")
COLUMN = "probability"


def predict_path(predictor: RowPredictor, source: Path) -> npt.NDArray[np.float64]:
    """Predict the rows of a file, a pipe, or standard input.

    Args:
        predictor: The model.
        source: The file; `-` is standard input.

    Returns:
        Probabilities, `[rows]`.

    Raises:
        DataError: One sentence with file, row, field, what was expected and what was found.
    """
    if source != STDIN and (source.is_file() or source.is_dir() or not source.exists()):
        return predictor.predict_file(source)
    with tempfile.TemporaryDirectory() as folder:  # a file is read twice, a pipe cannot be
        copy = Path(folder) / "rows"
        with copy.open("wb") as stream:
            if source == STDIN:
                shutil.copyfileobj(sys.stdin.buffer, stream)
            else:
                with source.open("rb") as pipe:
                    shutil.copyfileobj(pipe, stream)
        try:
            return predictor.predict_file(copy)
        except DataError as error:
            name = "standard input" if source == STDIN else str(source)
            raise DataError(str(error).replace(str(copy), name)) from error


def check_out(out: Path | None) -> None:
    """Check the file that probabilities are written to.

    Args:
        out: The file, or None for standard output.

    Raises:
        StudyError: Its ending is unknown.
    """
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise StudyError(f"--out: expected a file that ends in .csv or .parquet, got {out}")


def write_probabilities(probabilities: npt.NDArray[np.float64], out: Path | None) -> None:
    """Write probabilities as a column, one a row.

    Args:
        probabilities: `[rows]`.
        out: A .csv or .parquet file, or None for CSV on standard output.
    """
    frame = pl.DataFrame({COLUMN: probabilities})
    if out is None:
        sys.stdout.write(frame.write_csv())
        return
    with atomic_write(out, "wb") as stream:
        if out.suffix == ".parquet":
            frame.write_parquet(stream)
        else:
            frame.write_csv(stream)
