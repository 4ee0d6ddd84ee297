"""The designs that the claims study compares, and the assumptions under which it does.

A `Scene` holds everything that a comparison depends on; an assumption is a change of a scene.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from hw import (
    CPU,
    Cost,
    CostModel,
    Digital,
    Lookup,
    MatrixVector,
    Operation,
    RecNMP,
    ReRAM,
    Technology,
    Workload,
    read_accelerator,
)
from nasrec_opt.features import FeatureSpec
from nasrec_opt.lowering import configure, lower
from nasrec_opt.space import Genotype

CRITEO = FeatureSpec(13, (1,) * 26)  # vocabularies do not enter a cost
DLRM_BOTTOM, DLRM_TOP = (13, 512, 256, 64, 16), (512, 256, 1)
PLAIN_BITS = 8  # of all operators of the handcrafted design
FLOAT_BITS = 32  # of those of RecNMP and the CPU, which compute in fp32
BASELINES = ("handcrafted", "RecNMP", "CPU")


def shipped(name: str) -> Technology:
    """The figures of a ReRAM accelerator that ships, by the name of its file."""
    model = read_accelerator(name)
    assert isinstance(model, ReRAM)  # as its file says
    return model.technology


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is compared, on which figures.

    Args:
        genotype: The searched model with its bits and its accelerator genes.
        technology: Figures of the searched accelerator, before its genes.
        handcrafted: Figures of the handcrafted one.
        recnmp: RecNMP.
        cpu: The processor alone.
        baseline_model: What the baselines run: `searched`, or `dlrm`; at 8 bits on the handcrafted
            design, in fp32 on the others.
        has_tables: Whether embedding rows are read at all.
        is_streamed: Whether samples follow each other: time is that from one to the next.
    """

    genotype: Genotype
    technology: Technology = field(default_factory=lambda: ReRAM().technology)
    handcrafted: Technology = field(default_factory=lambda: shipped("handcrafted.toml"))
    recnmp: RecNMP = field(default_factory=RecNMP)
    cpu: CPU = field(default_factory=CPU)
    baseline_model: str = "searched"
    has_tables: bool = True
    is_streamed: bool = False

    def searched(self) -> Cost:
        """Cost of the searched model on the searched accelerator."""
        model = ReRAM(self.technology)
        if self.genotype.hardware is not None:
            model = configure(model, self.genotype.hardware)
        return model.cost(self._tables(lower(self.genotype, CRITEO)))

    def baseline(self, name: str) -> Cost:
        """Cost of a baseline, one of `BASELINES`."""
        bits = PLAIN_BITS if name == "handcrafted" else FLOAT_BITS
        if self.baseline_model == "dlrm":
            workload = dlrm(bits)
        else:
            workload = lower(with_bits(self.genotype, bits), CRITEO)
        models: dict[str, CostModel] = {
            "handcrafted": ReRAM(self.handcrafted),
            "RecNMP": self.recnmp,
            "CPU": self.cpu,
        }
        return models[name].cost(self._tables(workload))

    def time_us(self, cost: Cost) -> float:
        """What a sample takes: its latency, or the time to the next one."""
        if self.is_streamed:
            return 1e6 / cost.samples_per_s
        return cost.latency_ns * 1e-3  # ns -> us

    def energy_uj(self, cost: Cost) -> float:
        """What a sample takes; where samples follow each other, leakage of its interval."""
        if not self.is_streamed:
            return cost.energy_pj * 1e-6  # pJ -> uJ
        many = 1 << 20
        return cost.batch_energy_pj(many) / many * 1e-6

    def ratios(self, name: str) -> tuple[float, float]:
        """How many times as fast as a baseline the searched design is, and with how much less."""
        mine, theirs = self.searched(), self.baseline(name)
        speed = self.time_us(theirs) / self.time_us(mine)
        return speed, self.energy_uj(theirs) / self.energy_uj(mine)

    def area_and_power(self) -> tuple[float, float]:
        """How many times the area and the mean power of the handcrafted design are the searched's.

        The other baselines have no area that includes their host.
        """
        mine, theirs = self.searched(), self.baseline("handcrafted")
        return theirs.area_mm2 / mine.area_mm2, theirs.power_mw / mine.power_mw

    def _tables(self, workload: Workload) -> Workload:
        if self.has_tables:
            return workload
        operations = []
        for operation in workload.operations:
            if not isinstance(operation, Lookup):
                after = tuple(name for name in operation.after if name != "embedding")
                operations.append(replace(operation, after=after))
        return Workload(tuple(operations))


def with_bits(genotype: Genotype, bits: int) -> Genotype:
    """The same architecture with all operators at some bits, without accelerator genes."""
    return replace(genotype.with_bits(bits), hardware=None, space="custom")


def dlrm(bits: int = PLAIN_BITS) -> Workload:
    """A DLRM-like model of Criteo: 13-512-256-64-16, products of all pairs, 512-256-1."""
    operations: list[Operation] = [Lookup(name="embedding", vectors=26, dim=DLRM_BOTTOM[-1])]
    last = _layers("bottom", DLRM_BOTTOM, (), operations, bits)
    vectors = 26 + 1
    pairs = vectors * (vectors - 1) // 2
    dim = DLRM_BOTTOM[-1]
    dot = Digital(
        name="dot", operator="dot", macs=vectors**2 * dim, unit_macs=pairs * dim,
        after=("embedding", *last), bits=bits,
    )  # fmt: skip
    operations.append(dot)
    _layers("top", (pairs + dim, *DLRM_TOP), ("dot",), operations, bits)
    return Workload(tuple(operations))


def _layers(
    part: str,
    widths: tuple[int, ...],
    after: tuple[str, ...],
    operations: list[Operation],
    bits: int,
) -> tuple[str, ...]:
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        name = f"{part}/{number}"
        product = MatrixVector(
            name=name, operator="fc", inputs=inputs, outputs=outputs, after=after,
            weight_bits=bits, activation_bits=bits, extra_parameters=outputs,
        )  # fmt: skip
        relu = Digital(
            name=f"{name}/relu", operator="fc", additions=2 * outputs, bits=bits, after=(name,),
        )  # fmt: skip
        operations += [product, relu]
        after = (relu.name,)
    return after


Change = Callable[[Scene], Scene]


def figures(section: str, **changed: Any) -> Callable[[Technology], Technology]:
    """A change of some figures of one section."""

    def change(t: Technology) -> Technology:
        changes: Any = {section: replace(getattr(t, section), **changed)}
        return replace(t, **changes)

    return change


def both(change: Callable[[Technology], Technology]) -> Change:
    """The same change of the searched and of the handcrafted accelerator."""
    return lambda s: replace(s, technology=change(s.technology), handcrafted=change(s.handcrafted))


def made_of(technology: Technology) -> Change:
    """Both accelerators with the same figures: of the searched design its model and bits remain."""
    return lambda s: replace(
        s,
        genotype=replace(s.genotype, hardware=None, space="custom"),
        technology=technology,
        handcrafted=technology,
    )


def crafted(change: Callable[[Technology], Technology]) -> Change:
    """A change of the handcrafted accelerator alone."""
    return lambda s: replace(s, handcrafted=change(s.handcrafted))


def host(**changed: float) -> Change:
    """A change of the processor, RecNMP's and the one alone."""
    return lambda s: replace(
        s,
        cpu=s.cpu.with_figures(**changed),
        recnmp=replace(s.recnmp, cpu=replace(s.recnmp.cpu, **changed)),
    )


def near_memory(**changed: float) -> Change:
    """A change of RecNMP's units."""
    return lambda s: replace(s, recnmp=s.recnmp.with_figures(**changed))
