"""Multiply-accumulates of a model as fvcore counts them in a pass."""

from __future__ import annotations

import math

import torch
from fvcore.nn import FlopCountAnalysis
from fvcore.nn.jit_handles import get_shape, matmul_flop_jit

from nasrec_opt import Genotype
from nasrec_opt.space import liveness


def matmul_macs(inputs, outputs):
    """MACs of a product; fvcore's own handle knows no vector, which the final layer's weight is."""
    first, second = (get_shape(value) for value in inputs)
    return math.prod(first) if len(second) == 1 else matmul_flop_jit(inputs, outputs)


def added_product_macs(inputs, outputs):
    """MACs of `[batch, n, m]` times `[batch, m, p]` plus a bias; fvcore knows no such product."""
    _, first, second = (get_shape(value) for value in inputs[:3])
    return math.prod(first) * second[-1]


def macs_of(model: torch.nn.Module, sample: tuple[torch.Tensor, ...]) -> float:
    """What fvcore counts in a pass, layer norms left out as in the paper's rule."""
    with torch.no_grad():
        count = FlopCountAnalysis(model, sample)
        count.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        count.set_op_handle("aten::layer_norm", lambda _inputs, _outputs: 0)
        count.set_op_handle("aten::matmul", matmul_macs)
        count.set_op_handle("aten::baddbmm", added_product_macs)
        return count.total()


def attention_macs(genotype: Genotype, dim: int) -> int:
    """Of the two products of attention, queries with keys and weights with values.

    Each is rows x rows x dim, in a custom autograd function that fvcore sees as one unknown
    operator.
    """
    live = zip(genotype.blocks, liveness(genotype), strict=True)
    genes = [gene for gene, part in live if part.sparse_pre and "attn" in gene.sparse_ops]
    return sum(2 * gene.sparse_width**2 * dim for gene in genes)
