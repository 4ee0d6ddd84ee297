"""Click logs of any size in the raw formats, with known click probabilities.

A log is drawn in chunks and written as it is drawn, so memory grows with none of its sizes but the
number of users that a log of KDD Cup 2012 has. Every row is a function of the seed and its number:
threads and chunks change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from nasrec_opt._files import atomic_directory, write_json
from nasrec_opt.data._arrays import ArrayFile
from nasrec_opt.data._avazu_like import AVAZU
from nasrec_opt.data._bayes_metrics import TRUTH, BayesMetrics
from nasrec_opt.data._criteo_like import CRITEO
from nasrec_opt.data._in_order import in_order
from nasrec_opt.data._kdd2012_like import KDD2012
from nasrec_opt.data._log_files import FileFormat, SeenUsers, file_name, open_log
from nasrec_opt.data._log_layout import MISSING, Draw, GeneratedRows
from nasrec_opt.data._log_source import LogOdds, Source
from nasrec_opt.data._split import SPLITS
from nasrec_opt.errors import DataError
from nasrec_opt.features import FeatureSpec

LogKind = Literal["criteo", "avazu", "kdd2012"]
VocabularyKind = Literal["realistic", "small"]
Progress = Callable[[int, int | None], None]

LAYOUTS = {layout.name: layout for layout in (CRITEO, AVAZU, KDD2012)}
PROBABILITIES = "probabilities.npy"
CHUNK_ROWS = 32_768


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedLog:
    """A log that `generate_log` wrote.

    Args:
        file: The log.
        users: Its file of users, or None.
        probabilities: The true click probability of each row, float64 `[rows]`, a .npy file.
        metrics: What a model that knows the true probabilities reaches, for `all` rows and for each
            split of `split_seed`: `shows`, `clicks`, `click_rate`, `bayes_log_loss`, `bayes_auc`,
            and `constant_log_loss`, that of the click rate. A split without rows has None.
        line_metrics: The same for the label "clicked at least once" of each line, where a line
            counts several shows, or None.
    """

    file: Path
    users: Path | None
    probabilities: Path
    metrics: dict[str, dict[str, float | None]]
    line_metrics: dict[str, dict[str, float | None]] | None


def generate_log(
    out: Path | str,
    *,
    like: LogKind,
    rows: int,
    seed: int = 0,
    vocabulary: VocabularyKind = "realistic",
    drift: float = 0.0,
    log_odds: LogOdds | None = None,
    signal: float = 1.5,
    file_format: FileFormat = "text",
    split_seed: int = 0,
    progress: Progress | None = None,
    chunk_rows: int = CHUNK_ROWS,
    annotate: Callable[[Path], None] | None = None,
) -> GeneratedLog:
    r"""Write a click log with known click probabilities, in the raw format of a public one.

    The folder also has `probabilities.npy` and `truth.json`, the options and the metrics. A log of
    KDD Cup 2012 has `userid_profile.txt` with the users that occur.

    Args:
        out: A new folder; it appears when it is complete.
        like: `criteo`, `avazu` or `kdd2012`.
        rows: Rows, 1 or more. Those of Criteo and KDD without a drift begin every longer log.
        seed: Of everything but the split, 0 or more.
        vocabulary: `realistic`: distinct values grow with the rows as in the public log; `small`:
            300 values a column at most, so that 100,000 rows suffice to learn most of them.
        drift: How far the log moves from its first row to its end, 0 to 1: the share of each
            value's rows that go to other values, and how far effects turn into others.
        log_odds: What clicks depend on, instead of planted interactions; called with rows from two
            threads. Its values are shifted to the click rate of the public log and scaled.
        signal: Standard deviation of the scaled log odds of `log_odds`.
        file_format: `text`, `gz` or `zst` (compressed text), or `parquet`.
        split_seed: Of the splits whose metrics are reported, as in `prepare`.
        progress: Called with (rows done, rows).
        chunk_rows: Rows in memory at a time; it changes no row.
        annotate: Called with the folder before it appears.

    Returns:
        Where the files are, and the metrics.

    Raises:
        DataError: An option is out of range, `out` exists, or `log_odds` gives something else than
            a finite number for each row, or the same for all.

    Example:
        >>> from nasrec_opt.data import generate_log
        >>> log = generate_log("criteo-like", like="criteo", rows=2000)
        >>> log.file.name
        'train.txt'
        >>> len(log.file.read_text().splitlines()[0].split("\t"))
        40
    """
    _check(like, rows, seed, vocabulary, drift, signal, file_format, split_seed, chunk_rows)
    out = Path(out)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DataError(f"{out}: expected a new folder, found something there")
    layout = LAYOUTS[like]
    source = Source(
        layout,
        rows=rows,
        seed=seed,
        drift=drift,
        is_small=vocabulary == "small",
        log_odds=log_odds,
        signal=signal,
        split_seed=split_seed,
    )
    options: dict[str, str] = {"like": like, "vocabulary": vocabulary}
    options |= {"log_odds": "planted" if log_odds is None else "given"}
    numbers = {"rows": rows, "seed": seed, "drift": drift, "split_seed": split_seed}
    numbers |= {} if log_odds is None else {"signal": signal}
    with atomic_directory(out) as folder:
        name, metrics, lines = _write(folder, source, file_format, chunk_rows, progress)
        found: dict[str, Any] = {"metrics": metrics, "line_metrics": lines}
        write_json(folder / TRUTH, options | numbers | {"file": name} | found)
        if annotate is not None:
            annotate(folder)
    users = None if layout.users is None else out / layout.users.file
    return GeneratedLog(file=out / name, users=users, probabilities=out / PROBABILITIES, **found)


def generated_features(like: LogKind, vocabulary: VocabularyKind = "realistic") -> FeatureSpec:
    """The shape of `model_inputs`.

    Args:
        like: As in `generate_log`.
        vocabulary: As in `generate_log`.

    Returns:
        Numeric columns, and for each categorical one the size of its vocabulary and the missing
        value.

    Raises:
        DataError: An option is not one of those of `generate_log`.
    """
    _check_choice("like", like, LogKind)
    _check_choice("vocabulary", vocabulary, VocabularyKind)
    layout = LAYOUTS[like]
    draw = Draw(layout, seed=0, rows=1, drift=0.0, is_small=vocabulary == "small")
    return FeatureSpec(len(layout.dense), tuple(p.num_values + 1 for p in draw.popularity))


def model_inputs(
    like: LogKind, rows: GeneratedRows
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Rows as a model of a prepared dataset reads them, for a `log_odds` that is a model.

    Args:
        like: As in `generate_log`.
        rows: What `log_odds` is given.

    Returns:
        Numbers as log(x + c), 0 where they are missing, `[rows, num_dense]`; and ids from 1 by
        falling popularity, 0 where a value is missing, `[rows, num_sparse]`.
    """
    least = np.array(LAYOUTS[like].least, np.float64).reshape(-1, 1)
    dense = np.log(rows.dense - least + 1)
    return np.nan_to_num(dense.T.astype(np.float32)), rows.sparse.T - MISSING


