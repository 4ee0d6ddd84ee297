"""Path sampling: which subnet a training step trains (paper, section 4.1).

A strategy yields genotypes; training needs nothing else of it. `WarmUp` wraps any strategy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from nasrec_opt.errors import StudyError, described
from nasrec_opt.options import Connections, check_choice
from nasrec_opt.space import BlockGene, Genotype, SearchSpace


class PathSampling(Protocol):
    """Draws the subnet of a training step."""

    def sample(self, rng: np.random.Generator, progress: float) -> Genotype:
        """Draw the genotype that the next training step trains.

        Args:
            rng: Source of the draws.
            progress: Share of training that is over, 0 to 1.

        Returns:
            A genotype of the supernet's space.
        """


@dataclass(frozen=True, slots=True)
class SingleOperatorSingleConnection:
    """Path sampling with one operator and one input per branch.

    Args:
        space: The space of the supernet.

    References:
        Zhang et al. 2024, section 4.1.
    """

    space: SearchSpace

    def sample(self, rng: np.random.Generator, progress: float) -> Genotype:
        """Draw a genotype whose blocks form chains.

        Args:
            rng: Source of the draws.
            progress: Share of training that is over, 0 to 1; not used.

        Returns:
            A genotype of the space.
        """
        return _genotype(self.space, rng, any_operator=False, connections=None)


@dataclass(frozen=True, slots=True)
class SingleOperatorAnyConnection:
    """Path sampling with one operator per branch and any number of inputs: the paper's choice.

    Args:
        space: The space of the supernet.
        connections: How the number of inputs is drawn: `uniform`, or `binomial` for 1 +
            binomial(0.5).

    References:
        Zhang et al. 2024, section 4.1.
    """

    space: SearchSpace
    connections: Connections = "binomial"

    def __post_init__(self) -> None:
        check_choice("connections", self.connections, Connections)

    def sample(self, rng: np.random.Generator, progress: float) -> Genotype:
        """Draw a genotype of medium size.

        Args:
            rng: Source of the draws.
            progress: Share of training that is over, 0 to 1; not used.

        Returns:
            A genotype of the space.
        """
        return _genotype(self.space, rng, any_operator=False, connections=self.connections)


@dataclass(frozen=True, slots=True)
class AnyOperatorAnyConnection:
    """Path sampling with any non-empty subset of operators and any number of inputs per branch.

    Args:
        space: The space of the supernet.
        connections: How the number of inputs is drawn: `uniform`, or `binomial` for 1 +
            binomial(0.5).

    References:
        Zhang et al. 2024, section 4.1.
    """

    space: SearchSpace
    connections: Connections = "binomial"

    def __post_init__(self) -> None:
        check_choice("connections", self.connections, Connections)

    def sample(self, rng: np.random.Generator, progress: float) -> Genotype:
        """Draw a genotype of any size.

        Args:
            rng: Source of the draws.
            progress: Share of training that is over, 0 to 1; not used.

        Returns:
            A genotype of the space.
        """
        return _genotype(self.space, rng, any_operator=True, connections=self.connections)


@dataclass(frozen=True, slots=True)
class FairOperators:
    """Path sampling with one operator per branch, dealt to the blocks like cards.

    Within a subnet, the numbers of uses of two operators differ by at most one.

    Args:
        space: The space of the supernet.
        connections: How the number of inputs is drawn: `uniform`, or `binomial` for 1 +
            binomial(0.5).

    References:
        Chu et al. 2021 (FairNAS): every operator is trained equally often.
    """

    space: SearchSpace
    connections: Connections = "binomial"

    def __post_init__(self) -> None:
        check_choice("connections", self.connections, Connections)

    def sample(self, rng: np.random.Generator, progress: float) -> Genotype:
        """Draw a genotype with one operator per branch.

        Args:
            rng: Source of the draws.
            progress: Share of training that is over, 0 to 1; not used.

        Returns:
            A genotype of the space.
        """
        space = self.space
        dealt = (_deal(space.dense_ops, rng, space), _deal(space.sparse_ops, rng, space))
        return _genotype(space, rng, any_operator=False, connections=self.connections, dealt=dealt)


@dataclass(frozen=True, slots=True)
class SandwichWidths:
    """Path sampling that often draws the widest or the narrowest subnet of another strategy's draw.

    Args:
        strategy: Draws everything else, and the widths otherwise.
        space: The space of the supernet; None means the strategy's attribute `space`.
        share: Probability of an extreme; each of the two has half of it.

    Raises:
        StudyError: No space is given, and the strategy has none.

    References:
        Yu and Huang 2019 (universally slimmable networks): training the extremes lifts what lies
        between them.
    """

    strategy: PathSampling
    space: SearchSpace = None  # type: ignore[assignment]  # set below
    share: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "space", _space_of(self.strategy, self.space))

    def sample(self, rng: np.random.Generator, progress: float) -> Genotype:
        """Draw a genotype; with probability `share` all its widths are the largest or the smallest.

        Args:
            rng: Source of the draws.
            progress: Share of training that is over, 0 to 1.

        Returns:
            A genotype of the space.
        """
        genotype = self.strategy.sample(rng, progress)
        chance = rng.random()
        if chance >= self.share:
            return genotype
        extreme = max if chance < self.share / 2 else min
        dense, sparse = extreme(self.space.dense_widths), extreme(self.space.sparse_widths)
        blocks = (replace(g, dense_width=dense, sparse_width=sparse) for g in genotype.blocks)
        return replace(genotype, blocks=tuple(blocks))


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Path sampling that begins with the full supernet (paper, section 5.1).

    Its probability falls from 1 to 0.

    Args:
        strategy: Draws the genotype otherwise.
        space: The space of the supernet; None means the strategy's attribute `space`.
        fraction: Share of training over which the probability falls linearly.

    Raises:
        StudyError: No space is given, and the strategy has none.

    Example:
        >>> import numpy as np
        >>> strategy = WarmUp(SingleOperatorAnyConnection(SearchSpace.nasrec_small(2)))
        >>> first = strategy.sample(np.random.default_rng(0), progress=0.0)  # the full supernet
        >>> [block.dense_width for block in first.blocks]
        [1024, 1024]
    """

    strategy: PathSampling
    space: SearchSpace = None  # type: ignore[assignment]  # set below
    fraction: float = 0.2

    def __post_init__(self) -> None:
        object.__setattr__(self, "space", _space_of(self.strategy, self.space))

    def sample(self, rng: np.random.Generator, progress: float) -> Genotype:
        """Draw the full supernet, or what the strategy draws.

        Args:
            rng: Source of the draws.
            progress: Share of training that is over, 0 to 1.

        Returns:
            A genotype of the space.
        """
        if self.fraction > 0 and rng.random() < 1 - progress / self.fraction:
            return full_supernet(self.space)
        return self.strategy.sample(rng, progress)


