"""Moving the vectors of a product: buffers, the bus of a tile, links between banks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from hw._arrays import divide_up
from hw.files import Technology
from hw.reram._charge import Charge
from hw.reram._mapping import Mapping
from hw.reram._parts import Products

Array = Any  # of numbers, one for each product


@dataclass(frozen=True, slots=True)
class Movement:
    """Time and energy of one vector, for `buffer_read`, `buffer_write` and `transport`."""

    latency_ns: dict[str, Array]
    energy_pj: dict[str, Array]


def movement(products: Products, mapping: Mapping, charged: Charge, t: Technology) -> Movement:
    """Cost of bringing a vector to its crossbars and its result away."""
    if t.tile.element_buffers:
        return _element_buffers(products, mapping, charged, t)
    bits_in = products.inputs * products.activation_bits
    bits_out = products.outputs * products.activation_bits
    reads = divide_up(bits_in, t.tile.access_bits)
    writes = divide_up(bits_out, t.tile.access_bits)
    # The bus moves one access while the buffer works on the next.
    access_ns = max(
        _at_size(t, t.tile.buffer_access_ns), t.tile.access_bits / t.tile.bus_bits_per_ns
    )
    hops = t.bank.hops
    return Movement(
        latency_ns={
            "buffer_read": reads * access_ns,
            "buffer_write": writes * access_ns,
            "transport": (hops > 0) * (hops * t.bank.hop_ns + bits_in / t.bank.link_bits_per_ns),
        },
        energy_pj={
            "buffer_read": reads * _at_size(t, t.tile.buffer_read_pj),
            "buffer_write": writes * _at_size(t, t.tile.buffer_write_pj),
            "transport": (bits_in + bits_out) * t.tile.bus_pj_per_bit
            + bits_in * (hops * t.bank.link_pj_per_bit),
        },
    )


def _element_buffers(
    products: Products, mapping: Mapping, charged: Charge, t: Technology
) -> Movement:
    """MNSIM 2.0: elements load and read inputs in parallel, then a tile merges their results.

    All buffers of a tile are charged during each access. The results of a product's tiles are
    collected in one of the tiles, which the others reach over `_hops`.
    """
    port, bits = t.tile.access_bits, products.activation_bits
    rows = np.minimum(products.inputs, t.crossbar.rows)
    columns, elements = mapping.columns_in_use, charged.elements_per_tile
    merged = charged.adder_levels
    codes = t.adc.bits + merged  # bits of a merged result
    loads = divide_up(rows * bits, port)
    reads = loads + divide_up(columns * bits * elements, port)
    writes = loads + divide_up(codes * columns * elements, port)
    buffers = charged.tiles * (elements + 1)
    access_ns = _at_size(t, t.tile.buffer_access_ns)
    tree = math.ceil(math.log2(t.tile.elements))
    in_tile = (tree * codes - merged * (merged + 1) / 2) * columns / t.tile.bus_bits_per_ns
    hop_ns = t.bank.hop_ns + columns * elements * bits / t.bank.link_bits_per_ns
    hops = np.array([_hops(int(tiles)) for tiles in charged.tiles], dtype=np.int64)
    moved = (products.inputs + products.outputs) * bits * t.tile.bus_pj_per_bit
    return Movement(
        latency_ns={
            "buffer_read": reads * access_ns,
            "buffer_write": writes * access_ns,
            "transport": in_tile + hops * hop_ns,
        },
        energy_pj={
            "buffer_read": buffers * reads * _at_size(t, t.tile.buffer_read_pj),
            "buffer_write": buffers * writes * _at_size(t, t.tile.buffer_write_pj),
            "transport": moved + hops * columns * elements * bits * t.bank.link_pj_per_bit,
        },
    )


@lru_cache(maxsize=4096)
def buffer_figure(kib: float, sizes: tuple[float, ...], table: tuple[float, ...]) -> float:
    """A figure of a buffer of this size, between the sizes of the table on a log scale."""
    return float(np.exp(np.interp(math.log(kib), np.log(np.array(sizes)), np.log(np.array(table)))))


def _at_size(t: Technology, table: tuple[float, ...]) -> float:
    return buffer_figure(t.tile.buffer_kib, t.tile.buffer_sizes_kib, table)


@lru_cache(maxsize=4096)
def _hops(tiles: int) -> int:
    """Hops from the farthest of a product's tiles to the one that collects their results.

    The tiles stand on a spiral around the chip's first tile, which belongs to another layer.
    """
    if tiles == 1:
        return 0
    places = np.array(_spiral(tiles + 1)[1:])
    # Hops |dx| + |dy| are the larger of the differences of x + y and of x - y: the farthest tile is
    # at an extreme of one of them.
    turned = places @ np.array([[1, 1], [1, -1]])
    farthest = np.maximum(turned.max(axis=0) - turned, turned - turned.min(axis=0)).max(axis=1)
    return int(farthest.min())


def _spiral(count: int) -> list[tuple[int, int]]:
    """The first places of a square spiral."""
    x = y = 0
    dx, dy = 1, 0
    places: list[tuple[int, int]] = []
    run = 1
    while len(places) < count:
        for _side in range(2):
            for _step in range(run):
                places.append((x, y))
                x, y = x + dx, y + dy
            dx, dy = -dy, dx
        run += 1
    return places[:count]
