"""Made-up landscapes over genotypes, on which blocks interact as the parts of a model do.

Each has three objectives to minimise: a loss of its own kind, and a latency and an energy that all
of them share. Nothing is trained, so an answer takes a fraction of a millisecond, and nobody has
seen the front. They are drawn from a seed and stay the same for ever.

The defaults of `RegularizedEvolutionSampler` were chosen on `pairs` and `flow`; docs/samplers.md
reports on `blocks` and `trap`, which had no part in that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial

from nasrec_opt.space import (
    BlockGene,
    BlockLiveness,
    Genotype,
    SearchSpace,
    liveness,
    preset_ops,
)

Floats = npt.NDArray[np.float64]
Loss = Callable[[Genotype, tuple[BlockLiveness, ...]], float]
DENSE = {op: place for place, op in enumerate(preset_ops("nasrec_full", "dense"))}
SPARSE = {op: place for place, op in enumerate(preset_ops("nasrec_full", "sparse"))}
STATES = 32  # of a block: dense operator, sparse operator, two mergers
OPERATOR_TIME = (2.0, 3.0, 1.0, 4.0, 1.5, 5.0)  # fc, gate, sum, dot, efc, attn
MERGER_TIME = 0.5
NUM_BLOCKS = 7


class Landscape:
    """A landscape over NASRec-Full with seven blocks.

    Args:
        kind: One of `LANDSCAPES`.
        seed: Of its tables.
    """

    front: Floats | None = None
    num_objectives = 3

    def __init__(self, kind: str, seed: int) -> None:
        self.space: SearchSpace = SearchSpace.nasrec_full(NUM_BLOCKS)
        self._loss: Loss = LANDSCAPES[kind](np.random.default_rng(seed))

    def distributions(self) -> dict[str, BaseDistribution]:
        """Of all parameters that a trial may be asked for."""
        return dict(self.space.distributions())

    def suggest(self, trial: BaseTrial) -> Any:
        """A genotype."""
        return self.space.suggest(trial)

    def evaluate(self, point: Any) -> tuple[float, ...]:
        """Loss, latency, energy."""
        genotype = point.canonical()
        live = liveness(genotype)
        return (self._loss(genotype, live), *costs(genotype, live))


def costs(genotype: Genotype, live: tuple[BlockLiveness, ...]) -> tuple[float, float]:
    """Time of the slowest path to the logit, and work of all live parts."""
    ready = [0.0]
    energy = 0.0
    for block, alive in zip(genotype.blocks, live, strict=True):
        dense = alive.dense_pre * OPERATOR_TIME[_dense(block)] * (1 + block.dense_width / 256)
        sparse = (
            alive.sparse_pre * OPERATOR_TIME[4 + _sparse(block)] * (1 + block.sparse_width / 32)
        )
        merged = MERGER_TIME * (alive.use_sparse_to_dense + alive.use_dense_to_sparse)
        start = max(ready[index] for index in block.all_inputs)
        ready.append(start + max(dense, sparse) + merged)
        reads = len(block.all_inputs)
        energy += (dense + sparse) * (1 + 0.25 * reads) + merged
    return ready[-1], energy


def pairs(rng: np.random.Generator) -> Loss:
    """Epistasis: two connected blocks are good or bad together, by a spin of each.

    A block's spins follow from its operators and from whether it is wide. Changing one gene turns
    a spin, and with it the sign of what all its connections are worth.
    """
    spins = rng.choice([-1.0, 1.0], size=(NUM_BLOCKS, 2, STATES, 2))
    bonds = rng.normal(size=(NUM_BLOCKS, NUM_BLOCKS, 2))
    fields = 0.4 * rng.normal(size=(NUM_BLOCKS, 2))

    def loss(genotype: Genotype, live: tuple[BlockLiveness, ...]) -> float:
        own = [
            spins[number, :, _state(block, alive), int(block.dense_width >= 256)]
            for number, (block, alive) in enumerate(zip(genotype.blocks, live, strict=True))
        ]
        total = 0.0
        for number, block in enumerate(genotype.blocks):
            if not live[number].dense_pre and not live[number].sparse_pre:
                continue
            total += float(fields[number] @ own[number])
            read = [index - 1 for index in block.all_inputs if index]
            bound = sum(bonds[number, other] * own[number] * own[other] for other in read)
            total += float(np.sum(bound)) / max(len(read), 1) ** 0.5
        return float(np.exp(-total / 6.0))

    return loss


def blocks(rng: np.random.Generator) -> Loss:
    """Kauffman's NK: a block is worth what a table says of it and of the two blocks it reads.

    How wide it should be follows from its operator and from that of its newest input.
    """
    table = rng.normal(size=(NUM_BLOCKS, STATES, STATES + 1, STATES + 1))
    best_width = rng.integers(0, 8, size=(NUM_BLOCKS, 4, 5))
    best_rows = rng.integers(0, 4, size=(NUM_BLOCKS, 2, 2))

    def loss(genotype: Genotype, live: tuple[BlockLiveness, ...]) -> float:
        states = [_state(block, alive) for block, alive in zip(genotype.blocks, live, strict=True)]
        total = 0.0
        for number, (block, alive) in enumerate(zip(genotype.blocks, live, strict=True)):
            if not alive.dense_pre and not alive.sparse_pre:
                continue
            read = [index - 1 for index in block.all_inputs]
            oldest, newest = (STATES if end < 0 else states[end] for end in (read[0], read[-1]))
            total += float(table[number, states[number], newest, oldest])
            before = 4 if read[-1] < 0 else _dense(genotype.blocks[read[-1]])
            wanted = best_width[number, _dense(block), before]
            total -= 0.15 * alive.dense_pre * abs(_level(block.dense_width) - int(wanted))
            rows = best_rows[number, _sparse(block), int(alive.use_dense_to_sparse)]
            total -= 0.15 * alive.sparse_pre * abs(block.sparse_width // 16 - 1 - int(rows))
        return float(np.exp(-total / 6.0))

    return loss


def trap(rng: np.random.Generator) -> Loss:
    """Deceptive (Deb and Goldberg 1993): each gene that comes right makes a block worse.

    Only when its operators, its width and an input are right all at once it is best, so that
    a search that follows the slope ends beside it.
    """
    operators = rng.integers(0, 4, size=NUM_BLOCKS), rng.integers(0, 2, size=NUM_BLOCKS)
    is_wide = rng.integers(0, 2, size=NUM_BLOCKS)
    weights = rng.uniform(0.5, 1.5, size=NUM_BLOCKS)

    def loss(genotype: Genotype, live: tuple[BlockLiveness, ...]) -> float:
        total = 0.0
        for number, (block, alive) in enumerate(zip(genotype.blocks, live, strict=True)):
            if not alive.dense_pre and not alive.sparse_pre:
                continue
            right = (
                (_dense(block) == operators[0][number])
                + (_sparse(block) == operators[1][number])
                + ((block.dense_width >= 256) == is_wide[number])
                + (number in block.all_inputs)
            )
            total += float(weights[number]) * (1.6 if right == 4 else 1.0 - 0.25 * right)
        return float(np.exp(-total / 5.0))

    return loss


def flow(rng: np.random.Generator) -> Loss:
    """Information flows from the features to the logit; what is combined well, counts most.

    An operator passes on a share of what comes in, the more the wider it is; two inputs that carry
    the same tell little more than one. What an operator is worth depends on what it reads.
    """
    gain = rng.uniform(0.2, 1.0, size=(NUM_BLOCKS, 6))
    synergy = rng.normal(0.0, 0.5, size=(6, 7))
    sources = rng.uniform(size=(NUM_BLOCKS + 1, 12))  # which parts of the truth a block can tell

    def loss(genotype: Genotype, live: tuple[BlockLiveness, ...]) -> float:
        known = [0.3 * sources[0]]
        kinds = [6]
        for number, (block, alive) in enumerate(zip(genotype.blocks, live, strict=True)):
            told = np.zeros(12)
            parts = (
                (alive.dense_pre, _dense(block), _level(block.dense_width) / 7),
                (alive.sparse_pre, 4 + _sparse(block), (block.sparse_width // 16 - 1) / 3),
            )
            for is_alive, operator, size in parts:
                if not is_alive:
                    continue
                missing = np.prod([1.0 - known[index] for index in block.all_inputs], axis=0)
                fit = sum(synergy[operator, kinds[index]] for index in block.all_inputs)
                share = gain[number, operator] * (0.3 + 0.7 * size**0.5) / (1 + np.exp(-fit))
                told = told + share * (1.0 - missing) + 0.1 * share * sources[number + 1]
            merged = 0.05 * (alive.use_sparse_to_dense + alive.use_dense_to_sparse)
            known.append(np.minimum((told + merged) * 0.8, 0.98))
            kinds.append(_dense(block) if alive.dense_pre else 4 + _sparse(block))
        return float(np.mean(1.0 - known[-1]))

    return loss


LANDSCAPES: Mapping[str, Callable[[np.random.Generator], Loss]] = {
    "pairs": pairs,
    "blocks": blocks,
    "trap": trap,
    "flow": flow,
}


def _dense(block: BlockGene) -> int:
    return DENSE[block.dense_ops[0]]


def _sparse(block: BlockGene) -> int:
    return SPARSE[block.sparse_ops[0]]


def _level(dense_width: int) -> int:
    """Place among the eight widths."""
    return (16, 32, 64, 128, 256, 512, 768, 1024).index(dense_width)


def _state(block: BlockGene, live: BlockLiveness) -> int:
    """Operators that run and mergers that are read, `[0, STATES)`; what is dead counts as 0."""
    dense = _dense(block) if live.dense_pre else 0
    sparse = _sparse(block) if live.sparse_pre else 0
    mergers: int = live.use_sparse_to_dense * 2 + live.use_dense_to_sparse
    return (dense * 2 + sparse) * 4 + mergers