def full_supernet(space: SearchSpace) -> Genotype:
    """Build the largest genotype: all operators, greatest widths, all inputs, all mergers.

    Args:
        space: The space.

    Returns:
        A genotype that uses every weight of the supernet; it need not be in the space itself.
    """
    blocks = tuple(
        BlockGene(
            dense_ops=space.dense_ops,
            sparse_ops=space.sparse_ops,
            dense_width=max(space.dense_widths),
            sparse_width=max(space.sparse_widths),
            dense_inputs=space.choices.blocks[number - 1].dense_sources,
            sparse_inputs=space.choices.blocks[number - 1].sparse_sources,
            left_input=number - 1,
            right_input=number - 1,
            dense_to_sparse=space.has_dense_to_sparse,
            sparse_to_dense=space.has_sparse_to_dense,
            dense_bits=max(space.bits, key=_total_bits),
            sparse_bits=max(space.bits, key=_total_bits),
        )
        for number in range(1, space.num_blocks + 1)
    )
    return Genotype(blocks, space=space.name, wide=any(space.wide))


def make_path_sampling(
    name: str, space: SearchSpace, *, connections: Connections, warmup_fraction: float
) -> PathSampling:
    """The strategy of a name, `single-single`, `any-any` or `single-any`, with warm-up."""
    strategy: PathSampling
    if name == "single-single":
        strategy = SingleOperatorSingleConnection(space)
    elif name == "any-any":
        strategy = AnyOperatorAnyConnection(space, connections)
    else:
        strategy = SingleOperatorAnyConnection(space, connections)
    return WarmUp(strategy, fraction=warmup_fraction)


