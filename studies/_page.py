"""Tables of a page in docs/ that a script makes anew."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def fill(page: str, tables: Mapping[str, str]) -> str:
    """The page with tables between its marks `<!-- NAME -->` and `<!-- end -->`."""
    for name, table in tables.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        page = re.sub(pattern, partial(_filled, table), page, flags=re.S)
    return page


def _filled(table: str, found: re.Match[str]) -> str:
    return found[1] + table + found[2]
