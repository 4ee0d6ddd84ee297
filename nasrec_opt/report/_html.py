"""A self-contained page and its pieces: figures, tables, rows, numbers."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

STYLE = """
:root { color-scheme: light; --line: #dfe3e8; --soft: #f6f8fa; --text: #1b1f24; --mute: #59636e; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 2rem 1.5rem 4rem; color: var(--text);
  background: #fff; font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.9rem; margin: 0 0 .3rem; } h2 { font-size: 1.25rem; margin: 2.6rem 0 .4rem; }
p { margin: .3rem 0 .8rem; } .lead { font-size: 1.08rem; } .mute { color: var(--mute); }
.cards { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
.card { border: 1px solid var(--line); border-radius: 10px; padding: .7rem 1rem; min-width: 9.5rem;
  background: var(--soft); } .card b { display: block; font-size: 1.35rem; }
.card { max-width: 16rem; } .card span { color: var(--mute); font-size: .86rem; }
.verdict { border-left: 4px solid #2e7d4f; background: #eef7ee; padding: .6rem .9rem; }
.verdict.behind { border-color: #b3261e; background: #fdf0ef; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { padding: .42rem .6rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
td.text { white-space: normal; min-width: 16rem; color: var(--mute); font-size: .82rem; }
thead th { background: var(--soft); position: sticky; top: 0; white-space: normal; }
.facts td.text { min-width: 0; overflow-wrap: anywhere; }
tr.best td { background: #eef7ee; font-weight: 600; } tr.base td { color: var(--mute); }
.models { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(430px, 100%), 1fr));
  gap: 1rem; }
figure { margin: 0; border: 1px solid var(--line); border-radius: 10px; padding: .6rem; }
figure svg { width: 100%; height: auto; } figcaption { font-size: .9rem; padding: .2rem .4rem; }
@media print { body { max-width: none; padding: 0; } h2 { break-after: avoid; } }
"""


def page(title: str, body: str) -> str:
    """A whole page; it asks nothing of the network."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{html.escape(title)} - nasrec-opt</title>
<style>{STYLE}</style>
<script>{get_plotlyjs()}</script>
</head>
<body>
{body}
</body>
</html>
"""


def figure_section(heading: str, text: str, figure: go.Figure | None, name: str) -> str:
    """An interactive figure under its heading; an empty text for None."""
    if figure is None:
        return ""
    drawn = figure.to_html(
        full_html=False, include_plotlyjs=False, div_id=name, config={"displaylogo": False}
    )
    return (f"<h2>{heading}</h2>" if heading else "") + (f"<p>{text}</p>" if text else "") + drawn


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
