"""Genotypes: validation, JSON, liveness, and the canonical form."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasrec_opt import BlockGene, Genotype, HardwareGene, SearchSpace
from nasrec_opt.errors import GenotypeError
from nasrec_opt.space import liveness

SPACES = [
    SearchSpace.nasrec_small(num_blocks=4),
    SearchSpace.nasrec_full(num_blocks=5, multi_operator=True),
    SearchSpace.codesign(num_blocks=3),
    SearchSpace.codesign(num_blocks=3, wide=(False, True)),
    SearchSpace.autoctr(num_blocks=4),
    SearchSpace.dnas(num_blocks=4),
    SearchSpace.profit(num_blocks=3, codesign=True),
    SearchSpace(num_blocks=4, sparse_ops=(), mergers=("sparse_to_dense",), bits=(4, 8)),
]
cases = st.tuples(st.sampled_from(SPACES), st.integers(0, 2**32 - 1))


def drawn(case) -> Genotype:
    space, seed = case
    return space.sample(np.random.default_rng(seed))


@given(cases)
def test_json_round_trip(case):
    genotype = drawn(case)
    assert Genotype.from_json(genotype.to_json()) == genotype


@given(cases, st.randoms(use_true_random=False))
def test_order_in_json_does_not_matter(case, random):
    genotype = drawn(case)
    values = genotype.to_dict()
    for block in values["blocks"]:
        for gene in block.values():
            if isinstance(gene, list):
                random.shuffle(gene)
    keys = list(values)
    random.shuffle(keys)
    shuffled = Genotype.from_json(json.dumps({key: values[key] for key in keys}))
    if not any(isinstance(b.dense_bits, tuple) for b in genotype.blocks):
        assert shuffled == genotype


@given(cases)
def test_canonical_form_is_idempotent_and_stays_in_its_space(case):
    genotype = drawn(case)
    canonical = genotype.canonical()
    assert canonical.canonical() == canonical
    assert case[0].contains(canonical)
    assert liveness(canonical) == liveness(genotype)


@given(cases)
def test_dead_branches_do_not_make_genotypes_different(case):
    genotype = replace(drawn(case), space="custom")  # where any merger may be
    changed = []
    for block, live in zip(genotype.blocks, liveness(genotype), strict=True):
        if not live.dense_pre:
            block = replace(block, dense_width=16 if block.dense_width != 16 else 32)
        if not live.sparse_pre:
            block = replace(block, sparse_width=16 if block.sparse_width != 16 else 32)
        if not live.dense_out:
            block = replace(block, sparse_to_dense=not block.sparse_to_dense)
        if not live.sparse_out and block.sparse_ops:
            block = replace(block, dense_to_sparse=not block.dense_to_sparse)
        changed.append(block)
    other = replace(genotype, blocks=tuple(changed))
    # A merger of a dead output may bring a branch to life only if that output were read: it is not.
    assert other.canonical() == genotype.canonical()


@given(cases)
def test_liveness_equals_a_search_from_the_logit(case):
    genotype = drawn(case)
    reached = reachable(genotype)
    for number, live in enumerate(liveness(genotype), start=1):
        for node in ("dense_pre", "sparse_pre", "dense_out", "sparse_out"):
            assert getattr(live, node) == ((number, node) in reached)


def reachable(genotype: Genotype) -> set[tuple[int, str]]:
    """Nodes that the logit depends on, found by walking the edges backwards one at a time."""
    last = genotype.num_blocks
    todo, seen = [(last, "dense_out"), (last, "sparse_out")], set()
    while todo:
        node = todo.pop()
        if node in seen or node[0] == 0:
            continue
        seen.add(node)
        number, kind = node
        block = genotype.blocks[number - 1]
        if kind.startswith("sparse") and not block.sparse_ops:
            seen.discard(node)  # there is no such node
        elif kind == "dense_out":
            todo.append((number, "dense_pre"))
            if block.sparse_to_dense and block.sparse_ops:
                todo.append((number, "sparse_pre"))
            elif block.sparse_to_dense:
                todo += [(i, "sparse_out") for i in block.sparse_inputs]
        elif kind == "sparse_out":
            todo.append((number, "sparse_pre"))
            if block.dense_to_sparse:
                todo.append((number, "dense_pre"))
        elif kind == "sparse_pre":
            todo += [(i, "sparse_out") for i in block.sparse_inputs]
        else:
            todo += [(i, "dense_out") for i in block.dense_inputs]
            todo += [
                (i, "dense_out") for i in (block.left_input, block.right_input) if i is not None
            ]
            if "dot" in block.dense_ops:
                todo += [(i, "sparse_out") for i in block.sparse_inputs]
    return seen


@pytest.mark.parametrize(
    ("ops", "is_symmetric"),
    [(("sum",), True), (("fc", "sum"), True), (("gate",), False), (("gate", "sum"), False)],
)
def test_a_sum_is_symmetric_unless_a_gate_reads_the_same_inputs(ops, is_symmetric):
    first = BlockGene()
    one, other = (
        BlockGene(dense_ops=ops, left_input=a, right_input=b) for a, b in ((0, 1), (1, 0))
    )
    assert Genotype((first, one)) != Genotype((first, other))
    same = Genotype((first, one)).canonical() == Genotype((first, other)).canonical()
    assert same == is_symmetric


def test_genes_without_their_operator_are_not_kept():
    block = BlockGene(dense_ops=("fc",), left_input=0, right_input=0)
    assert (block.left_input, block.right_input) == (None, None)
    assert BlockGene(dense_ops=("gate",), left_input=0, right_input=0).dense_inputs == ()


def test_a_block_without_a_sparse_operator_has_no_width_and_no_bits_of_it():
    block = BlockGene(sparse_ops=(), sparse_width=48, dense_bits=(4, 8), sparse_bits=6)
    assert (block.sparse_width, block.sparse_bits) == (0, (4, 8))
    assert {"sparse_width", "sparse_bits"}.isdisjoint(block.to_dict())
    assert BlockGene.from_dict(block.to_dict()) == block
    assert Genotype((BlockGene(sparse_ops=()),), space="mine").with_bits(32).final_bits == 32


def test_a_dead_sparse_operator_and_none_are_one_model():
    last = BlockGene(sparse_ops=())
    models = [
        Genotype(
            (BlockGene(sparse_ops=ops), last, replace(last, dense_inputs=(1, 2))), space="mine"
        )
        for ops in (("efc",), ("attn",), ())
    ]
    assert len({model.canonical() for model in models}) == 1
    # With FM they are three: it reads what the operator makes, or without any the embeddings.
    merged = [
        replace(model, blocks=(replace(model.blocks[0], sparse_to_dense=True), *model.blocks[1:]))
        for model in models
    ]
    assert len({model.canonical() for model in merged}) == 3


def test_equal_pair_of_bits_is_one_number():
    assert BlockGene(dense_bits=(4, 4)) == BlockGene(dense_bits=4)
    block = BlockGene(sparse_bits=(4, 6))
    assert (block.sparse_weight_bits, block.sparse_activation_bits) == (4, 6)


@pytest.mark.parametrize(
    ("genes", "sentence"),
    [
        ({"dense_ops": ()}, "dense_ops: expected a non-empty subset"),
        ({"sparse_ops": ("fc",)}, "sparse_ops: expected operators of efc, attn, got 'fc'"),
        ({"dense_width": 0}, "dense_width: expected an integer from 1"),
        ({"dense_width": True}, "dense_width: expected an integer"),
        ({"dense_inputs": (-1,)}, "dense_inputs: expected an integer from 0"),
        ({"dense_ops": ("gate",)}, "left_input: expected an integer"),
        ({"dense_to_sparse": 1}, "dense_to_sparse: expected true or false, got 1"),
        ({"sparse_ops": "efc"}, "sparse_ops: expected a subset of"),
        (
            {"sparse_ops": (), "dense_to_sparse": True},
            "dense_to_sparse: expected false in a block without a sparse operator",
        ),
        ({"sparse_bits": (8, 9)}, "sparse_bits: expected 4 to 8"),
    ],
)
def test_bad_gene_names_itself(genes, sentence):
    with pytest.raises(GenotypeError, match=sentence):
        BlockGene(**genes)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "g.json: expected JSON"),
        ("[]", "g.json: expected a JSON object, got list"),
        ('{"blocks": []}', "g.json: blocks: expected at least one block"),
        ('{"blocks": [{"dense_opps": []}]}', "g.json: block 1: .*did you mean dense_ops?"),
        ('{"blocks": [{"sparse_inputs": [1]}]}', "g.json: block 1: expected inputs 0 to 0"),
        ('{"space": "nasrec_small", "blocks": [{"sparse_ops": ["attn"]}]}', "of nasrec_small"),
        ('{"blocks": [{"sparse_width": 17}]}', "sparse_width: expected one of 16, 32, 48, 64"),
        ('{"blocks": [{}], "hardware": {"adc_bits": 40}}', "hardware: adc_bits: expected"),
        (
            '{"space": "mine", "blocks": [{"sparse_ops": []}, {"sparse_inputs": [0, 1]}]}',
            "block 2: sparse_inputs: expected 0 .the embeddings. or blocks with a sparse operator",
        ),
        ('{"blocks": [{"sparse_ops": []}]}', "block 1: expected a sparse operator of nasrec_full"),
        (
            '{"space": "profit", "blocks": [{"sparse_ops": []}, {"sparse_ops": []}]}',
            "block 2: dense_inputs: expected 1 alone in profit, whose blocks form a chain, got 0",
        ),
        (
            '{"space": "dnas", "blocks": [{"sparse_ops": [], "sparse_to_dense": true}]}',
            "block 1: sparse_to_dense: expected false in dnas, got true",
        ),
    ],
)
def test_bad_json_names_the_place(text, sentence):
    with pytest.raises(GenotypeError, match=sentence):
        Genotype.from_json(text, "g.json")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"blocks": 5}, "blocks: expected a list of blocks, got 5"),
        ({"blocks": ("fc",)}, "block 1: expected a BlockGene, got 'fc'"),
        ({"blocks": (BlockGene(), {})}, "block 2: expected a BlockGene, got {}"),
        ({"blocks": (BlockGene(),), "hardware": 5}, "hardware: expected a HardwareGene"),
    ],
)
def test_what_is_no_gene_is_refused(fields, sentence):
    with pytest.raises(GenotypeError, match=sentence):
        Genotype(**fields)


def test_hardware_gene_travels():
    genotype = Genotype((BlockGene(),), HardwareGene(adc_bits=6))
    assert Genotype.from_json(genotype.to_json()).hardware == HardwareGene(adc_bits=6)


def test_a_block_as_a_dictionary_has_lists_as_json_gives_them_back():
    block = BlockGene(dense_ops=("fc", "dot"), dense_bits=(4, 8), sparse_inputs=(0,))
    found = block.to_dict()
    assert found["dense_ops"] == ["fc", "dot"]
    assert found["dense_bits"] == [4, 8]
    assert found == json.loads(json.dumps(found))


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("crossbar_rows", 8, 4096),
        ("crossbar_cols", 8, 4096),
        ("cell_bits", 1, 4),
        ("dac_bits", 1, 8),
        ("adc_bits", 1, 12),
        ("replication", 1, 64),
        ("buffer_kib", 1, 4096),
        ("hot_rows_kib", 0, 1 << 20),
    ],
)
def test_accelerator_genes_have_bounds(name, low, high):
    for value in (low, high):
        assert getattr(HardwareGene(**{name: value}), name) == value
    for value in (low - 1, high + 1):
        with pytest.raises(GenotypeError, match=name):
            HardwareGene(**{name: value})
