"""Subnets, and units of them to keep, that tests of pruning draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from nasrec_opt import FeatureSpec, Genotype, SearchSpace, Subnet, Supernet
from nasrec_opt.pruning import Original, all_units, choose, num_weights
from nasrec_opt.supernet import Signal

FEATURES = FeatureSpec(5, (7, 11, 3, 20, 6, 9))
SPACES = {
    "full": SearchSpace(
        num_blocks=4,
        dense_ops=("fc", "gate", "sum", "dot"),
        sparse_ops=("efc", "attn"),
        dense_widths=(16, 21, 40, 128),  # 16 and 128 need no projection in a merger
        sparse_widths=(8, 17),
        multi_operator=True,
        bits=(32,),
    ),
    "small": SearchSpace(
        num_blocks=3,
        dense_ops=("fc", "dot"),
        sparse_ops=("efc",),
        dense_widths=(24, 32, 64),
        sparse_widths=(12, 16),
        bits=(32,),
    ),
    "no sparse": SearchSpace(
        num_blocks=3,
        sparse_ops=(),
        dense_widths=(16, 24, 64),
        mergers=("sparse_to_dense",),
        multi_operator=True,
        bits=(32,),
    ),
    "profit": replace(SearchSpace.profit(3), dense_widths=(16, 32, 64), bits=(32,)),
}
# Of other methods; those of the last two have no sparse operator.
OTHERS = {
    "autoctr": replace(SearchSpace.autoctr(num_blocks=3), bits=(32,)),
    "dnas": replace(SearchSpace.dnas(num_blocks=3), bits=(32,)),
    "profit": replace(SearchSpace.profit(num_blocks=3), bits=(32,)),
}


def draw(name: str, seed: int) -> Genotype:
    return (SPACES | OTHERS)[name].sample(np.random.default_rng(seed))


def make_supernet(name: str, *, balance: bool = True) -> Supernet:
    """A supernet whose every weight matters: no bias is zero and no gain is one."""
    supernet = Supernet((SPACES | OTHERS)[name], FEATURES, seed=1, balance=balance)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in supernet.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.1)
    return supernet


def some_units(subnet: Subnet, share: float, seed: int) -> dict[Signal, tuple[int, ...]]:
    """The units that stay, where random ones go until a share of the weights is gone."""
    genotype, features, balance = subnet.genotype, subnet.features, subnet.balance
    kept = all_units(genotype, features, balance=balance)
    rng = np.random.default_rng(seed)
    scores = {signal: torch.from_numpy(rng.random(len(units))) for signal, units in kept.items()}
    size = num_weights(subnet)
    original = Original(genotype, features, balance)
    return choose(original, kept, scores, size=size, target=size(kept) * (1 - share))
