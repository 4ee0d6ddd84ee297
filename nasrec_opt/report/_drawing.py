"""Drawings of architectures in the manner of the paper's figures 5 to 7.

Blocks form a column from the raw features at the bottom to the logit at the top, with the dense
branch in blue on the left and the sparse branch in red on the right. Parts that cannot reach the
logit are striped and pale. A block without a sparse operator has no red box; its FM comes from the
sparse inputs. A two-input operator that reads one source twice has a bold connection;
otherwise, where the two are not interchangeable, L marks the left and R the right one.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasrec_opt.features import FeatureSpec
from nasrec_opt.report._picture import write_picture
from nasrec_opt.space import (
    FLOAT_BITS,
    OPERATORS,
    ORDERED_OPS,
    BlockGene,
    BlockLiveness,
    Genotype,
    liveness,
    reads,
)

DENSE_FILL, DENSE_EDGE = "#d6e6f7", "#1f5fa8"
SPARSE_FILL, SPARSE_EDGE = "#fadcdc", "#b03030"
DEAD_FILL, DEAD_EDGE = "#f6f6f6", "#b9b9b9"
OTHER_FILL, OTHER_EDGE = "#eeeeee", "#555555"
DENSE_X, SPARSE_X = 3.0, 7.0  # centres of the two columns
BOX_WIDTH, BOX_HEIGHT = 2.3, 0.62
LOGIT_WIDTH = 2.6
ROW = 1.25  # distance between blocks
SOURCE_COLORS = (
    "#333333",
    "#0b7285",
    "#2b8a3e",
    "#e67700",
    "#862e9c",
    "#5c940d",
    "#a61e4d",
    "#364fc7",
)


@dataclass(frozen=True, slots=True)
class _Arrow:
    """A connection between two boxes."""

    start: tuple[float, float]
    end: tuple[float, float]
    color: str
    bend: float = 0.0
    is_bold: bool = False
    label: str = ""  # at its end


def draw(genotype: Genotype, path: Path | str, features: FeatureSpec | None = None) -> None:
    """Draw one architecture into a file.

    Args:
        genotype: The architecture.
        path: The picture; its suffix, `.svg` or `.png`, decides the format.
        features: Shape of the input, for the labels of the raw features.

    Raises:
        StudyError: The suffix is neither `.svg` nor `.png`.
    """
    write_picture(path, lambda kind: _render(genotype, kind, features))


def drawing_svg(genotype: Genotype, features: FeatureSpec | None = None) -> str:
    """The drawing as an SVG element for a page."""
    text = _render(genotype, "svg", features).decode()
    return text[text.index("<svg") :]


def _render(genotype: Genotype, kind: str, features: FeatureSpec | None) -> bytes:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lives = liveness(genotype)
    height = (genotype.num_blocks + 2) * ROW
    figure = Figure(figsize=(7.8, 0.72 * height))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-1.0, 10.2)
    axes.set_ylim(-0.6, height - 0.7)
    axes.axis("off")
    for number, live in enumerate(lives, start=1):
        _draw_connections(axes, genotype.blocks[number - 1], live, number)
    _draw_inputs(axes, features)
    for number, live in enumerate(lives, start=1):
        _draw_block(axes, genotype.blocks[number - 1], live, number)
    _draw_logit(axes, genotype.num_blocks, has_sparse=bool(lives[-1].sparse_out))
    if genotype.wide:
        _draw_first_order(axes, genotype.num_blocks)
    stream = io.BytesIO()
    # Text stays text, and identifiers do not change from one drawing to the next.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": genotype.to_json()}):
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(stream, format=kind, dpi=160, metadata=metadata)
    return stream.getvalue()


def _y(number: int) -> float:
    return number * ROW


def _box(axes: Any, x: float, y: float, text: str, fill: str, edge: str, **options: Any) -> None:
    from matplotlib.patches import FancyBboxPatch

    width = options.pop("width", BOX_WIDTH)
    is_dead = options.pop("is_dead", False)
    patch = FancyBboxPatch(
        (x - width / 2, y - BOX_HEIGHT / 2),
        width,
        BOX_HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.12",
        facecolor=DEAD_FILL if is_dead else fill,
        edgecolor=DEAD_EDGE if is_dead else edge,
        hatch="////" if is_dead else None,
        linewidth=1.2,
        zorder=3,
    )
    axes.add_patch(patch)
    axes.text(
        x,
        y,
        text,
        ha="center",
        va="center",
        fontsize=9,
        color="#8a8a8a" if is_dead else "#111111",
        zorder=4,
    )


def _draw_inputs(axes: Any, features: FeatureSpec | None) -> None:
    dense = "dense features" if features is None else f"{features.num_dense} dense features"
    sparse = "embeddings" if features is None else f"{features.num_sparse} embeddings"
    _box(axes, DENSE_X, _y(0), dense, OTHER_FILL, OTHER_EDGE)
    _box(axes, SPARSE_X, _y(0), sparse, OTHER_FILL, OTHER_EDGE)


def _draw_block(axes: Any, gene: BlockGene, live: BlockLiveness, number: int) -> None:
    axes.text(
        -0.9, _y(number), f"block {number}", ha="left", va="center", fontsize=8, color="#777777"
    )
    dense = (gene.dense_ops, gene.dense_width, gene.dense_bits, live.dense_pre)
    sparse = (gene.sparse_ops, gene.sparse_width, gene.sparse_bits, live.sparse_pre)
    for x, fill, edge, (ops, width, bits, is_live) in (
        (DENSE_X, DENSE_FILL, DENSE_EDGE, dense),
        (SPARSE_X, SPARSE_FILL, SPARSE_EDGE, sparse),
    ):
        if not ops:
            continue
        text = " + ".join(OPERATORS[op].label for op in ops) + f"  {width}"
        if bits != 8:
            text += _bits(bits)
        _box(axes, x, _y(number), text, fill, edge, is_dead=not is_live)


def _draw_logit(axes: Any, count: int, *, has_sparse: bool) -> None:
    y = _y(count + 1)
    middle = (DENSE_X + SPARSE_X) / 2
    outputs = ((DENSE_X, DENSE_EDGE), (SPARSE_X, SPARSE_EDGE))
    for x, color in outputs if has_sparse else outputs[:1]:
        side = -0.6 if x < middle else 0.6
        start = (x, _y(count) + BOX_HEIGHT / 2)
        _arrow(axes, _Arrow(start, (middle + side, y - BOX_HEIGHT / 2), color))
    _box(axes, middle, y, "final FC → logit", OTHER_FILL, OTHER_EDGE, width=LOGIT_WIDTH)


def _draw_first_order(axes: Any, count: int) -> None:
    """The first-order term, beside the final layer whose result it is added to."""
    y, x = _y(count + 1), SPARSE_X + 1.4
    _box(axes, x, y, "first-order weights", OTHER_FILL, OTHER_EDGE, width=2.6)
    start, end = (x - 1.3, y), ((DENSE_X + SPARSE_X) / 2 + LOGIT_WIDTH / 2, y)
    _arrow(axes, _Arrow(start, end, OTHER_EDGE))


def _draw_connections(axes: Any, gene: BlockGene, live: BlockLiveness, number: int) -> None:
    """Draw the inputs of a block's live parts, and its mergers, coloured by source block."""
    y = _y(number)
    if live.dense_pre:
        twice = gene.left_input is not None and gene.left_input == gene.right_input
        two = {i for i in (gene.left_input, gene.right_input) if i is not None}
        for i in sorted({*gene.dense_inputs, *two}):
            is_bold = twice and i == gene.left_input
            label = _side(gene, i)
            _arrow(axes, _same_column(DENSE_X, i, number, is_bold=is_bold, label=label))
        if reads("sparse_inputs", gene.dense_ops):
            for i in gene.sparse_inputs:
                start = (SPARSE_X - BOX_WIDTH / 2, _y(i) + 0.12)
                end = (DENSE_X + BOX_WIDTH / 2 - 0.25, y - BOX_HEIGHT / 2)
                _arrow(axes, _Arrow(start, end, _color(i)))
    if live.sparse_pre:
        for i in gene.sparse_inputs:
            _arrow(axes, _same_column(SPARSE_X, i, number))
    inner_left, inner_right = DENSE_X + BOX_WIDTH / 2, SPARSE_X - BOX_WIDTH / 2
    for used, start_x, end_x, dy, name, color in (
        (live.use_sparse_to_dense, inner_right, inner_left, 0.13, "FM", SPARSE_EDGE),
        (live.use_dense_to_sparse, inner_left, inner_right, -0.13, "D→S", DENSE_EDGE),
    ):
        if used and gene.sparse_ops:
            _arrow(axes, _Arrow((start_x, y + dy), (end_x, y + dy), color, is_bold=True))
        elif used:
            for i in gene.sparse_inputs:
                start = (inner_right, _y(i) + 0.12)
                _arrow(axes, _Arrow(start, (end_x, y + dy), color, is_bold=True))
        if used:
            axes.text(
                (inner_left + inner_right) / 2,
                y + dy * 2.1,
                name,
                ha="center",
                va="center",
                fontsize=7.5,
                color=color,
                zorder=5,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
            )


