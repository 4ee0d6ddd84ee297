"""The assumptions behind the ratios; each one that could be made otherwise is varied alone.

The searched design stays as it was found: what a search under another assumption would find is a
question for another search.
"""

from __future__ import annotations

from dataclasses import replace

from hw import Technology
from nasrec_opt.space import HardwareGene
from studies._pim_designs import (
    PLAIN_BITS,
    Change,
    Scene,
    both,
    crafted,
    figures,
    host,
    made_of,
    near_memory,
    shipped,
    with_bits,
)


def _bit_clock(t: Technology) -> Technology:
    """MNSIM 2.0's reading of a converter's rate: a bit a period, and two more."""
    periods = 10
    return figures(
        "adc",
        samples_per_ns=t.adc.samples_per_ns / periods,
        conversion_pj=t.adc.conversion_pj * periods,
    )(t)


def _doubling(t: Technology) -> Technology:
    bits = t.adc.scaling_bits
    scaling = tuple(2.0 ** (b - 8) for b in bits)
    return figures("adc", energy_scaling=scaling, area_scaling=scaling)(t)


def _slow_buffers(t: Technology) -> Technology:
    return figures("tile", buffer_access_ns=tuple(20.0 for _ in t.tile.buffer_access_ns))(t)


def _pairs(t: Technology) -> Technology:
    changed = figures("crossbar", encoding="pair_digital")(figures("adc", flip_encoding=False)(t))
    return changed


def _leaking(factor: float) -> Change:
    def change(t: Technology) -> Technology:
        leaks = figures("element", leakage_mw=t.element.leakage_mw * factor)(t)
        return figures("bank", leakage_mw=t.bank.leakage_mw * factor)(leaks)

    return both(change)


def _as_many_copies(scene: Scene) -> Scene:
    gene = scene.genotype.hardware or HardwareGene()
    return crafted(figures("element", replication=gene.replication))(scene)


def _searched(**genes: int) -> Change:
    def change(scene: Scene) -> Scene:
        gene = replace(scene.genotype.hardware or HardwareGene(), **genes)
        return replace(scene, genotype=replace(scene.genotype, hardware=gene))

    return change


def _bits_alone(scene: Scene) -> Scene:
    return made_of(scene.handcrafted)(scene)


def _cacti_buffers(t: Technology) -> Technology:
    """The figures of the buffers of `handcrafted.toml`, CACTI's at 32 nm."""
    tile = shipped("handcrafted.toml").tile
    buffers = {
        name: getattr(tile, name)
        for name in (
            "buffer_sizes_kib", "buffer_read_pj", "buffer_write_pj", "buffer_area_um2",
            "buffer_leakage_uw", "buffer_access_ns", "access_bits",
        )
    }  # fmt: skip
    return figures("tile", **buffers)(t)


def _no_bits(scene: Scene) -> Scene:
    gene = scene.genotype.hardware
    return replace(scene, genotype=replace(with_bits(scene.genotype, PLAIN_BITS), hardware=gene))


def _batches(scene: Scene) -> Scene:
    rows = 256
    cpu = scene.cpu.cpu
    changed = host(
        peak_gflops=18 * cpu.peak_gflops,
        call_overhead_ns=cpu.call_overhead_ns / rows,
        weights_gb_per_s=cpu.weights_gb_per_s * rows,
    )(scene)
    return replace(changed, is_streamed=True)


# On whose figures the searched and the handcrafted design are compared. The paper names MNSIM 2.0's
# for crossbars and CACTI's at 32 nm for buffers, and does not say that it searched more than bits.
MNSIM = shipped("mnsim_2_0.toml")
PIM128 = shipped("mnsim_2_0_pim128.toml")  # MNSIM 2.0 with crossbars of 128 x 128, as ISAAC's
PARAMETERS: tuple[tuple[str, Change], ...] = (
    ("ISAAC, bits and accelerator searched", lambda s: s),
    ("ISAAC, bits alone", _bits_alone),
    ("MNSIM 2.0, bits alone", made_of(MNSIM)),
    ("MNSIM 2.0 pim128, bits alone", made_of(PIM128)),
    ("MNSIM 2.0, CACTI's buffers, bits alone", made_of(_cacti_buffers(MNSIM))),
    ("MNSIM 2.0 pim128, CACTI's buffers, bits alone", made_of(_cacti_buffers(PIM128))),
)

# What is assumed instead, and the change that assumes it.
ASSUMPTIONS: tuple[tuple[str, Change], ...] = (
    (
        "baselines run a DLRM-like model, not the searched one",
        lambda s: replace(s, baseline_model="dlrm"),
    ),
    ("searched: bits alone, on the handcrafted accelerator", _bits_alone),
    *((f"both: {name}", change) for name, change in PARAMETERS[2:]),
    ("searched: accelerator alone, 8 bits", _no_bits),
    ("searched: no copies of crossbars", _searched(replication=1)),
    ("handcrafted: as many copies as the searched one", _as_many_copies),
    ("handcrafted: 16 converters a crossbar, not 1", crafted(figures("adc", per_crossbar=16))),
    ("both: 16 converters a crossbar, not 1", both(figures("adc", per_crossbar=16))),
    ("both: signs in pairs of arrays, not an offset", both(_pairs)),
    ("both: converters that clip", both(figures("adc", clips=True))),
    ("both: a converter's rate is a bit clock (MNSIM 2.0)", both(_bit_clock)),
    ("both: a converter's energy doubles with each bit (ISAAC)", both(_doubling)),
    ("both: a read takes 10 ns, not 100", both(figures("crossbar", read_ns=10.0))),
    ("both: 20 ns per buffer access (MNSIM 2.0)", both(_slow_buffers)),
    ("both: whole tiles for each operator (MNSIM 2.0)", both(figures("tile", whole=True))),
    ("both: no leakage", _leaking(0.0)),
    ("both: leakage of 10 % of power, not 1 %", _leaking(10.0)),
    ("all: no embedding memory", lambda s: replace(s, has_tables=False)),
    ("all: samples follow each other", lambda s: replace(s, is_streamed=True)),
    ("host: batches of 256 on 18 cores, and samples follow each other", _batches),
    ("host: 5.6 pJ an operation, not 56", host(flop_pj=5.6)),
    ("host: calls cost no time", host(call_overhead_ns=0.0)),
    ("host: weights at 20 GB/s, not 140.8", host(weights_gb_per_s=20.0)),
    ("RecNMP: 26 rows pooled into one", near_memory(pooling=26.0)),
    ("RecNMP: every row in its cache", near_memory(cache_hit=1.0)),
)
