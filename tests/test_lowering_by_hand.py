"""Operations of three models worked out by hand, against those of one genotype and of many."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw import Lookup, MatrixVector, Operation, ReRAM, Workload, critical_path
from nasrec_opt import FeatureSpec, Genotype, SearchSpace, Subnet, Supernet
from nasrec_opt.lowering import cost_many, lower, lower_ensemble, lower_many
from nasrec_opt.lowering._many import LOOKUP_BITS
from nasrec_opt.space import BlockGene, liveness

CRITEO = FeatureSpec(13, (5,) * 26)
seeds = st.integers(0, 2**32 - 1)


def product(inputs: int, outputs: int, repeats: int = 1, bits: tuple[int, int] = (8, 8)) -> tuple:
    return ("product", inputs, outputs, repeats, *bits)


def digital(
    multiplications: int = 0, additions: int = 0, functions: int = 0, bits: int = 8
) -> tuple:
    return ("digital", multiplications, additions, functions, bits)


LOOKUP = ("lookup", 26, 16, 32)
# Block 1: FC 13 -> 64 and EFC 26 -> 32 rows of 16; each norm takes 3 multiplications and 3
# additions a unit, here an addition more, and one special function.
FC_64 = [product(13, 64), digital(3 * 64, 4 * 64, 1)]
EFC_32 = [product(26, 32, 16), digital(3 * 512, 4 * 512, 1)]
FIRST = BlockGene(dense_width=64, sparse_width=32)

# A dot product and attention over the raw features and block 1, with both mergers.
DOT = Genotype((
    replace(FIRST, dense_to_sparse=True),
    BlockGene(
        dense_ops=("dot",), sparse_ops=("attn",), dense_width=128, sparse_width=16,
        dense_inputs=(0, 1), sparse_inputs=(0, 1), sparse_to_dense=True,
    ),
))  # fmt: skip
OF_DOT = [
    LOOKUP, *FC_64, *EFC_32,
    product(64, 128), digital(384, 384, 1),  # 8 more rows of 16
    product(77, 16), digital(48, 48, 1),  # 13 + 64 dense values to a vector
    product(66, 16, 16), digital(768, 768, 1),  # 26 + 40 rows to 16, sqrt(2 x 128)
    digital(136 * 16),  # 17 x 16 / 2 pairs of 16 values
    product(136, 128), digital(384, 384, 1),
    product(66, 16, 16), digital(768, 768, 1),  # attention: to 16 rows
    product(16, 48, 16),
    digital(2 * 16 * 16 * 16, 3 * 8 * 16 * 16, 8 * 16 * 17),  # 8 heads
    product(16, 16, 16), digital(768, 768 + 256, 1),  # with the residual
    product(16, 16, 16),
    product(16, 16, 16), digital(768, 768 + 2 * 256, 1),  # with ReLU and residual
    digital(17 * 16, 31 * 16),  # FM of 16 rows
    product(16, 128), digital(384, 384, 1), digital(0, 128),
    product(128 + 16 * 16, 1),
]  # fmt: skip
# FC, norm, merger, norm, then 9 of attention, 4 of FM, and the final layer.
LONGEST_OF_DOT = 4 + 9 + 4 + 1

# A gate and a sum of the raw features (13) and block 1 (64), to 32.
TWO = Genotype((
    FIRST,
    BlockGene(
        dense_ops=("gate", "sum"), dense_width=32, sparse_width=16, left_input=0, right_input=1,
        sparse_inputs=(1,),
    ),
))  # fmt: skip
OF_TWO = [
    LOOKUP, *FC_64, *EFC_32,
    product(13, 64), digital(64, 0, 64), product(64, 32), digital(96, 96, 1),
    digital(0, 13), product(64, 32), digital(96, 96, 1),
    digital(0, 32),  # the gate plus the sum
    product(32, 16, 16), digital(768, 4 * 256, 1),
    product(32 + 16 * 16, 1),
]  # fmt: skip
LONGEST_OF_TWO = 2 + 4 + 1 + 1  # FC, norm, the gate's four, their sum, the final layer

# Block 1 is dead, and a merger of 128 units needs no product.
DEAD = Genotype((
    FIRST,
    BlockGene(
        dense_width=128, sparse_width=16, dense_to_sparse=True, dense_bits=4, sparse_bits=(5, 7)
    ),
))  # fmt: skip
OF_DEAD = [
    LOOKUP,
    product(13, 128, 1, (4, 4)), digital(384, 512, 1, 4),
    product(26, 16, 16, (5, 7)), digital(768, 1024, 1, 7),
    digital(bits=4),
    product(128 + 16 * (16 + 8), 1),
]  # fmt: skip
LONGEST_OF_DEAD = 4  # the lookup, EFC, its norm, the final layer

MODELS = (DOT, TWO, DEAD)
BY_HAND = [Counter(OF_DOT), Counter(OF_TWO), Counter(OF_DEAD)]
LONGEST = [LONGEST_OF_DOT, LONGEST_OF_TWO, LONGEST_OF_DEAD]


def figures(operation: Operation) -> tuple:
    if isinstance(operation, MatrixVector):
        bits = (operation.weight_bits, operation.activation_bits)
        return product(operation.inputs, operation.outputs, operation.repeats, bits)
    if isinstance(operation, Lookup):
        return ("lookup", operation.vectors, operation.dim, operation.value_bits)
    return digital(
        operation.multiplications, operation.additions, operation.special_functions, operation.bits
    )


def longest(workload: Workload) -> int:
    return len(critical_path(workload.operations, {o.name: 1.0 for o in workload.operations}))


@pytest.mark.parametrize("model", range(3))
def test_operations_of_one_are_those_worked_by_hand(model):
    workload = lower(MODELS[model], CRITEO)
    assert Counter(map(figures, workload.operations)) == BY_HAND[model]
    assert longest(workload) == LONGEST[model]


NAMES = {  # by which breakdowns, plots and stored trials tell operations
    "dot": "vector vector_norm rows rows_norm gram output norm",
    "attn": "rows rows_norm query_key_value scores mix norm inner outer outer_norm",
    "fm": " output norm add",
    "gate": " multiply output norm",
    "sum": " output norm",
    "fc": " norm",
    "efc": " norm",
    "dense_to_sparse": " norm",
    "dense": "add",
}


def test_operations_have_their_names():
    of_models = {
        0: "embedding 1/fc 1/efc 1/dense_to_sparse 2/dot 2/attn 2/fm final",
        1: "embedding 1/fc 1/efc 2/gate 2/sum 2/dense 2/efc final",
    }
    for model, parts in of_models.items():
        expected = []
        for part in parts.split():
            names = NAMES.get(part.partition("/")[2], "").split(" ")
            expected += [f"{part}/{name}" if name else part for name in names]
        assert [o.name for o in lower(MODELS[model], CRITEO).operations] == expected


def test_operations_of_many_are_those_worked_by_hand():
    batch = lower_many(MODELS, CRITEO)
    found = [Counter() for _ in MODELS]
    times = []
    for slot in batch.slots:
        is_join = len(slot.columns) == 0
        times.append(np.full(len(slot.where), 0.0 if is_join else 1.0))
        if is_join:
            continue
        name = {5: "product", 4: "digital", 3: "lookup"}[len(slot.columns)]
        for place, number in enumerate(slot.where):
            found[number][(name, *slot.columns[:, place].tolist())] += 1
    assert found == BY_HAND
    assert batch.latency_ns(times).tolist() == LONGEST
    assert LOOKUP[3] == LOOKUP_BITS


def test_without_balancing_a_dot_product_multiplies_all_rows_by_hand():
    operations = {o.name: o for o in lower(DOT, CRITEO, balance=False).operations}
    assert "2/dot/rows" not in operations
    assert operations["2/dot/gram"].macs == 67 * 67 * 16  # 66 rows and the vector
    assert operations["2/dot/gram"].multiplications == 67 * 66 // 2 * 16
    assert (operations["2/dot/output"].inputs, operations["2/dot/output"].outputs) == (2211, 128)
    assert operations["2/dot/gram"].after == (
        "2/dot/vector_norm",
        "embedding", "1/efc/norm", "1/dense_to_sparse/norm",
    )  # fmt: skip
    balanced = {o.name: o for o in lower(DOT, CRITEO).operations}
    others = {name for name in balanced if not name.startswith("2/dot")}
    assert {name: operations[name] for name in others} == {name: balanced[name] for name in others}


MULTI = SearchSpace.nasrec_full(3, multi_operator=True)
UNBALANCED = Supernet(MULTI, CRITEO, balance=False)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_without_balancing_parameters_are_those_of_the_unbalanced_subnet(seed):
    genotype = MULTI.sample(np.random.default_rng(seed))
    expected = sum(
        weight.numel()
        for name, weight in Subnet(genotype, CRITEO, balance=False).named_parameters()
        if not name.startswith("embedding")
    )
    assert lower(genotype, CRITEO, balance=UNBALANCED.balance).parameters == expected
    has_dot = any(
        live.dense_pre and "dot" in gene.dense_ops
        for gene, live in zip(genotype.blocks, liveness(genotype), strict=True)
    )
    if not has_dot:
        assert lower(genotype, CRITEO, balance=False) == lower(genotype, CRITEO)


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_without_balancing_many_cost_what_each_costs(seed):
    rng = np.random.default_rng(seed)
    genotypes = [MULTI.sample(rng) for _ in range(12)]
    model = ReRAM()
    each = [model.cost(lower(genotype, CRITEO, balance=False)) for genotype in genotypes]
    assert list(cost_many(genotypes, CRITEO, model, balance=False)) == each
    together = cost_many(genotypes, CRITEO, model, balance=False)
    assert together.energy_pj.tolist() == [cost.energy_pj for cost in each]
    both = lower_ensemble(genotypes[:2], CRITEO, at_once=True, balance=False)
    assert both.macs == sum(lower(g, CRITEO, balance=False).macs for g in genotypes[:2]) + 1
