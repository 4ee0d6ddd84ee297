"""Workloads: sums over operations, and what cannot be is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workloads import products, workloads

from hw import (
    DescriptionError,
    Digital,
    HwError,
    Lookup,
    MatrixVector,
    Workload,
    critical_path,
    join,
)


@given(products())
def test_a_product_counts_what_a_loop_does(product):
    macs = 0
    for _vector in range(product.repeats):
        for _output in range(product.outputs):
            macs += product.inputs
    assert product.macs == macs
    assert product.parameters == product.inputs * product.outputs


@given(workloads())
def test_a_workload_sums_its_operations(workload):
    assert workload.macs == sum(o.macs for o in workload.operations)
    assert workload.mflops == pytest.approx(workload.macs / 1e6)
    assert workload.mflops_paper == pytest.approx(workload.mflops)  # no operation says otherwise
    assert workload.parameters == sum(o.parameters for o in workload.operations)


@given(st.lists(workloads(), min_size=1, max_size=3), st.booleans())
def test_joined_workloads_keep_their_operations_and_wait_only_where_asked(several, at_once):
    whole = join(several, at_once=at_once)
    assert whole.macs == sum(workload.macs for workload in several)
    assert whole.parameters == sum(workload.parameters for workload in several)
    one = {o.name: 1.0 for o in whole.operations}
    lengths = [
        len(critical_path(w.operations, {o.name: 1.0 for o in w.operations})) for w in several
    ]
    together = len(critical_path(whole.operations, one))
    if at_once:
        assert together == max(lengths)
    else:
        assert together >= max(lengths)


def test_the_papers_rule_replaces_macs_where_an_operation_says_so():
    workload = Workload(
        (
            Lookup(name="embedding", vectors=26, dim=16, table_rows=1000),
            MatrixVector(
                name="a", operator="gate", inputs=16, outputs=16, extra_parameters=5, paper_macs=400
            ),
            MatrixVector(name="b", operator="fc", inputs=100, outputs=10, after=("a",)),
            Digital(name="c", operator="dot", macs=1000, unit_macs=400, extra_parameters=7),
        )
    )
    assert workload.macs == 256 + 1000 + 1000
    assert workload.mflops_paper == pytest.approx(2400e-6)
    assert workload.parameters == 256 + 5 + 1000 + 7
    assert workload.embedding_parameters == 16000
    assert workload.operations[3].multiplications == 400
    assert Digital(name="d", operator="dot", macs=3).multiplications == 3


def test_a_list_of_operations_becomes_a_tuple():
    operations = [Digital(name="a", operator="sum", additions=3)]
    assert Workload(operations).operations == tuple(operations)
    assert hash(Workload(operations)) == hash(Workload(tuple(operations)))


def vector(**fields):
    return MatrixVector(**{"name": "fc", "operator": "fc", "inputs": 2, "outputs": 3} | fields)


def digital(**fields):
    return Digital(name="gram", operator="dot", **fields)


def lookup(**fields):
    return Lookup(**{"name": "embedding", "vectors": 1, "dim": 1} | fields)


@pytest.mark.parametrize(
    ("make", "fields", "sentence"),
    [
        (vector, {"inputs": 0}, "fc: inputs: expected 1 or more, got 0"),
        (vector, {"outputs": 1.5}, "fc: outputs: expected 1 or more, got 1.5"),
        (vector, {"repeats": True}, "fc: repeats: expected 1 or more, got True"),
        (
            vector,
            {"weight_bits": 17},
            "fc: weight_bits: expected 1 to 16, or 32 for floating point, got 17",
        ),
        (
            vector,
            {"activation_bits": 7.5},
            "fc: activation_bits: expected 1 to 16, or 32 for floating",
        ),
        (vector, {"weight_bits": 24}, "fc: weight_bits: expected 1 to 16, or 32"),
        (vector, {"extra_parameters": -1}, "fc: extra_parameters: expected 0 or more, got -1"),
        (digital, {"macs": -1}, "gram: macs: expected 0 or more, got -1"),
        (digital, {"unit_macs": -2}, "gram: unit_macs: expected 0 or more, got -2"),
        (digital, {"additions": 0.5}, "gram: additions: expected 0 or more, got 0.5"),
        (digital, {"special_functions": -1}, "gram: special_functions: expected 0 or more"),
        (digital, {"bits": 0}, "gram: bits: expected 1 to 16, or 32 for floating point, got 0"),
        (lookup, {"vectors": 0}, "embedding: vectors: expected 1 or more, got 0"),
        (lookup, {"value_bits": 0}, "embedding: value_bits: expected 1 or more, got 0"),
        (lookup, {"table_rows": -1}, "embedding: table_rows: expected 0 or more, got -1"),
    ],
)
def test_an_operation_that_cannot_be_names_the_field(make, fields, sentence):
    make()  # only the field makes it wrong
    with pytest.raises(DescriptionError) as caught:
        make(**fields)
    assert str(caught.value).startswith(sentence)


def test_needs_are_earlier_operations_and_names_are_used_once():
    with pytest.raises(DescriptionError, match="fc: after: expected earlier operations, got 'b'"):
        Workload((vector(after=("b",)), vector(name="b")))
    with pytest.raises(DescriptionError, match="fc: after: expected earlier operations, got 'fc'"):
        Workload((vector(after=("fc",)),))
    with pytest.raises(DescriptionError, match="fc: expected unique names, got this one twice"):
        Workload((vector(), vector()))


def test_one_root_catches_every_error():
    with pytest.raises(HwError):
        vector(inputs=0)
    with pytest.raises(ValueError, match="inputs"):
        vector(inputs=0)
