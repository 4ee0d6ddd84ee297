"""Gender and age of users, joined to a log by the user's id."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import polars as pl

from nasrec_opt.data._schema import PROFILE
from nasrec_opt.errors import DataError

FILE = "users.parquet"  # in the folder of a dataset or of a preprocessor
UNKNOWN = "0"  # gender and age of a user without a profile, as published
FEW = 32  # users that Python finds in less time than calls of polars take
INTEGER = re.compile(r"[+-]?[0-9]{1,300}")
_COLUMNS = {"user": pl.Int64} | dict.fromkeys(PROFILE, pl.Int32)


def require_profiles(source: Path | str) -> None:
    """Refuse a file that is not there, before anything is read.

    Raises:
        DataError: There is none.
    """
    if not Path(source).is_file():
        raise DataError(f"{source}: expected a file of user profiles, found nothing there")


class Profiles:
    """Gender and age by user.

    Args:
        table: Columns `user`, `gender` and `age`, integers; each user once, ascending.
    """

    def __init__(self, table: pl.DataFrame) -> None:
        self._table = table
        self._users = table["user"].to_numpy()

    @classmethod
    def read(cls, source: Path | str) -> Profiles:
        """Read a file such as KDD Cup's `userid_profile.txt`.

        Args:
            source: Tab-separated, no header: user, gender, age. Of a user that is there twice the
                last line counts.

        Raises:
            DataError: The file is missing, or a line is not three integers.
        """
        require_profiles(source)
        try:
            table = pl.read_csv(source, separator="\t", has_header=False, schema=_COLUMNS)
        except pl.exceptions.PolarsError as error:
            reason = str(error).splitlines()[0]
            raise DataError(
                f"{source}: expected lines of user, gender and age, integers separated by tab, "
                f"got: {reason}"
            ) from error
        empty = table.select(pl.any_horizontal(pl.all().is_null())).to_series()
        if empty.any():
            row = (empty.arg_max() or 0) + 1
            raise DataError(f"{source}:{row}: expected user, gender and age, got an empty field")
        return cls(table.unique("user", keep="last").sort("user"))

    @classmethod
    def load(cls, folder: Path) -> Profiles:
        """Inverse of `save`.

        Raises:
            DataError: The file is missing or damaged.
        """
        try:
            return cls(pl.read_parquet(folder / FILE, columns=list(_COLUMNS)))
        except (OSError, pl.exceptions.PolarsError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(f"{folder / FILE}: expected user profiles, got: {reason}") from error

    def save(self, folder: Path) -> None:
        """Write them into a folder."""
        self._table.write_parquet(folder / FILE)

    def columns(self, users: pl.Series) -> list[pl.Series]:
        """Gender and age of users as text; `0` for a user without a profile.

        Args:
            users: Ids as text, with nulls.
        """
        if len(users) <= FEW:
            return self._of_few(users.to_list())
        ids = users.cast(pl.Int64, strict=False)
        wanted = ids.fill_null(-1).to_numpy()
        place = np.minimum(np.searchsorted(self._users, wanted), max(len(self._users) - 1, 0))
        if not len(self._users):
            return [pl.repeat(UNKNOWN, len(users), eager=True).alias(name) for name in PROFILE]
        is_known = pl.Series(self._users[place] == wanted) & ids.is_not_null()
        rest = pl.repeat(UNKNOWN, len(users), eager=True)
        return [
            self._table[name][place].cast(pl.String).zip_with(is_known, rest).alias(name)
            for name in PROFILE
        ]

    def _of_few(self, users: list[str | None]) -> list[pl.Series]:
        """The same, user by user, which takes a tenth of the time."""
        places: list[int | None] = []
        for user in users:
            number = int(user) if user and INTEGER.fullmatch(user) else 2**63
            place = int(self._users.searchsorted(number)) if abs(number) < 2**63 else None
            if place is not None and (place == len(self._users) or self._users[place] != number):
                place = None
            places.append(place)
        return [
            pl.Series(
                name,
                [UNKNOWN if at is None else str(column[at]) for at in places],
                dtype=pl.String,
            )
            for name, column in ((name, self._table[name]) for name in PROFILE)
        ]

    def digest(self) -> str:
        """SHA-256 of the table."""
        found = hashlib.sha256()
        for name in _COLUMNS:
            found.update(self._table[name].to_numpy().tobytes())
        return found.hexdigest()
