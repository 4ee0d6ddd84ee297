"""What a first-order term costs, worked by hand, on every accelerator."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hw import CPU, Digital, Lookup, MatrixVector, RecNMP, ReRAM
from nasrec_opt import FeatureSpec, Genotype
from nasrec_opt.lowering import cost_many, lower
from nasrec_opt.space import BlockGene

CRITEO = FeatureSpec(13, (5,) * 26)
NO_DENSE = FeatureSpec(0, (4, 9, 5))
WITHOUT = Genotype((BlockGene(dense_width=16, sparse_width=16),))
TERM = replace(WITHOUT, wide=True)


def added(features: FeatureSpec, genotype: Genotype = TERM) -> list:
    """The operations that the term adds, all else being as without it."""
    before = lower(replace(genotype, wide=False), features).operations
    after = lower(genotype, features).operations
    assert after[: len(before)] == before
    return list(after[len(before) :])


def test_the_term_is_a_lookup_a_small_product_and_a_sum():
    assert added(CRITEO) == [
        Lookup(name="wide/lookup", operator="wide", vectors=26, dim=1, table_rows=130),
        MatrixVector(name="wide/dense", operator="wide", inputs=13, outputs=1),
        # 26 weights and a product, 27 terms, added to the logit.
        Digital(
            name="wide/add", operator="wide", additions=27,
            after=("wide/lookup", "wide/dense", "final"),
        ),
    ]  # fmt: skip
    assert added(NO_DENSE) == [
        Lookup(name="wide/lookup", operator="wide", vectors=3, dim=1, table_rows=18),
        Digital(name="wide/add", operator="wide", additions=3, after=("wide/lookup", "final")),
    ]


def test_it_has_the_bits_of_the_final_layer():
    operations = {o.name: o for o in added(CRITEO, TERM.with_bits(4))}
    assert (operations["wide/dense"].weight_bits, operations["wide/add"].bits) == (8, 8)
    operations = {o.name: o for o in added(CRITEO, TERM.with_bits(32))}
    assert (operations["wide/dense"].weight_bits, operations["wide/add"].bits) == (32, 32)


def test_macs_and_parameters_are_those_of_the_dense_weights():
    one, other = lower(WITHOUT, CRITEO), lower(TERM, CRITEO)
    assert other.macs - one.macs == 13
    assert other.mflops_paper - one.mflops_paper == pytest.approx(13e-6)
    assert other.parameters - one.parameters == 13
    assert other.embedding_parameters - one.embedding_parameters == 130


@pytest.mark.parametrize("accelerator", [ReRAM(), RecNMP(), CPU()], ids=lambda a: type(a).__name__)
@pytest.mark.parametrize("features", [CRITEO, NO_DENSE], ids=["criteo", "no dense"])
def test_every_accelerator_charges_for_it(accelerator, features):
    one, other = (accelerator.cost(lower(genotype, features)) for genotype in (WITHOUT, TERM))
    assert other.energy_pj > one.energy_pj
    assert other.latency_ns > one.latency_ns  # the addition comes after the final layer
    part = [p for p in other.breakdown if p.operator == "wide"]
    assert {p.name for p in part} >= {"wide/lookup", "wide/add"}
    together = cost_many([WITHOUT, TERM] * 8, features, accelerator)
    assert together.energy_pj[1] == other.energy_pj


def test_on_a_cpu_by_hand():
    """Figures of `cpu.toml`: the lookup runs beside the blocks, the sum after the final layer."""
    cpu = CPU()
    figures, dram = cpu.cpu, cpu.dram
    cost = {p.name: p for p in cpu.cost(lower(TERM, CRITEO)).breakdown}
    # 4 bytes come as a burst of 64 as well: a row costs what a row of an embedding costs.
    row_pj = dram.activate_pj + dram.burst_bits * (dram.read_pj_per_bit + dram.io_pj_per_bit)
    assert cost["wide/lookup"].energy_pj == pytest.approx(26 * row_pj)
    assert cost["wide/lookup"].energy_pj == pytest.approx(cost["embedding"].energy_pj)
    assert cost["wide/dense"].energy_pj == pytest.approx(
        2 * 13 * figures.flop_pj / figures.int8_speedup
    )
    assert cost["wide/add"].energy_pj == pytest.approx(27 * figures.flop_pj)
    assert cost["wide/add"].latency_ns == pytest.approx(
        figures.call_overhead_ns + 27 / figures.peak_gflops
    )