def _side(gene: BlockGene, source: int) -> str:
    """`L` or `R` for an input of an operator that tells the two apart, such as Gate."""
    if gene.left_input == gene.right_input or ORDERED_OPS.isdisjoint(gene.dense_ops):
        return ""
    return {gene.left_input: "L", gene.right_input: "R"}.get(source, "")


def _same_column(
    x: float, source: int, number: int, *, is_bold: bool = False, label: str = ""
) -> _Arrow:
    """From a block to the next straight up, to a later one around the boxes between."""
    color = _color(source)
    if number == source + 1:
        start, end = (x, _y(source) + BOX_HEIGHT / 2), (x, _y(number) - BOX_HEIGHT / 2)
        return _Arrow(start, end, color, is_bold=is_bold, label=label)
    side = -1 if x < SPARSE_X else 1
    edge = x + side * BOX_WIDTH / 2
    start, end = (edge, _y(source) + 0.1), (edge, _y(number) - 0.05 - 0.06 * (number - source))
    # A longer span bends less per length, so that arcs spread out and do not overlap.
    bend = side * (0.22 + 0.75 / (number - source + 1))
    return _Arrow(start, end, color, bend=bend, is_bold=is_bold, label=label)


def _color(source: int) -> str:
    return SOURCE_COLORS[source % len(SOURCE_COLORS)]


