"""Small plots of one column as shapes, which a template draws as SVG: they need no script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from nasrec_opt.inspection import Bar, ValueFigures, percent, sum_of_weights

MOST_BARS = 12
WIDTH, ROW, MARGIN = 440, 17, 8  # pixels
LABEL, COUNT, RATE = 116, 108, 54  # widths of the texts beside the bars
PLOT = 230  # height of the other plots
LEFT, BOTTOM = 46, 34  # of their axes
LONGEST = 15  # characters of a label


@dataclass(slots=True)
class Shape:
    """A rectangle, a line or a text; what it does not use stays empty.

    Args:
        kind: `rect`, `line`, `path` or `text`.
        style: Class in the style sheet.
        at: Numbers: x, y, width, height of a rectangle; x1, y1, x2, y2 of a line; x, y of a text.
        text: The text, the path, or what a rectangle says when it is pointed at.
    """

    kind: str
    style: str
    at: tuple[float, ...] = ()
    text: str = ""


@dataclass(slots=True)
class Plot:
    """A plot of one column.

    Args:
        title: Its heading.
        height: Its height; its width is `WIDTH`.
        shapes: What is drawn, in order.
    """

    title: str
    height: float
    shapes: list[Shape] = field(default_factory=list)
    width: int = WIDTH


def in_digits(value: float, digits: int = 4) -> str:
    """Write a number with so many digits, and without an exponent where it is not needed."""
    if abs(value) >= 1e7 or 0 < abs(value) < 1e-3:
        return f"{value:.3g}"
    if value == round(value):
        return f"{value:,.0f}"
    return f"{float(f'{value:.{digits}g}'):,.{digits}g}" if abs(value) < 100 else f"{value:,.0f}"


def rates(values: Sequence[ValueFigures | Bar], missing: ValueFigures | None, rate: float) -> Plot:
    """Draw click rates, a bar for each value or range, with intervals of 95 %.

    Args:
        values: The values, the most frequent first; or ranges of numbers, ascending.
        missing: Rows without a value.
        rate: The click rate of all rows, a line.
    """
    shown = [(_name(value), value) for value in _fewer(values)]
    if missing is not None and missing.rows:
        shown.append(("missing", missing))
    ends = [_interval(value.click_rate, value.rows) for _, value in shown]
    # An interval of few rows may be longer than the plot; it is cut.
    most = 1.25 * max([rate, *(value.click_rate for _, value in shown)])
    scale = (WIDTH - LABEL - COUNT - 2 * MARGIN) / most if most else 0.0
    plot = Plot("Click rate by value", ROW * len(shown) + 30)
    for place, ((name, value), (low, high)) in enumerate(zip(shown, ends, strict=True)):
        y, x = place * ROW + 4, LABEL + MARGIN
        middle = y + ROW / 2 - 1
        said = (
            f"{name}: {percent(value.click_rate)} of {value.rows:,} rows clicked, with 95 % "
            f"confidence {percent(low)} to {percent(high)}"
        )
        high = min(high, most)
        style = "none" if name == "missing" else "bar"
        plot.shapes += [
            Shape("text", "label", (LABEL, middle + 4), _short(name)),
            Shape("rect", style, (x, y, value.click_rate * scale, ROW - 4), said),
            Shape(
                "line", "whisker", (x + low * scale, middle, x + min(high, most) * scale, middle)
            ),
            Shape("text", "count", (WIDTH - COUNT + RATE, middle + 4), f"{value.click_rate:.1%}"),
            Shape("text", "count", (WIDTH, middle + 4), f"{value.rows:,}"),
        ]
    line, bottom = LABEL + MARGIN + rate * scale, ROW * len(shown) + 6
    plot.shapes += [
        Shape("line", "rate", (line, 0, line, bottom)),
        Shape("text", "tick", (line, bottom + 14), f"all rows: {percent(rate)}"),
        Shape("text", "count", (WIDTH - COUNT + RATE, bottom + 14), "rate"),
        Shape("text", "count", (WIDTH, bottom + 14), "rows"),
    ]
    return plot


def curve(points: Sequence[tuple[int, int]]) -> Plot:
    """Draw how often values occur, the most frequent first, both axes logarithmic.

    Args:
        points: Rank and number of rows.
    """
    plot = Plot("Training rows of a value, by its rank", PLOT)
    if not points:
        return plot
    across, up = max(math.log10(points[-1][0]), 1e-9), max(math.log10(points[0][1]), 1e-9)
    wide, high = WIDTH - LEFT - MARGIN, PLOT - BOTTOM - MARGIN

    def place(rank: float, rows: float) -> tuple[float, float]:
        x = LEFT + wide * math.log10(rank) / across
        return x, MARGIN + high * (1 - math.log10(rows) / up)

    for power in range(math.floor(across + 1e-6) + 1):
        x, _ = place(10**power, 1)
        if x <= WIDTH:
            plot.shapes.append(Shape("line", "grid", (x, MARGIN, x, MARGIN + high)))
            plot.shapes.append(Shape("text", "tick", (x, PLOT - BOTTOM + 14), f"{10**power:,}"))
    for power in range(math.floor(up + 1e-6) + 1):
        _, y = place(1, 10**power)
        plot.shapes.append(Shape("line", "grid", (LEFT, y, WIDTH - MARGIN, y)))
        plot.shapes.append(Shape("text", "label", (LEFT - 6, y + 4), _thousands(10**power)))
    places = [place(max(rank, 1), max(rows, 1)) for rank, rows in points]
    path = "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in places)
    plot.shapes.append(Shape("path", "curve", text=path))
    for (x, y), (rank, rows) in zip(places, points, strict=True):
        said = f"value {rank:,} by frequency: {rows:,} rows"
        plot.shapes.append(Shape("rect", "dot", (x - 3, y - 3, 6, 6), said))
    plot.shapes.append(Shape("text", "tick", (LEFT + wide / 2, PLOT - 2), "rank of the value"))
    return plot


def histogram(bars: Sequence[Bar]) -> Plot:
    """Draw how often numbers occur; the axis has the scale that models read.

    Args:
        bars: Ranges of numbers, ascending.
    """
    plot = Plot("Numbers, on the scale that models read", PLOT)
    if not bars:
        return plot
    most = max(bar.rows for bar in bars)
    total = sum(bar.rows for bar in bars)
    wide, high = (WIDTH - 2 * MARGIN) / len(bars), PLOT - BOTTOM - MARGIN
    for place, bar in enumerate(bars):
        tall = high * bar.rows / most
        said = f"{_name(bar)}: {percent(bar.rows / total)} of the rows"
        x = MARGIN + place * wide
        plot.shapes.append(
            Shape("rect", "bar", (x, MARGIN + high - tall, max(wide - 1, 1), tall), said)
        )
    bottom = MARGIN + high
    plot.shapes.append(Shape("line", "axis", (MARGIN, bottom, WIDTH - MARGIN, bottom)))
    for place in range(0, len(bars) + 1, max(len(bars) // 5, 1)):
        value = bars[place].low if place < len(bars) else bars[-1].high
        style = "tick" if 0 < place < len(bars) else ("tick first" if not place else "tick last")
        x = MARGIN + place * wide
        plot.shapes.append(Shape("text", style, (x, bottom + 15), in_digits(value, 2)))
    return plot


def _fewer(values: Sequence[ValueFigures | Bar]) -> Sequence[ValueFigures | Bar]:
    """The most frequent values; neighbouring ranges are joined."""
    if not values or isinstance(values[0], ValueFigures):
        return values[:MOST_BARS]
    bars = [bar for bar in values if isinstance(bar, Bar)]
    size = -(-len(bars) // MOST_BARS)
    groups = [bars[first : first + size] for first in range(0, len(bars), size)]
    return [
        Bar(
            low=group[0].low,
            high=group[-1].high,
            rows=sum(bar.rows for bar in group),
            clicks=sum(bar.clicks for bar in group),
            weights=sum_of_weights([bar.weights for bar in group]),
        )
        for group in groups
    ]


def _name(value: ValueFigures | Bar) -> str:
    if isinstance(value, ValueFigures):
        return value.value
    low, high = in_digits(value.low), in_digits(value.high)
    return low if low == high else f"{low} to {high}"


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _thousands(count: int) -> str:
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count // size}{letter}"
    return str(count)


def _interval(share: float, rows: int) -> tuple[float, float]:
    """Wilson's interval of 95 % of a share."""
    if not rows:
        return 0.0, 1.0
    z = 1.96
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + (z / (2 * rows)) ** 2)
    return max(middle - half, 0.0), min(middle + half, 1.0)
