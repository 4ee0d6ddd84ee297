"""URLs of SQLite files, which SQLAlchemy, Optuna and MLflow each read differently.

A plain `sqlite:///path` fails for some names: `?` begins SQLAlchemy's query, `%41` is decoded since
SQLAlchemy 2.1, Optuna formats `{…}`, and MLflow creates the parent folder of whatever follows
`sqlite:///`. Such paths become a percent-encoded SQLite URI, which all three pass on. The URL names
the driver, so that MLflow creates no folder.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from urllib.parse import quote, unquote

_TROUBLE = re.compile(r"[?%{}\x00-\x1f\x7f]")
_MEMORY = ("", ":memory:")


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file, as Optuna, its dashboard and MLflow accept it.

    Args:
        path: Any path in UTF-8; it need not exist.

    Example:
        >>> sqlite_url(Path("runs/quickstart/study.db"))
        'sqlite:///runs/quickstart/study.db'
    """
    if not _TROUBLE.search(str(path)):
        return f"sqlite:///{path}"
    name = quote(str(path))
    if _decodes_paths():
        name = quote(name)
    return f"sqlite+pysqlite:///file:{name}?uri=true"


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite URL, or None for another database and for one in memory."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    if not url.startswith("sqlite"):
        return None
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    name = parsed.database or ""
    if parsed.get_backend_name() != "sqlite" or name in _MEMORY:
        return None
    if parsed.query.get("uri") == "true":
        name = unquote(name.removeprefix("file:"))
    return Path(name)


@cache
def _decodes_paths() -> bool:
    """Whether SQLAlchemy decodes `%41` in a path, as it does since 2.1."""
    from sqlalchemy.engine import make_url

    return make_url("sqlite:///%41").database == "A"
