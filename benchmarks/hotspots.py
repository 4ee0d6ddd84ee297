"""Where the time of a query and of a training step goes, on one thread.

    python -m benchmarks.hotspots [--genotypes 7] [--rows 2048]

A table for each space: milliseconds for each kind of operation and its share, for a query in
float32, a query in bfloat16 and a step of 512 rows, summed over the same random genotypes (one
operator and up to four inputs a branch). Products also show the rate that they reach, next to that
of one large product. The profiler measures wall time and its own cost is in it: run this alone; of
three runs the fastest counts.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from nasrec_opt import FeatureSpec, SearchSpace, Supernet
from nasrec_opt.supernet import (
    CastingReader,
    SingleOperatorAnyConnection,
    SliceAdagrad,
    ViewReader,
    train_step,
)

BATCH_SIZE = CHUNK_ROWS = 512
NUM_DENSE, NUM_SPARSE, TABLE_ROWS = 13, 26, 10_000
KINDS = {
    "products": {"aten::mm", "aten::addmm", "aten::linear"},
    "small products (Gram, attention)": {"aten::bmm", "aten::baddbmm"},
    "exponentials of attention": {"aten::exp2_"},
    "layer norm, stock kernel": {"aten::native_layer_norm", "aten::native_layer_norm_backward"},
    "sums, maxima, roots": {
        "aten::sum", "aten::mean", "aten::amax", "aten::maximum", "aten::pow", "aten::rsqrt_",
        "aten::sqrt",
    },
    "element by element": {
        "aten::add", "aten::add_", "aten::sub", "aten::sub_", "aten::mul", "aten::mul_",
        "aten::div", "aten::div_", "aten::addcmul", "aten::addcmul_", "aten::addcdiv_",
        "aten::clamp_min", "aten::clamp_min_", "aten::relu_", "aten::sigmoid",
        "aten::threshold_backward", "aten::sigmoid_backward",
    },
    "copies, concatenations, gathers": {
        "aten::copy_", "aten::cat", "aten::index_select", "aten::embedding", "aten::fill_",
        "aten::index_add_", "aten::scatter_add_", "aten::sort", "aten::_unique2",
    },
}  # fmt: skip
REPEATS = 3
REST = "dispatch and the rest"


def main() -> None:
    """Print where the time of queries and steps goes, by kind of operation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genotypes", type=int, default=7, help="genotypes that are summed over")
    parser.add_argument("--rows", type=int, default=2048, help="rows of a query")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for dtype in (torch.float32, torch.bfloat16):
        print(f"one product of 2,048 x 2,048 x 2,048, {dtype}: {large_product(dtype):.0f} GFLOP/s")
    for space in (
        replace(SearchSpace.nasrec_full(max_inputs=4), bits=(32,)),
        replace(SearchSpace.nasrec_small(max_inputs=4), bits=(32,)),
    ):
        show(space.name, measure(space, options.genotypes, options.rows))


def large_product(dtype: torch.dtype) -> float:
    """GFLOP/s of a large matrix product, the most that this processor gives."""
    values = torch.ones(2048, 2048, dtype=dtype)
    values @ values
    began = time.process_time()
    for _ in range(3):
        values @ values
    return 3 * 2 * 2048**3 / 1e9 / (time.process_time() - began)


def measure(space: SearchSpace, count: int, rows: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Milliseconds and GFLOP of each kind, for each of the three things profiled."""
    supernet = Supernet(space, FeatureSpec(NUM_DENSE, (TABLE_ROWS,) * NUM_SPARSE))
    strategy, rng = SingleOperatorAnyConnection(space), np.random.default_rng(0)
    genotypes = [strategy.sample(rng, 1.0) for _ in range(count)]
    generator = torch.Generator().manual_seed(0)
    dense = torch.rand(rows, NUM_DENSE, generator=generator)
    sparse = torch.randint(0, TABLE_ROWS, (rows, NUM_SPARSE), generator=generator)
    labels = torch.randint(0, 2, (BATCH_SIZE,), generator=generator).float()
    batch = [dense[:BATCH_SIZE], sparse[:BATCH_SIZE], labels]
    optimizer = SliceAdagrad(supernet)

    def query(dtype: torch.dtype) -> None:
        with torch.inference_mode():
            given = [dense.to(dtype), supernet.embed(sparse).to(dtype)]
            for genotype in genotypes:
                reader = ViewReader() if dtype == torch.float32 else CastingReader(dtype)
                for chunk in zip(*(values.split(CHUNK_ROWS) for values in given), strict=True):
                    hidden = supernet.hidden(genotype, *chunk, reader)
                    supernet.last_features(genotype, hidden)

    def step() -> None:
        for genotype in genotypes:
            train_step(supernet, optimizer, batch, genotype, learning_rate=0.01)

    return {
        f"query of {rows}": by_kind(lambda: query(torch.float32)),
        "in bfloat16": by_kind(lambda: query(torch.bfloat16)),
        f"step of {BATCH_SIZE}": by_kind(step),
    }


def by_kind(run: Callable[[], None]) -> dict[str, tuple[float, float]]:
    """Milliseconds and GFLOP of each kind of operation, of the fastest of several runs."""
    run()  # warm
    return min((profiled(run) for _ in range(REPEATS)), key=total_ms)


def profiled(run: Callable[[], None]) -> dict[str, tuple[float, float]]:
    """Milliseconds and GFLOP of each kind of operation, of one run."""
    with profile(activities=[ProfilerActivity.CPU], with_flops=True) as profiler:
        run()
    found: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    kinds = {name: kind for kind, names in KINDS.items() for name in names}
    for event in profiler.key_averages():
        kind = kinds.get(event.key, REST)
        milliseconds, flops = found[kind]
        found[kind] = (milliseconds + event.self_cpu_time_total / 1e3, flops + event.flops / 1e9)
    return found


def total_ms(column: dict[str, tuple[float, float]]) -> float:
    """Milliseconds of all kinds together."""
    return sum(milliseconds for milliseconds, _ in column.values())


def show(name: str, columns: dict[str, dict[str, tuple[float, float]]]) -> None:
    """Print a table of kinds, a column for each run."""
    print(f"\n| {name} | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    for kind in (*KINDS, REST):
        cells = []
        for column in columns.values():
            milliseconds, flops = column[kind]
            rate = f", {flops / milliseconds * 1e3:.0f} GFLOP/s" if "products" in kind else ""
            cells.append(f"{milliseconds:.0f} ms, {milliseconds / total_ms(column):.0%}{rate}")
        print(f"| {kind} | " + " | ".join(cells) + " |")
    totals = (f"{total_ms(column):.0f} ms" for column in columns.values())
    print("| all | " + " | ".join(totals) + " |", flush=True)


if __name__ == "__main__":
    main()
