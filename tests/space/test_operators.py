"""The table of operators: complete, consistent, and the only place that names them."""

from __future__ import annotations

import ast
import math

import numpy as np
import pytest
from conftest import REPOSITORY
from hypothesis import given
from hypothesis import strategies as st

from nasrec_opt import SearchSpace
from nasrec_opt.lowering._operators import FORMULAS
from nasrec_opt.space import (
    DENSE_OPS,
    OPERATORS,
    SPARSE_OPS,
    BlockGene,
    Genotype,
    OperatorSpec,
    attention_heads,
    balanced_vectors,
    preset_ops,
    reads,
)
from nasrec_opt.supernet._operators import MODULES

# Where an operator has a line of its own, and the default of a gene.
HOMES = {
    "space/_operators.py",
    "space/_block_gene.py",
    "supernet/_operators.py",
    "supernet/_axes.py",  # what pruning knows of them; blocks with others are left whole
    "lowering/_operators.py",
}
PACKAGES = (
    "space", "samplers", "supernet", "lowering", "oracle", "report", "objective", "ax", "bayes",
    "retrain", "tracking", "pipeline",
)  # fmt: skip
# Words of other libraries that happen to be an operator's name: a torch reduction, a dashed line.
OTHER_LIBRARIES = {"sum", "dot"}


def test_the_order_of_the_papers_operators_is_that_of_stored_encodings():
    assert DENSE_OPS[:4] == ("fc", "gate", "sum", "dot")
    assert SPARSE_OPS[:2] == ("efc", "attn")
    assert preset_ops("nasrec_full", "dense") == ("fc", "gate", "sum", "dot")
    assert preset_ops("nasrec_full", "sparse") == ("efc", "attn")
    for preset in ("nasrec_small", "codesign"):
        assert preset_ops(preset, "dense") == ("fc", "dot")
        assert preset_ops(preset, "sparse") == ("efc",)
    of_others = {"autoctr": ("fc", "dot", "efc"), "dnas": ("fc", "dot"), "profit": ("fc",)}
    for preset, ops in of_others.items():
        assert (*preset_ops(preset, "dense"), *preset_ops(preset, "sparse")) == ops


def test_every_operator_has_a_module_and_a_formula():
    assert set(MODULES) == set(FORMULAS) == set(OPERATORS) == {*DENSE_OPS, *SPARSE_OPS}


@given(st.sets(st.sampled_from(DENSE_OPS), min_size=1))
def test_a_block_has_the_genes_that_one_of_its_operators_reads(ops):
    block = BlockGene(dense_ops=tuple(ops), dense_inputs=(0,), left_input=0, right_input=0)
    assert (block.dense_inputs != ()) == bool(ops & {"fc", "dot"}) == reads("dense_inputs", ops)
    assert (block.left_input is not None) == bool(ops & {"gate", "sum"})
    assert reads("gate_inputs", ops) == bool(ops & {"gate", "sum"})
    assert reads("sparse_inputs", ops) == ("dot" in ops)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"side": "left"}, "side: expected dense or sparse, got 'left'"),
        ({"reads": frozenset()}, "for a dense operator, got none"),
        ({"reads": frozenset({"mergers"})}, "reads: expected some of dense_inputs"),
        ({"side": "sparse"}, "reads: expected some of sparse_inputs for a sparse operator"),
        ({"is_symmetric": True}, "is_symmetric: expected an operator that reads gate_inputs"),
        ({"presets": ("nasrec",)}, "presets: expected some of nasrec_small"),
    ],
)
def test_an_entry_that_contradicts_itself_is_refused(values, words):
    right = {"side": "dense", "reads": frozenset({"dense_inputs"}), "label": "X"}
    OperatorSpec(**right)
    with pytest.raises(ValueError, match=words):
        OperatorSpec(**right | values)


def test_a_symmetric_operator_alone_may_swap_its_inputs():
    def canonical(ops, left, right):
        blocks = (BlockGene(), BlockGene(dense_ops=ops, left_input=left, right_input=right))
        return Genotype(blocks).canonical()

    assert canonical(("sum",), 1, 0) == canonical(("sum",), 0, 1)
    assert canonical(("fc", "sum"), 1, 0) == canonical(("fc", "sum"), 0, 1)
    assert canonical(("gate",), 1, 0) != canonical(("gate",), 0, 1)
    assert canonical(("gate", "sum"), 1, 0) != canonical(("gate", "sum"), 0, 1)


def test_balanced_rows_and_heads_by_hand():
    assert [balanced_vectors(width) for width in (16, 32, 128, 256, 1024)] == [6, 8, 16, 23, 45]
    assert balanced_vectors(np.array([16, 32, 1024])).tolist() == [6, 8, 45]
    assert [attention_heads(dim) for dim in (1, 8, 12, 13, 16, 20, 64)] == [1, 8, 6, 1, 8, 5, 8]


@given(st.integers(1, 65536))
def test_balanced_rows_of_one_and_of_many_agree(width):
    assert balanced_vectors(np.array([width])).tolist() == [balanced_vectors(width)]
    assert abs(balanced_vectors(width) - math.sqrt(2 * width)) < 0.5


def test_no_other_file_names_an_operator():
    found = []
    for package in PACKAGES:
        for path in sorted((REPOSITORY / "nasrec_opt" / package).rglob("*.py")):
            place = str(path.relative_to(REPOSITORY / "nasrec_opt"))
            if place in HOMES:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and node.value in {*OPERATORS} - OTHER_LIBRARIES:
                    found.append(f"{place}:{node.lineno}: {node.value}")
    assert found == []


def test_spaces_of_the_paper_do_not_take_up_new_operators():
    assert SearchSpace().dense_ops == SearchSpace.nasrec_full().dense_ops
    assert SearchSpace.nasrec_full().dense_ops == ("fc", "gate", "sum", "dot")
    assert SearchSpace.nasrec_full().sparse_ops == ("efc", "attn")
    assert SearchSpace.codesign().dense_ops == SearchSpace.nasrec_small().dense_ops == ("fc", "dot")


def test_a_symmetric_operator_reads_two_inputs():
    both = OperatorSpec(
        side="dense", reads=frozenset({"gate_inputs"}), label="Max", is_symmetric=True
    )
    assert both.is_symmetric
    with pytest.raises(ValueError, match=r"^is_symmetric: expected an operator that reads gate"):
        OperatorSpec(
            side="dense", reads=frozenset({"dense_inputs"}), label="Max", is_symmetric=True
        )
