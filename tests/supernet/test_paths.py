"""Path sampling: members of the space, the right sizes, and a warm-up that ends."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasrec_opt import SearchSpace
from nasrec_opt.errors import StudyError
from nasrec_opt.supernet import (
    AnyOperatorAnyConnection,
    FairOperators,
    SandwichWidths,
    SingleOperatorAnyConnection,
    SingleOperatorSingleConnection,
    WarmUp,
    full_supernet,
)

SPACES = [
    SearchSpace.nasrec_full(5),
    SearchSpace.nasrec_small(4, max_inputs=2),
    SearchSpace.codesign(3),
    SearchSpace(num_blocks=3, mergers=False, dense_ops=("gate", "sum")),
    SearchSpace.nasrec_small(3, wide=(False, True)),
    SearchSpace.autoctr(3),
    SearchSpace.dnas(3),
    SearchSpace.profit(3),
]
STRATEGIES = [
    SingleOperatorSingleConnection,
    SingleOperatorAnyConnection,
    AnyOperatorAnyConnection,
    FairOperators,
    lambda space: SandwichWidths(SingleOperatorAnyConnection(space)),
]


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(space=st.sampled_from(SPACES), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_a_strategy_draws_from_the_space(strategy, space, seed):
    genotype = strategy(space).sample(np.random.default_rng(seed), 0.5)
    fixed = replace(genotype, hardware=None)
    # Which operators a branch may join is the strategy's business, not the space's.
    assert replace(space, multi_operator=True, hardware=None).contains(fixed)
    again = strategy(space).sample(np.random.default_rng(seed), 0.5)
    assert again == genotype


def test_fair_operators_come_equally_often():
    space = SPACES[0]  # five blocks, four dense operators, two sparse ones
    strategy = FairOperators(space)
    for seed in range(20):
        blocks = strategy.sample(np.random.default_rng(seed), 1.0).blocks
        dense, sparse = (
            Counter(op for gene in blocks for op in ops(gene))
            for ops in (lambda gene: gene.dense_ops, lambda gene: gene.sparse_ops)
        )
        assert sorted(dense.values()) == [1, 1, 1, 2]
        assert sorted(sparse.values()) == [2, 3]


def test_sandwich_draws_extremes_as_often_as_asked():
    space = SPACES[0]
    strategy = SandwichWidths(SingleOperatorAnyConnection(space), share=0.5)
    drawn = [strategy.sample(np.random.default_rng(seed), 1.0) for seed in range(400)]
    for extreme in (max, min):
        wanted = {extreme(space.dense_widths)}
        share = sum({g.dense_width for g in genotype.blocks} == wanted for genotype in drawn) / 400
        assert 0.19 < share < 0.31


def test_single_strategies_choose_one_operator_and_one_connection():
    rng = np.random.default_rng(0)
    space = SPACES[0]
    for _ in range(50):
        for block in SingleOperatorSingleConnection(space).sample(rng, 1.0).blocks:
            assert len(block.dense_ops) == len(block.sparse_ops) == len(block.sparse_inputs) == 1
            assert len(block.dense_inputs) <= 1
    sizes = Counter(
        len(SingleOperatorAnyConnection(space).sample(rng, 1.0).blocks[-1].sparse_inputs)
        for _ in range(300)
    )
    assert set(sizes) == {1, 2, 3, 4, 5}
    operators = Counter(
        len(AnyOperatorAnyConnection(space).sample(rng, 1.0).blocks[0].dense_ops)
        for _ in range(200)
    )
    assert set(operators) == {1, 2, 3, 4}


@pytest.mark.parametrize(("connections", "ones"), [("uniform", 1 / 5), ("binomial", 1 / 16)])
def test_numbers_of_connections_follow_the_distribution(connections, ones):
    strategy = SingleOperatorAnyConnection(SPACES[0], connections)
    rng = np.random.default_rng(1)
    drawn = [len(strategy.sample(rng, 1.0).blocks[-1].sparse_inputs) for _ in range(2000)]
    assert np.mean(np.array(drawn) == 1) == pytest.approx(ones, abs=0.03)


@pytest.mark.parametrize(("progress", "share"), [(0.0, 1.0), (0.1, 0.5), (0.2, 0.0), (0.9, 0.0)])
def test_warm_up_falls_linearly_and_ends(progress, share):
    space = SPACES[0]
    strategy = WarmUp(SingleOperatorAnyConnection(space), fraction=0.2)
    rng = np.random.default_rng(2)
    full = full_supernet(space)
    drawn = np.mean([strategy.sample(rng, progress) == full for _ in range(400)])
    assert drawn == pytest.approx(share, abs=0.08 if 0 < share < 1 else 0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_half_of_the_subnets_have_the_first_order_term_where_it_is_searched(strategy):
    without = SPACES[0]
    space = replace(without, wide=(False, True))
    drawn = [strategy(space).sample(np.random.default_rng(seed), 1.0) for seed in range(300)]
    assert 0.4 < np.mean([genotype.wide for genotype in drawn]) < 0.6
    always = replace(without, wide=(True,))
    for seed in range(5):  # no draw where there is no choice
        one, other = (
            strategy(s).sample(np.random.default_rng(seed), 1.0) for s in (without, always)
        )
        assert replace(one, wide=True) == other


@pytest.mark.parametrize("space", SPACES)
def test_the_full_supernet_holds_everything(space):
    full = full_supernet(space)
    assert full.wide == (True in space.wide)
    for number, block in enumerate(full.blocks, start=1):
        assert block.dense_ops == space.dense_ops
        assert block.sparse_ops == space.sparse_ops
        assert block.dense_inputs in ((), (number - 1,) if space.chain else tuple(range(number)))
        assert block.sparse_inputs == (tuple(range(number)) if space.sparse_ops else (0,))
        assert block.dense_width == max(space.dense_widths)
        assert block.dense_to_sparse == (space.mergers is True)
        assert block.sparse_to_dense == (space.mergers in (True, ("sparse_to_dense",)))


def test_a_wrapper_asks_its_strategy_for_the_space():
    single = SingleOperatorAnyConnection(SPACES[0])
    assert WarmUp(single) == WarmUp(single, SPACES[0])
    assert WarmUp(SandwichWidths(single)).space == SPACES[0]

    class Own:
        def sample(self, rng, progress):
            return SPACES[0].sample(rng)

    assert WarmUp(Own(), SPACES[0]).space == SPACES[0]
    with pytest.raises(StudyError, match="space: expected a SearchSpace, or a strategy with"):
        WarmUp(Own())
