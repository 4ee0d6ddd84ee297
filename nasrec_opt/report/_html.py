"""A self-contained page: Jinja2 templates, with every text escaped, and their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table on a page.

    Args:
        cells: Its texts.
        kind: `best`, `base` for the row that others are compared with, or empty.
        link: Target of a link in the first cell, or empty.
    """

    cells: Sequence[str]
    kind: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a page.

    Args:
        heads: Headings of the columns.
        rows: Rows in order.
        last_is_text: Whether the last column holds words, which may wrap.
    """

    heads: Sequence[str]
    rows: Sequence[Row]
    last_is_text: bool = False


def render(template: str, **values: Any) -> str:
    """Fill a template of `templates/`; the page loads nothing from the network.

    Args:
        template: Name of the file.
        **values: Values of its names; a missing one is an error.
    """
    return _templates().get_template(template).render(**values)


def number(value: Any) -> str:
    """Format a number: four decimals below 10, commas for thousands, a power for tiny numbers."""
    if value is None:
        return "-"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    if 0 < abs(value) < 5e-4:
        return f"{value:.2g}"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}"


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("nasrec_opt.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {"plotly_js": get_plotlyjs, "interactive": _interactive}
    return templates


def _interactive(figure: go.Figure, name: str) -> str:
    """A figure as an element of a page that has plotly's script."""
    drawn: str = figure.to_html(
        full_html=False, include_plotlyjs=False, div_id=name, config={"displaylogo": False}
    )
    return drawn
