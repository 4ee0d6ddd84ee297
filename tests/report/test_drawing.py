"""Drawings name what runs, stripe what does not, and come out as the suffix says."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasrec_opt import BlockGene, FeatureSpec, Genotype, SearchSpace
from nasrec_opt.errors import StudyError
from nasrec_opt.report import draw
from nasrec_opt.report._drawing import drawing_svg
from nasrec_opt.report._figures import summary_of
from nasrec_opt.space import liveness

LABELS = {"fc": "FC", "gate": "Gate", "sum": "Sum", "dot": "DP", "efc": "EFC", "attn": "Attn"}

SPACE = SearchSpace.nasrec_full(num_blocks=7, max_inputs=4)


def texts_of(svg: str) -> list[str]:
    root = ET.fromstring(svg)
    return ["".join(e.itertext()).strip() for e in root.iter() if e.tag.endswith("text")]


SPACES = [SPACE, SearchSpace.autoctr(), SearchSpace.dnas(), SearchSpace.profit()]


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(SPACES), st.integers(0, 2**32 - 1))
def test_every_operator_is_named_with_its_width_and_no_other(space, seed):
    genotype = space.sample(np.random.default_rng(seed))
    texts = texts_of(drawing_svg(genotype))
    named = [
        f"{' + '.join(LABELS[op] for op in ops)}  {width}"
        for gene in genotype.blocks
        for ops, width in (
            (gene.dense_ops, gene.dense_width),
            (gene.sparse_ops, gene.sparse_width),
        )
        if ops
    ]
    assert sorted(named) == sorted(text for text in texts if "  " in text)


def test_without_a_sparse_operator_fm_comes_from_the_embeddings():
    def lines(**genes):
        block = BlockGene(sparse_ops=(), **genes)
        return drawing_svg(Genotype((block,), space="custom")).count("<path")

    drawn = texts_of(
        drawing_svg(Genotype((BlockGene(sparse_ops=(), sparse_to_dense=True),), space="custom"))
    )
    assert "FM" in drawn
    assert lines(sparse_to_dense=True) > lines()


def test_dead_branches_are_striped_and_only_they():
    chain = Genotype((BlockGene(), BlockGene(dense_inputs=(0,), sparse_inputs=(1,))))
    dead = sum(not live.dense_pre for live in liveness(chain))
    assert dead == 1
    assert drawing_svg(chain).count("<pattern") == 1
    alive = Genotype((BlockGene(), BlockGene(dense_inputs=(1,), sparse_inputs=(1,))))
    assert "<pattern" not in drawing_svg(alive)


def test_bits_and_features_are_in_the_labels():
    genotype = Genotype((BlockGene(dense_bits=4, sparse_bits=(4, 6)),))
    texts = texts_of(drawing_svg(genotype, FeatureSpec(13, (5,) * 26)))
    assert "FC  128  4 bit" in texts
    assert "EFC  32  w4 a6" in texts
    assert {"13 dense features", "26 embeddings"} <= set(texts)


@pytest.mark.parametrize(("ops", "expected"), [(("gate",), ["L", "R"]), (("sum",), [])])
@pytest.mark.parametrize(("left", "right"), [(0, 1), (1, 0), (2, 1), (0, 0)])
def test_the_inputs_of_a_gate_are_told_apart(ops, expected, left, right):
    """Two models that differ in the order of a Gate's inputs have two drawings."""
    last = BlockGene(dense_ops=ops, left_input=left, right_input=right)
    genotype = Genotype((BlockGene(), BlockGene(), last))
    sides = sorted(text for text in texts_of(drawing_svg(genotype)) if text in ("L", "R"))
    assert sides == ([] if left == right else expected)
    swapped = replace(last, left_input=right, right_input=left)
    other = replace(genotype, blocks=(*genotype.blocks[:-1], swapped))
    assert (places(genotype) == places(other)) is (left == right or ops == ("sum",))


def places(genotype):
    """Where texts stand in a drawing, and which ones."""
    root = ET.fromstring(drawing_svg(genotype))
    found = [e for e in root.iter() if e.tag.endswith("text")]
    return sorted(
        ("".join(e.itertext()), e.get("transform"), e.get("x"), e.get("y"), e.get("style"))
        for e in found
    )


def test_the_first_order_term_is_drawn_where_it_is():
    without = Genotype((BlockGene(),))
    assert "first-order weights" not in texts_of(drawing_svg(without))
    term = replace(without, wide=True)
    assert "first-order weights" in texts_of(drawing_svg(term))
    assert summary_of(term) == f"{summary_of(without)} · first order"


def test_drawing_is_the_same_each_time(tmp_path):
    genotype = SPACE.sample(np.random.default_rng(5))
    for name in ("a.svg", "b.svg"):
        draw(genotype, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_other_suffix_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(StudyError, match=r"ends in \.svg or \.png"):
        draw(SPACE.sample(np.random.default_rng(0)), tmp_path / "x.pdf")
    assert list(tmp_path.iterdir()) == []
