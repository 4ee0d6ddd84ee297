"""A smaller model from a larger one: rows and columns of removed units are left out."""

from __future__ import annotations

import torch
from torch import Tensor

from nasrec_opt.pruning._units import Kept, Widths, pruned_genotype
from nasrec_opt.space import MERGER_VECTORS, liveness
from nasrec_opt.supernet import PAIRS, SPARSE, VECTORS, Signal, Subnet, axes_of


def cut(subnet: Subnet, kept: Kept) -> Subnet:
    """Remove units from a model.

    The smaller model computes what the larger one would with the removed units masked: they are
    zero, and neither layer norms nor attention see them.

    Args:
        subnet: The model; it stays as it is.
        kept: For each of its outputs the units that stay, as `all_units` lists them.

    Returns:
        A model of smaller widths, with weights of its own.
    """
    indices = _Indices(subnet, kept)
    axes = axes_of(subnet)
    smaller = Subnet(
        pruned_genotype(subnet.genotype, kept),
        subnet.features,
        None,
        max_table_rows=subnet.max_table_rows,
        balance=subnet.balance,
        initialization=subnet.initialization,
        layer_norm=subnet.layer_norm,
    )
    weights: dict[str, Tensor] = {}
    for name, weight in subnet.state_dict().items():
        for axis, signal in enumerate(axes.get(name, ())):
            if signal is not None:
                weight = weight.index_select(axis, indices.of(signal).to(weight.device))
        weights[name] = weight.clone()
    if subnet.initialization != "xavier":  # the final layer divides its weights by their number
        before, after = (_final_inputs(model) for model in (subnet, smaller))
        for name in ("final.dense", "final.sparse", "final.merger"):
            if name in weights:
                weights[name] *= after / before
    smaller.load_state_dict(weights)
    return smaller


class _Indices:
    """Places of the units that stay, along the axes that count them."""

    def __init__(self, subnet: Subnet, kept: Kept) -> None:
        genotype = subnet.genotype
        self._kept = kept
        self._blocks = genotype.blocks
        self._lives = liveness(genotype)
        self._sparse = Widths(genotype, subnet.features, balance=subnet.balance).sparse

    def of(self, signal: Signal) -> Tensor:
        """The places, `[units that stay]`."""
        kind, number = signal
        if kind == PAIRS:
            return torch.tensor(_pairs(self._vectors(number)))
        return torch.tensor(self._kept[signal])

    def _vectors(self, number: int) -> list[int]:
        """The vectors of a block's dot product that stay, among all of them."""
        projected = self._kept.get((VECTORS, number))
        if projected is not None:
            return list(projected)
        found: list[int] = []
        offset = 0
        for source in self._blocks[number - 1].sparse_inputs:
            width = self._sparse[source]
            found += [offset + unit for unit in self._kept[SPARSE, source]]
            if source and self._lives[source - 1].use_dense_to_sparse:
                found += range(offset + width - MERGER_VECTORS, offset + width)
            offset += width
        return found


def _pairs(vectors: list[int]) -> list[int]:
    """Places of the pairs of some vectors and the dense one in the strict lower triangle."""
    rows = [0, *(vector + 1 for vector in vectors)]  # the dense vector is row 0
    return [row * (row - 1) // 2 + other for row in rows for other in rows if other < row]


def _final_inputs(subnet: Subnet) -> int:
    """Number of inputs of the final layer, without those of the first-order term."""
    widths = Widths(subnet.genotype, subnet.features, balance=subnet.balance)
    return widths.dense[-1] + subnet.features.embedding_dim * widths.sparse[-1]
