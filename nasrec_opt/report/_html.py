"""Pieces of the page: tables, rows, numbers."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any


def table(heads: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    body = "".join(rows)
    return (
        f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def row(cells: Sequence[str], kind: str = "", *, last_is_text: bool = False) -> str:
    shown = []
    for i, cell in enumerate(cells):
        is_text = last_is_text and i == len(cells) - 1
        shown.append(f"<td{' class=text' if is_text else ''}>{html.escape(cell)}</td>")
    return f"<tr class='{kind}'>{''.join(shown)}</tr>"


def number(value: Any) -> str:
    """Four digits behind the point below 10, thousands with commas; tiny ones with a power."""
    if value is None:
        return "-"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    if 0 < abs(value) < 5e-4:
        return f"{value:.2g}"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}"
