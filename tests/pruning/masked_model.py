"""A pruned model as what it stands for: the larger one, with the removed units masked.

Masked units are zero, and neither layer norms nor attention see them. All weights are read at their
full width, from the naive model of the supernet's tests.
"""

from __future__ import annotations

import torch
from supernet import reference
from torch import Tensor

from nasrec_opt import Genotype, Supernet


def masked_logits(
    supernet: Supernet, genotype: Genotype, kept: dict, dense: Tensor, sparse: Tensor
) -> Tensor:
    """Logits `[batch]` of a genotype, where only the units in `kept` are not zero."""
    weights = dict(supernet.named_parameters())
    offset, columns = 0, []
    for column, size in enumerate(supernet.features.cardinalities):
        columns.append(weights["embedding.table"][offset : offset + size][sparse[:, column].long()])
        offset += size
    dense = dense if dense.shape[1] else torch.zeros(len(sparse), 1)
    model = _Masked(weights, kept, balance=supernet.balance)
    vectors, rows = [dense], [torch.stack(columns, dim=1)]
    for number, gene in enumerate(genotype.blocks, start=1):
        model.number = number
        one, two = model.block(number, gene, vectors, rows)
        vectors.append(one)
        rows.append(two)
    own = genotype.blocks[-1].sparse_width
    last = rows[-1].transpose(1, 2)
    weight = [weights["final.dense"][: vectors[-1].shape[1]]]
    hidden = [vectors[-1], last[:, :, :own].flatten(1)]
    if own:
        weight.append(weights["final.sparse"][:, :own])
    if last.shape[2] > own:
        weight.append(weights["final.merger"])
        hidden.append(last[:, :, own:].flatten(1))
    joined, inputs = torch.cat([part.flatten() for part in weight]), torch.cat(hidden, dim=1)
    return 16 / len(joined) * inputs @ joined + weights["final.bias"]


class _Masked(reference._Reference):
    def __init__(self, weights: dict[str, Tensor], kept: dict, *, balance: bool) -> None:
        super().__init__(weights, balance=balance)
        self._kept = kept
        self.number = 0

    def norm(self, name: str, values: Tensor) -> Tensor:
        """Of the units that stay; the others are zero."""
        units = list(self._units(name, values.shape[-1]))
        mean = values[..., units].mean(-1, keepdim=True)
        spread = ((values[..., units] - mean) ** 2).mean(-1, keepdim=True)
        gain, bias = (self._weights[f"{name}.{w}"][: values.shape[-1]] for w in ("gain", "bias"))
        normal = (values - mean) / torch.sqrt(spread + 1e-5) * gain + bias
        mask = torch.zeros(values.shape[-1])
        mask[units] = 1
        return normal * mask

    def _units(self, name: str, width: int):
        if name.endswith(("rows.norm", "vector_norm", "attention_norm", "feed_forward_norm")):
            return range(width)  # components of embeddings
        if name.endswith("balance_norm"):
            return self._kept.get(("vectors", self.number), range(width))
        return self._kept["sparse" if ".sparse." in name else "dense", self.number]

    def attn(self, name, gene, vectors, rows):
        """Masked vectors neither attend nor are attended to."""
        units = list(self._kept["sparse", self.number])
        inside = _Attending(self._weights, self._kept, units, self)
        found = inside.attn(name, gene, vectors, rows)
        whole = torch.zeros(len(found), gene.sparse_width, found.shape[2])
        whole[:, units] = found
        return whole


class _Attending(_Masked):
    def __init__(self, weights, kept, units, outer) -> None:
        super().__init__(weights, kept, balance=outer._balance)
        self.number, self._bits, self._own_rows = outer.number, outer._bits, outer._own_rows
        self._only = units

    def attn(self, name, gene, vectors, rows):
        return reference._Reference.attn(self, name, gene, vectors, rows)

    def _project(self, name, gene, rows):
        return super()._project(name, gene, rows)[:, :, self._only]
