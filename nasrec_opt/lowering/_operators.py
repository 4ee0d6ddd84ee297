"""The parts of each operator: shapes, and which part needs which; for one genotype and for many.

An operator is a function from shapes to its parts, in an order in which they could run. Shapes are
integers, or arrays with an entry for each genotype: every formula works on both. A part that only
some genotypes have says so; in the others, its own inputs take its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nasrec_opt.space import MERGER_VECTORS, attention_heads, balanced_vectors

LAYER_NORM_ADDITIONS, LAYER_NORM_MACS = 3, 3  # per unit: mean, centre, variance, scale, shift
# Inputs of an operator: its dense inputs, its left and right input, its sparse inputs, and others.
DENSE, TWO, SPARSE, OTHER = "<dense>", "<two>", "<sparse>", "<other>"

Count = Any  # an int, or an int64 array `[genotypes]`
Mask = Any  # a bool, or a bool array `[genotypes]`


class Product(NamedTuple):
    """A product of stationary weights with `repeats` vectors; see `hw.MatrixVector`."""

    part: str
    after: tuple[str, ...]
    inputs: Count
    outputs: Count
    repeats: Count = 1
    extra: Count = 0
    paper_macs: Count | None = None
    present: Mask = True


class Work(NamedTuple):
    """Work of the digital unit; see `hw.Digital`."""

    part: str
    after: tuple[str, ...]
    macs: Count = 0
    unit_macs: Count | None = None
    additions: Count = 0
    special: Count = 0
    extra: Count = 0
    present: Mask = True


Parts = tuple[Product | Work, ...]


class Shapes(NamedTuple):
    """The shapes of an operator's inputs and outputs.

    Args:
        dim: Length of an embedding.
        width: Width of the block's dense output.
        vectors: Vectors of the block's sparse output, without those of the merger.
        dense: Width of all dense inputs together.
        sparse: Vectors of all sparse inputs together.
        left: Width of the left input.
        right: Width of the right input.
        balance: Whether dot products project their vectors to a number that fits the width
            (section 4.2), or multiply all of them.
        layer_norm: Whether a layer norm follows each operator; otherwise only a bias its product.
    """

    dim: int
    width: Count
    vectors: Count
    dense: Count = 0
    sparse: Count = 0
    left: Count = 0
    right: Count = 0
    balance: bool = True
    layer_norm: bool = True

    @property
    def vectors_of_norm(self) -> int:
        """Trained vectors after a product: the gain and bias of its layer norm, or its bias."""
        return 2 if self.layer_norm else 1


def fc(s: Shapes) -> Parts:
    """A fully connected layer, with its activation in the norm."""
    n = s.width
    product = Product("", (DENSE,), inputs=s.dense, outputs=n, extra=s.vectors_of_norm * n)
    return product, norm(s, "norm", "", n, additions=n)


def gate(s: Shapes) -> Parts:
    """The left input behind a sigmoid times the right one, projected where the width differs."""
    n, padded = s.width, _larger(s.left, s.right)
    paper_macs = padded * padded
    return (
        Product("", (TWO,), s.left, s.right, extra=s.right, paper_macs=paper_macs),
        Work("multiply", ("",), unit_macs=s.right, special=s.right),
        Product(
            "output", ("multiply",), s.right, n, extra=n, paper_macs=padded * n, present=padded != n
        ),
        norm(s, "norm", "output", n, own_parameters=True, has_bias=False),
    )


def add_two(s: Shapes) -> Parts:
    """Left plus right, projected where the width differs; padded zeros need no addition."""
    n, padded = s.width, _larger(s.left, s.right)
    smaller = s.left + s.right - padded
    return (
        Work("", (TWO,), additions=smaller),
        Product("output", ("",), padded, n, extra=_bias(s), present=padded != n),
        norm(s, "norm", "output", n, own_parameters=True, has_bias=padded != n),
    )


def dot(s: Shapes) -> Parts:
    """Dot products of all pairs of sparse vectors and the dense one: half of a Gram matrix."""
    n, dim, m = s.width, s.dim, s.vectors_of_norm
    k = balanced_vectors(n) if s.balance else s.sparse
    pairs = (k + 1) * k // 2
    has_vector, has_projection = s.dense != dim, s.sparse != k
    return (
        Product("vector", (DENSE,), s.dense, dim, extra=m * dim, present=has_vector),
        norm(s, "vector_norm", "vector", dim, present=has_vector),
        Product("rows", (SPARSE,), s.sparse, k, repeats=dim, extra=m * k, present=has_projection),
        norm(s, "rows_norm", "rows", k * dim, present=has_projection),
        Work("gram", ("vector_norm", "rows_norm"), macs=(k + 1) ** 2 * dim, unit_macs=pairs * dim),
        Product("output", ("gram",), pairs, n, extra=_bias(s), present=pairs != n),
        norm(s, "norm", "output", n, own_parameters=True, has_bias=pairs != n),
    )


def efc(s: Shapes) -> Parts:
    """A fully connected layer over vectors, the same for each of their `dim` components."""
    n = s.vectors
    product = Product("", (SPARSE,), s.sparse, n, repeats=s.dim, extra=s.vectors_of_norm * n)
    return product, norm(s, "norm", "", n * s.dim, additions=n * s.dim)


def attn(s: Shapes) -> Parts:
    """Self-attention over vectors, with its feed-forward part."""
    n, dim = s.vectors, s.dim
    heads = attention_heads(dim)
    units = n * dim
    inside = s._replace(layer_norm=True)  # of the encoder, in models without layer norms as well

    def product(part: str, outputs: int, after: str, extra: int) -> Product:
        return Product(part, (after,), dim, outputs, n, extra=extra)

    return (
        Product("rows", (SPARSE,), s.sparse, n, repeats=dim, extra=s.vectors_of_norm * n),
        norm(s, "rows_norm", "rows", units),
        product("query_key_value", 3 * dim, "rows_norm", 3 * dim),
        Work(
            "scores",
            ("query_key_value",),
            macs=2 * n * n * dim,
            additions=3 * heads * n * n,
            special=heads * n * (n + 1),
        ),
        product("mix", dim, "scores", dim + 2 * dim),
        norm(inside, "norm", "mix", units, additions=units),  # with the residual
        product("inner", dim, "norm", dim),
        product("outer", dim, "inner", dim + 2 * dim),
        # With the ReLU before the outer product, and the residual.
        norm(inside, "outer_norm", "outer", units, additions=2 * units),
    )


def fm(s: Shapes) -> Parts:
    """A factorization machine, projected where the width differs.

    Of the sparse output, or in a block without a sparse operator of the sparse inputs.
    """
    rows, dim, n = s.vectors + (s.vectors == 0) * s.sparse, s.dim, s.width
    return (
        Work("", (SPARSE,), unit_macs=(rows + 1) * dim, additions=(2 * (rows - 1) + 1) * dim),
        Product("output", ("",), dim, n, extra=s.vectors_of_norm * n, present=n != dim),
        norm(s, "norm", "output", n, present=n != dim),
        Work("add", (OTHER, "norm"), additions=n),  # to the sum of the dense operators
    )


def dense_to_sparse(s: Shapes) -> Parts:
    """The dense output as more vectors, projected if it is not as wide as they are."""
    size = MERGER_VECTORS * s.dim
    projects = s.width != size
    return (
        Product("", (DENSE,), s.width, size, extra=s.vectors_of_norm * size, present=projects),
        Work("", (DENSE,), present=s.width == size),
        norm(s, "norm", "", size, present=projects),
    )


def first_order(num_dense: int, num_sparse: int) -> Parts:
    """The first-order term: weights that were looked up and a product, added to the final layer's.

    Args:
        num_dense: Dense features, a weight each.
        num_sparse: Weights looked up, one a sparse feature.
    """
    has_dense = num_dense > 0
    return (
        Product("dense", (), num_dense, 1, present=has_dense),
        Work("add", (SPARSE, "dense", OTHER), additions=num_sparse + has_dense),
    )


def norm(
    s: Shapes,
    part: str,
    after: str,
    units: Count,
    *,
    additions: Count = 0,
    own_parameters: bool = False,
    has_bias: Mask = True,
    present: Mask = True,
) -> Work:
    """Layer norm over `units` values, and the additions and comparisons that go with it.

    Without layer norms it is the bias of the product before it, where that has one.
    """
    if not s.layer_norm:
        return Work(part, (after,), additions=additions + has_bias * units, present=present)
    return Work(
        part,
        (after,),
        unit_macs=LAYER_NORM_MACS * units,
        additions=LAYER_NORM_ADDITIONS * units + additions,
        special=1,
        extra=2 * units if own_parameters else 0,
        present=present,
    )


def _bias(s: Shapes) -> Count:
    """Entries of the bias of a product whose layer norm counts its own parameters."""
    return 0 if s.layer_norm else s.width


# The formula of each operator of `nasrec_opt.space.OPERATORS`.
FORMULAS: dict[str, Callable[[Shapes], Parts]] = {
    "fc": fc,
    "gate": gate,
    "sum": add_two,
    "dot": dot,
    "efc": efc,
    "attn": attn,
}


def _larger(one: Count, other: Count) -> Count:
    if isinstance(one, int) and isinstance(other, int):
        return max(one, other)
    return np.maximum(one, other)