def _genotype(
    space: SearchSpace,
    rng: np.random.Generator,
    *,
    any_operator: bool,
    connections: Connections | None,
    dealt: tuple[list[tuple[str, ...]], list[tuple[str, ...]]] | None = None,
) -> Genotype:
    blocks = []
    for number, choices in enumerate(space.choices.blocks, start=1):
        sources, sparse_sources = choices.dense_sources, choices.sparse_sources
        left, right = (sources[i] for i in rng.integers(len(sources), size=2))
        to_sparse, to_dense, *_ = (rng.random(2) < 0.5).tolist()
        dense_bits, sparse_bits = (space.bits[i] for i in rng.integers(len(space.bits), size=2))
        if dealt is None:
            dense_ops = _operators(space.dense_ops, rng, any_operator)
            sparse_ops = _operators(space.sparse_ops, rng, any_operator)
        else:
            dense_ops, sparse_ops = (operators[number - 1] for operators in dealt)
        blocks.append(
            BlockGene(
                dense_ops=dense_ops,
                sparse_ops=sparse_ops,
                dense_width=int(rng.choice(space.dense_widths)),
                sparse_width=int(rng.choice(space.sparse_widths)),
                dense_inputs=_inputs(sources, space.max_inputs, rng, connections),
                sparse_inputs=_inputs(sparse_sources, space.max_inputs, rng, connections),
                left_input=left,
                right_input=right,
                dense_to_sparse=space.has_dense_to_sparse and to_sparse,
                sparse_to_dense=space.has_sparse_to_dense and to_dense,
                dense_bits=dense_bits,
                sparse_bits=sparse_bits,
            )
        )
    wide = space.wide[0]
    if len(space.wide) > 1:  # else no draw: random streams of earlier versions stay the same
        wide = space.wide[int(rng.integers(len(space.wide)))]
    return Genotype(tuple(blocks), space=space.name, wide=wide)


def _operators(
    known: tuple[str, ...], rng: np.random.Generator, any_operator: bool
) -> tuple[str, ...]:
    if not known:
        return ()
    count = int(rng.integers(1, len(known) + 1)) if any_operator else 1
    return tuple(known[i] for i in rng.choice(len(known), size=count, replace=False))


def _deal(
    known: tuple[str, ...], rng: np.random.Generator, space: SearchSpace
) -> list[tuple[str, ...]]:
    """Deal an operator to each block from a shuffled deck; a used-up deck is shuffled again.

    If there are none, no block has one.
    """
    if not known:
        return [()] * space.num_blocks
    dealt: list[tuple[str, ...]] = []
    while len(dealt) < space.num_blocks:
        dealt += [(known[i],) for i in rng.permutation(len(known))]
    return dealt[: space.num_blocks]


def _inputs(
    sources: tuple[int, ...],
    most: int | None,
    rng: np.random.Generator,
    connections: Connections | None,
) -> tuple[int, ...]:
    limit = min(len(sources), most or len(sources))
    if connections is None:
        count = 1
    elif connections == "uniform":
        count = int(rng.integers(1, limit + 1))
    else:
        count = 1 + int(rng.binomial(limit - 1, 0.5))
    return tuple(sources[i] for i in rng.choice(len(sources), size=count, replace=False))


def _space_of(strategy: PathSampling, space: SearchSpace | None) -> SearchSpace:
    """The space that was given, or else the strategy's own."""
    found = space if space is not None else getattr(strategy, "space", None)
    if not isinstance(found, SearchSpace):
        raise StudyError(
            "space: expected a SearchSpace, or a strategy with an attribute `space`, got "
            f"{described(found)} and {described(strategy)}"
        )
    return found


def _total_bits(bits: int | tuple[int, int]) -> int:
    return 2 * bits if isinstance(bits, int) else sum(bits)
