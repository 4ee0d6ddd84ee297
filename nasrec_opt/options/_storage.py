"""Options of where the study is stored: `[storage]` of a study file."""

from __future__ import annotations

from dataclasses import dataclass

from nasrec_opt._addresses import VARIABLE, require_no_secret
from nasrec_opt.errors import StudyError


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageConfig:
    """Where the Optuna study is; no result depends on it: `[storage]` of a study file.

    Args:
        url: Address of a database that several machines reach, such as
            `postgresql+psycopg://USER@HOST/DATABASE`; `grpc://HOST:PORT` of Optuna's proxy; or
            `journal:///PATH` of a journal file. `${NAME}` in it stands for an environment variable:
            no password is written into a study file (docs/howto/many_machines.md). None means
            `study.db` in the run folder.

    Raises:
        StudyError: The address is none of these, or has a password in it.
    """

    url: str | None = None

    def __post_init__(self) -> None:
        if self.url is None:
            return
        require_no_secret("url", self.url)
        scheme, separator, rest = self.url.partition("://")
        is_good = bool(separator and rest) or VARIABLE.fullmatch(self.url)
        if not is_good or scheme.startswith("sqlite"):
            raise StudyError(
                "url: expected a database that several machines reach, such as "
                "'postgresql+psycopg://user@host/database', 'grpc://host:port' or "
                f"'journal:///path', or no url for SQLite in the run folder, got {self.url!r}"
            )