def _write(
    folder: Path,
    source: Source,
    file_format: FileFormat,
    chunk_rows: int,
    progress: Progress | None,
) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
    """Write all files but the metrics; returns the log's name and the metrics."""
    layout = source.layout
    name = file_name(layout, file_format)
    metrics = {split: BayesMetrics() for split in SPLITS}
    lines = {split: BayesMetrics() for split in SPLITS}
    seen = SeenUsers(layout.users, source.draw) if layout.users else None
    with ExitStack() as stack:
        write = stack.enter_context(open_log(folder / name, layout, file_format))
        probabilities = stack.enter_context(
            ArrayFile(folder / PROBABILITIES, np.float64, (source.rows,))
        )
        done = 0
        is_text = file_format != "parquet"
        chunks = in_order(
            lambda first: source.chunk(
                first, min(chunk_rows, source.rows - first), is_text=is_text
            ),
            range(0, source.rows, chunk_rows),
        )
        for chunk in chunks:
            write(chunk.data)
            probabilities.append(chunk.probabilities)
            for i, split in enumerate(SPLITS):
                metrics[split].merge(chunk.metrics[i])
                lines[split].merge(chunk.lines[i])
            if seen is not None and chunk.users is not None:
                seen.add(chunk.users)
            done += chunk.rows
            if progress is not None:
                progress(done, source.rows)
    if seen is not None:
        seen.write(folder)
    return name, _with_all(metrics), None if layout.shows is None else _with_all(lines)


def _with_all(metrics: dict[str, BayesMetrics]) -> dict[str, Any]:
    whole = BayesMetrics()
    for of_split in metrics.values():
        whole.merge(of_split)
    return {name: found.to_dict() for name, found in ({"all": whole} | metrics).items()}


def _check(
    like: str,
    rows: int,
    seed: int,
    vocabulary: str,
    drift: float,
    signal: float,
    file_format: str,
    split_seed: int,
    chunk_rows: int,
) -> None:
    _check_choice("like", like, LogKind)
    _check_choice("vocabulary", vocabulary, VocabularyKind)
    _check_choice("file_format", file_format, FileFormat)
    least = {"rows": (rows, 1), "seed": (seed, 0), "split_seed": (split_seed, 0)}
    for name, (value, smallest) in (least | {"chunk_rows": (chunk_rows, 1)}).items():
        if value < smallest:
            raise DataError(f"{name}: expected {smallest} or more, got {value}")
    if not 0 <= drift <= 1:
        raise DataError(f"drift: expected 0 to 1, got {drift}")
    if not 0 < signal < 20:
        raise DataError(f"signal: expected more than 0 and less than 20, got {signal}")


def _check_choice(name: str, value: str, choices: Any) -> None:
    known = get_args(choices)
    if value not in known:
        raise DataError(f"{name}: expected one of {', '.join(known)}, got {value!r}")
