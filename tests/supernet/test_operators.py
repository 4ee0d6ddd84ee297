"""Operators and mergers: parity with a naive model, and the shapes that they keep."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import example, given, settings
from hypothesis import strategies as st
from supernet.cases import FEATURES, NO_DENSE, SPACES, draw, make_batch, make_supernet, mixed, seeds
from supernet.reference import reference_logits

from nasrec_opt import BlockGene, Genotype
from nasrec_opt.supernet import balanced_vectors, full_supernet
from nasrec_opt.supernet._attention import PIECE, attend

# In double precision no value lies so near to half way between two levels that rounding tips it.
NETS = {name: make_supernet(name).double() for name in SPACES}
UNBALANCED = make_supernet("single", balance=False).double()
UNDENSE = make_supernet("multi", NO_DENSE).double()
bits = st.sampled_from([None, 4, 8, (4, 8), (8, 5), 32])  # none = those that were drawn


def at(genotype, bits):
    return genotype if bits is None else genotype.with_bits(bits)


def assert_parity(supernet, genotype, seed):
    dense, sparse, _ = make_batch(seed, supernet.features)
    dense = dense.double()
    with torch.no_grad():
        ours = supernet(genotype, dense, sparse)
        naive = reference_logits(supernet, genotype, dense, sparse)
    trained = supernet(genotype, dense, sparse).detach()  # layer norms take other ways there
    for logits in (ours, trained):
        torch.testing.assert_close(logits, naive, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETS)
@given(seed=seeds, bits=bits)
@settings(max_examples=12, deadline=None)
def test_a_genotype_computes_what_the_table_of_operators_says_at_its_bits(name, seed, bits):
    assert_parity(NETS[name], at(draw(name, seed), bits), seed)


@given(seed=seeds, bits=bits)
@settings(max_examples=12, deadline=None)
def test_blocks_with_and_without_a_sparse_operator_go_together(seed, bits):
    genotype = at(mixed("multi", seed), bits)
    assert_parity(NETS["multi"], genotype, seed)
    assert_parity(NETS["multi"], genotype.canonical(), seed)


@given(seed=seeds, bits=bits)
@settings(max_examples=8, deadline=None)
def test_unbalanced_dot_products_multiply_all_rows(seed, bits):
    assert_parity(UNBALANCED, at(draw("single", seed), bits), seed)


@given(seed=seeds, bits=bits)
@settings(max_examples=8, deadline=None)
def test_without_dense_features_one_column_of_zeros_is_read(seed, bits):
    assert_parity(UNDENSE, at(draw("multi", seed), bits), seed)


def test_the_full_supernet_computes_what_the_table_of_operators_says():
    for name, supernet in NETS.items():
        assert_parity(supernet, full_supernet(SPACES[name]), seed=3)


@pytest.mark.parametrize("width", [16, 128])  # 16 = dim and 128 = 8 dim need no projection
@pytest.mark.parametrize("op", ["fc", "gate", "sum", "dot"])
def test_projections_are_left_out_where_widths_agree(op, width):
    block = BlockGene(
        dense_ops=(op,), dense_width=width, sparse_width=16, left_input=0, right_input=0,
        dense_to_sparse=True, sparse_to_dense=True,
    )  # fmt: skip
    after = BlockGene(
        dense_ops=(op,), dense_width=width, sparse_width=24, dense_inputs=(1,), sparse_inputs=(1,),
        left_input=0, right_input=1, dense_to_sparse=True, sparse_to_dense=True,
    )  # fmt: skip
    genotype = Genotype((block, after, after, after), space="custom")
    assert_parity(NETS["single"], genotype, seed=5)
    extracted = NETS["single"].extract(genotype)
    names = {name for name, _ in extracted.named_parameters()}
    assert ("blocks.1.fm.output" in names) == (width != FEATURES.embedding_dim)
    assert ("blocks.1.rows.output" in names) == (width != 8 * FEATURES.embedding_dim)


@pytest.mark.parametrize(("width", "rows"), [(16, 6), (32, 8), (128, 16), (512, 32), (1024, 45)])
def test_balanced_rows_are_those_of_the_published_results(width, rows):
    assert balanced_vectors(width) == rows


@given(seed=seeds, rows=st.integers(1, 12) | st.just(32), size=st.sampled_from([1, 30, 1000]))
@example(seed=0, rows=48, size=1)
@example(seed=180, rows=32, size=1000)
@example(seed=0, rows=64, size=1000)
@settings(max_examples=20, deadline=None)
def test_attention_equals_the_stock_kernel(seed, rows, size):
    generator = torch.Generator().manual_seed(seed)
    shape = (9, 16, rows)
    inputs = [torch.randn(shape, generator=generator).requires_grad_() for _ in range(3)]
    weights = torch.randn(shape, generator=generator)
    query, key, value = (values.view(9, 8, 2, rows).transpose(2, 3) for values in inputs)
    stock = F.scaled_dot_product_attention(size * query, key, value)
    stock = stock.transpose(2, 3).reshape(shape)
    ours = attend(size * inputs[0], *inputs[1:], heads=8)
    tolerance = {"rtol": 1e-4 + 1e-6 * size, "atol": 1e-5 * size}  # as scores of that size round
    torch.testing.assert_close(ours, stock, **tolerance)
    expected = torch.autograd.grad((stock * weights).sum(), inputs)
    found = torch.autograd.grad((ours * weights).sum(), inputs)
    # Scores round by their size, and the gradient of a key is as much larger again.
    tolerance["atol"] += 1e-7 * size**2
    torch.testing.assert_close(found, expected, **tolerance)


def test_attention_in_several_pieces_equals_attention_in_one():
    rows, heads = 64, 8
    batch = 2 * PIECE // (heads * rows * rows) + 3
    values = torch.randn(batch, 16, rows, generator=torch.Generator().manual_seed(0))
    whole = attend(values, values, values, heads)
    single = torch.cat([attend(*[values[i : i + 1]] * 3, heads) for i in range(batch)])
    torch.testing.assert_close(whole, single)
