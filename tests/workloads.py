"""Workloads and technologies that the tests of `hw` draw."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from hw import Digital, Lookup, MatrixVector, Operation, Popularity, ReRAM, Technology, Workload
from hw.files import ENCODINGS, SCHEDULES

sizes = st.one_of(st.integers(1, 40), st.sampled_from([127, 128, 129, 512, 1024, 2176]))
bits = st.integers(1, 16)


@st.composite
def accelerators(draw) -> ReRAM:
    """Any crossbars, with ISAAC's conventions or others."""
    model = ReRAM().with_parameters(
        crossbar_rows=draw(st.sampled_from([16, 64, 100, 128, 256])),
        crossbar_cols=draw(st.sampled_from([16, 64, 100, 128, 256])),
        cell_bits=draw(st.integers(1, 4)),
        dac_bits=draw(st.integers(1, 4)),
        adc_bits=draw(st.integers(5, 12)),  # enough for one row of 4-bit cells, signs in pairs
        replication=draw(st.integers(1, 4)),
        buffer_kib=draw(st.sampled_from([1, 24, 64, 4096])),
    )
    t = model.technology
    encoding = draw(st.sampled_from(ENCODINGS))
    t = with_figures(
        t, "adc", flip_encoding=False, clips=draw(st.booleans()),
        schedule=draw(st.sampled_from(SCHEDULES)), per_crossbar=draw(st.integers(1, 8)),
    )  # fmt: skip
    t = with_figures(t, "crossbar", encoding=encoding, slices_apart=draw(st.booleans()))
    if encoding == "offset":
        t = with_figures(t, "adc", flip_encoding=draw(st.booleans()))
    t = with_figures(t, "dac", per_crossbar=draw(st.sampled_from([0, 8, 64])))
    t = with_figures(t, "tile", whole=draw(st.booleans()), element_buffers=draw(st.booleans()))
    t = with_figures(t, "hot_rows", kib=draw(st.sampled_from([0, 1, 100, 5000])))
    return ReRAM(t, Popularity.of([*draw(st.lists(st.integers(0, 9))), 1]))


@st.composite
def products(draw, name: str = "product") -> MatrixVector:
    return MatrixVector(
        name=name,
        operator=draw(st.sampled_from(["fc", "efc"])),
        inputs=draw(sizes),
        outputs=draw(sizes),
        repeats=draw(st.integers(1, 20)),
        weight_bits=draw(bits),
        activation_bits=draw(bits),
    )


@st.composite
def digitals(draw, name: str = "digital") -> Digital:
    count = st.integers(0, 5000)
    return Digital(
        name=name,
        operator=draw(st.sampled_from(["dot", "fm"])),
        macs=draw(count),
        additions=draw(count),
        special_functions=draw(count),
        bits=draw(bits),
    )


@st.composite
def lookups(draw, name: str = "embedding") -> Lookup:
    return Lookup(name=name, vectors=draw(st.integers(1, 50)), dim=draw(st.integers(1, 64)))


def floating(workload: Workload) -> Workload:
    """The same in floating point."""
    bits = {"weight_bits": 32, "activation_bits": 32}
    return Workload(tuple(
        replace(o, **bits) if isinstance(o, MatrixVector)
        else replace(o, bits=32) if isinstance(o, Digital)
        else o
        for o in workload.operations
    ))  # fmt: skip


@st.composite
def workloads(draw) -> Workload:
    """Up to seven operations, each of which needs any of the earlier ones."""
    operations: list[Operation] = []
    for number in range(draw(st.integers(1, 7))):
        kind = draw(st.sampled_from([products, digitals, lookups]))
        operation = draw(kind(name=f"operation {number}"))
        earlier = [o.name for o in operations]
        after = draw(st.lists(st.sampled_from(earlier), unique=True)) if earlier else []
        operations.append(replace(operation, after=tuple(after)))
    return Workload(tuple(operations))


def with_figures(technology: Technology, section: str, **figures: object) -> Technology:
    """The technology with some figures of one section changed."""
    return replace(technology, **{section: replace(getattr(technology, section), **figures)})
