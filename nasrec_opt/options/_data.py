"""Options of the log and of the accelerator: `[data]` and `[hardware]` of a study file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nasrec_opt._settings import check_at_least
from nasrec_opt.errors import StudyError

FORMATS = ("criteo", "avazu", "kdd2012")  # logs that need no schema file
Layout = Literal["default", "published"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Which log, and how it is read: `[data]` of a study file.

    Args:
        source: The click log: a file, a folder of files, a pattern such as `day_*.csv`, or a list
            of these (docs/howto/your_own_log.md); or a dataset that is prepared already. None means
            the synthetic log, unless `--data` names one.
        format: `criteo`, `avazu`, `kdd2012`, or the path of a schema TOML
            (docs/howto/your_own_log.md).
        layout: Columns of a public log: `default`, or `published` for those of the paper's code.
        users: File of user profiles, `userid_profile.txt` of KDD Cup 2012. None means that gender
            and age are left out.
        count: What becomes of a line of KDD Cup 2012, which counts several shows: a row (`line`),
            a row for each show (`impression`), or a row for all clicks and one for all others, with
            their numbers as weights (`weight`). None means a row.
        split_seed: Seed of the 80/10/10 split.
        min_count: Values that occur less often in the training rows share the id of rare values.
            None means the log's.
        max_values: Most values of a column that have an id of their own, the most frequent ones;
            all others share the id of rare values. None means any number.
        binned_dense: Whether dense columns are also read as categories floor(log(x + 1)^2); this
            helps on small logs.
        synthetic_rows: Rows of the synthetic log.
        synthetic_seed: Seed of the synthetic log.

    Raises:
        StudyError: A number is too small, a list is empty, or an option does not belong to the
            format.
    """

    source: Path | tuple[Path, ...] | None = None
    format: str = "criteo"
    layout: Layout = "default"
    users: Path | None = None
    count: Literal["line", "impression", "weight"] | None = None
    split_seed: int = 0
    min_count: int | None = None
    max_values: int | None = None
    binned_dense: bool = False
    synthetic_rows: int = 120_000
    synthetic_seed: int = 0

    def __post_init__(self) -> None:
        if self.source == ():
            raise StudyError("source: expected at least one file, got an empty list")
        if self.min_count is not None:
            check_at_least("min_count", self.min_count, 1)
        if self.max_values is not None:
            check_at_least("max_values", self.max_values, 1)
        if self.format not in FORMATS and (self.layout != "default" or self.count):
            name = "count" if self.count else "layout"
            raise StudyError(f"{name}: expected it with one of {', '.join(FORMATS)}, got a schema")
        if self.count and self.format != "kdd2012":
            raise StudyError(f"count: expected it with kdd2012, got it with {self.format}")
        if self.users is not None and self.format in FORMATS and self.format != "kdd2012":
            expected = "it with kdd2012 or a schema"
            raise StudyError(f"users: expected {expected}, got it with {self.format}")
        check_at_least("synthetic_rows", self.synthetic_rows, 100)
        check_at_least("split_seed", self.split_seed, 0)
        check_at_least("synthetic_seed", self.synthetic_seed, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareConfig:
    """The accelerator: `[hardware]` of a study file.

    Args:
        technology: Technology TOML of a ReRAM, RecNMP or CPU accelerator, or the name of one that
            ships: `cpu.toml` for a server's processor, `recnmp.toml`, `handcrafted.toml`,
            `mnsim_2_0.toml` (docs/reference/hw_model.md). None means ISAAC, 32 nm.
    """

    technology: Path | None = None