def _arrow(axes: Any, arrow: _Arrow) -> None:
    from matplotlib.patches import FancyArrowPatch

    axes.add_patch(
        FancyArrowPatch(
            arrow.start,
            arrow.end,
            arrowstyle="-|>",
            mutation_scale=9,
            connectionstyle=f"arc3,rad={arrow.bend}",
            color=arrow.color,
            linewidth=2.4 if arrow.is_bold else 1.1,
            shrinkA=0,
            shrinkB=1,
            zorder=2,
        )
    )
    if arrow.label:
        _label(axes, arrow)


def _label(axes: Any, arrow: _Arrow) -> None:
    """The label of a connection at its end, in its colour; L and R never cover each other."""
    x, y = arrow.end
    if arrow.bend:  # from the side
        x, y = x - (0.2 if arrow.label == "L" else 0.48), y + 0.02
    else:  # from below
        x, y = x + 0.2, y - 0.16
    axes.text(
        x,
        y,
        arrow.label,
        ha="center",
        va="center",
        fontsize=7.5,
        fontweight="bold",
        color=arrow.color,
        zorder=5,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.85},
    )


def _bits(bits: int | tuple[int, int]) -> str:
    if bits == FLOAT_BITS:
        return "  float"
    return f"  {bits} bit" if isinstance(bits, int) else f"  w{bits[0]} a{bits[1]}"
