"""The sliced supernet against the paper's way of running one, on one thread.

    python -m benchmarks.supernet [--table-rows 500000] [--genotypes 7] [--query-rows 8192]

Ours runs slices, updates the embedding rows of the batch alone, and keeps optimizer state for what
a step used. The baseline is the same network with `masking="zero"`: everything at full width, dense
gradients, `torch.optim.Adagrad` over all weights. Both have the same weights, are shown equal where
nothing is masked, and take turns on the same genotypes (one operator and up to four inputs a
branch). A step and a query in bfloat16 have our own in float32 as their baselines. The baseline
takes a tenth of a second and more for 64 rows of a query, so 65,536 rows take it minutes for each
genotype. Times are of this process's CPU; ratio = baseline / ours, spread = its quartiles over
genotypes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median, quantiles

import numpy as np
import torch
from torch.nn import functional

from nasrec_opt import FeatureSpec, Genotype, SearchSpace, Supernet
from nasrec_opt.supernet import (
    CastingReader,
    SingleOperatorAnyConnection,
    SliceAdagrad,
    full_supernet,
    train_step,
)

BATCH_SIZE = 512
CHUNK_ROWS = 512  # rows of a query at a time: about what stays in cache
NUM_DENSE, NUM_SPARSE = 13, 26


def main() -> None:
    """Print queries and training steps of each space beside their baselines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table-rows", type=int, default=500_000, help="rows of each table")
    parser.add_argument("--genotypes", type=int, default=7, help="genotypes for each line")
    parser.add_argument("--query-rows", type=int, default=8192, help="rows of a query")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'what':34}{'ours':>12}{'baseline':>12}{'ratio':>8}  spread")
    for space in (
        replace(SearchSpace.nasrec_full(max_inputs=4), bits=(32,)),
        replace(SearchSpace.nasrec_small(max_inputs=4), bits=(32,)),
    ):
        for line in compare(space, options.table_rows, options.genotypes, options.query_rows):
            print(line, flush=True)


def compare(space: SearchSpace, table_rows: int, num_genotypes: int, query_rows: int) -> list[str]:
    """The lines of one space, after checking that both supernets answer alike."""
    features = FeatureSpec(NUM_DENSE, (table_rows,) * NUM_SPARSE)
    ours = Supernet(space, features, max_table_rows=table_rows)
    baseline = Supernet(space, features, None, max_table_rows=table_rows, masking="zero")
    baseline.load_state_dict(ours.state_dict())
    show_equal(space, ours, baseline, make_batch(table_rows, 64))
    strategy, rng = SingleOperatorAnyConnection(space), np.random.default_rng(0)
    genotypes = [strategy.sample(rng, 1.0) for _ in range(num_genotypes)]
    batch, query = make_batch(table_rows, BATCH_SIZE), make_batch(table_rows, query_rows)
    queries = measure(
        genotypes,
        lambda genotype: answer(ours, genotype, query),
        lambda genotype: answer(baseline, genotype, query),
    )
    half_queries = measure(
        genotypes,
        lambda genotype: bfloat16_answer(ours, genotype, query),
        lambda genotype: answer(ours, genotype, query),
    )
    slice_wise, dense = SliceAdagrad(ours), torch.optim.Adagrad(baseline.parameters(), lr=0.01)
    steps = measure(
        genotypes,
        lambda genotype: train_step(ours, slice_wise, batch, genotype, learning_rate=0.01),
        lambda genotype: dense_step(baseline, dense, batch, genotype),
    )
    halves = measure(
        genotypes,
        lambda genotype: bfloat16_step(ours, slice_wise, batch, genotype),
        lambda genotype: train_step(ours, slice_wise, batch, genotype, learning_rate=0.01),
    )
    return [
        describe(f"{space.name}: step of {BATCH_SIZE} rows", steps),
        describe(f"{space.name}: step in bfloat16", halves),
        describe(f"{space.name}: query of {query_rows} rows", queries),
        describe(f"{space.name}: query in bfloat16", half_queries),
    ]


def show_equal(
    space: SearchSpace, ours: Supernet, baseline: Supernet, batch: list[torch.Tensor]
) -> None:
    """Where nothing is masked, both are the same function."""
    genotype = full_supernet(space)
    with torch.inference_mode():
        one, other = (net(genotype, *batch[:2]) for net in (ours, baseline))
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def make_batch(table_rows: int, rows: int) -> list[torch.Tensor]:
    """Random dense values, sparse ids and labels."""
    generator = torch.Generator().manual_seed(0)
    return [
        torch.rand(rows, NUM_DENSE, generator=generator),
        torch.randint(0, table_rows, (rows, NUM_SPARSE), generator=generator),
        torch.randint(0, 2, (rows,), generator=generator).float(),
    ]


def answer(supernet: Supernet, genotype: Genotype, query: list[torch.Tensor]) -> None:
    """Answer all rows of a query, in chunks."""
    with torch.inference_mode():
        for begin in range(0, len(query[0]), CHUNK_ROWS):
            supernet(genotype, *(values[begin : begin + CHUNK_ROWS] for values in query[:2]))


def bfloat16_answer(supernet: Supernet, genotype: Genotype, query: list[torch.Tensor]) -> None:
    """Answer all rows of a query as the oracle does in bfloat16."""
    reader = CastingReader(torch.bfloat16)
    with torch.inference_mode():
        for begin in range(0, len(query[0]), CHUNK_ROWS):
            dense, sparse = (values[begin : begin + CHUNK_ROWS] for values in query[:2])
            embedded = supernet.embed(sparse).to(reader.dtype)
            hidden = supernet.hidden(genotype, dense.to(reader.dtype), embedded, reader)
            weight, bias = supernet.last_weight(genotype, hidden)
            supernet.last_features(genotype, hidden).float() @ weight + bias


def dense_step(
    supernet: Supernet,
    optimizer: torch.optim.Optimizer,
    batch: list[torch.Tensor],
    genotype: Genotype,
) -> None:
    """A training step with dense gradients of all weights."""
    optimizer.zero_grad(set_to_none=False)
    logits = supernet(genotype, *batch[:2])
    functional.binary_cross_entropy_with_logits(logits, batch[2]).backward()
    optimizer.step()


def bfloat16_step(
    supernet: Supernet, optimizer: SliceAdagrad, batch: list[torch.Tensor], genotype: Genotype
) -> None:
    """A training step of ours in bfloat16."""
    train_step(supernet, optimizer, batch, genotype, learning_rate=0.01, precision="bfloat16")


def measure(
    genotypes: list[Genotype],
    ours: Callable[[Genotype], object],
    baseline: Callable[[Genotype], object],
) -> list[tuple[float, float]]:
    """CPU seconds of both sides for each genotype; the first is run once more to warm up."""
    for run in (ours, baseline):
        run(genotypes[0])
    return [(seconds(ours, genotype), seconds(baseline, genotype)) for genotype in genotypes]


def seconds(run: Callable[[Genotype], object], genotype: Genotype) -> float:
    """Seconds of processor time of one run."""
    began = time.process_time()
    run(genotype)
    return time.process_time() - began


def describe(what: str, pairs: list[tuple[float, float]]) -> str:
    """A line of the table from pairs of seconds, ours and the baseline's."""
    ours, baseline = (median(side) for side in zip(*pairs, strict=True))
    low, middle, high = quantiles([theirs / own for own, theirs in pairs], n=4)
    return (
        f"{what:34}{ours * 1e3:9.0f} ms{baseline * 1e3:9.0f} ms{middle:7.1f}x"
        f"  {low:.1f} to {high:.1f}"
    )


if __name__ == "__main__":
    main()
