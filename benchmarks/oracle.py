"""What an answer of the oracle costs, on one thread.

    python -m benchmarks.oracle [--rows 4096] [--genotypes 5] [--ranked 40] [--last-layer]

Lines, for each space; both sides have the same weights, are shown equal first, and take turns:

* query: an answer of the sliced supernet, nothing at hand, against one of the same network with
  `masking="zero"` (the published system: everything at full width, then multiplied by zero);
* query in bfloat16: the same in bfloat16, against float32; Kendall's tau between the two rankings
  of `--ranked` genotypes follows;
* child: a mutation of a genotype that was asked before, against the same child asked of an oracle
  that was asked nothing, four children of each genotype; children together: those of one genotype
  in one call, against one by one;
* last layer: the fit by Newton's method against 500 steps of Adagrad, as published but for the
  rows, on the same features, and the log loss that each reaches on the validation rows, where
  ratio stands for the difference; `--last-layer` gives these lines alone;
* again: a genotype asked a second time, against the first.

The supernet is trained for one pass over a synthetic log. Times are of this process's CPU; ratio =
baseline / ours, spread = its quartiles over genotypes; for children, ratio is that of the totals,
and the mean of the single ratios follows.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

import numpy as np
import torch

from nasrec_opt import Genotype, SearchSpace, Supernet
from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.oracle import OracleOptions, SupernetOracle, fit_adagrad, fit_newton, score
from nasrec_opt.supernet import (
    SingleOperatorAnyConnection,
    TrainConfig,
    full_supernet,
    train_supernet,
)

ROWS_PER_VALIDATION_ROW = 10
FIT_ROWS = 8192
REPEATS = 1000  # of an answer from memory

Pairs = list[tuple[float, float]]  # ours and the baseline's, for each genotype


class Features(NamedTuple):
    """Inputs of the last layer of one genotype, and the layer."""

    train: torch.Tensor  # [rows, width]
    validation: torch.Tensor  # [rows, width]
    weight: torch.Tensor  # [width]
    bias: torch.Tensor  # [1]


def main() -> None:
    """Print what answers cost in each space, and what fits of the last layer do."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=4096, help="validation rows of an answer")
    parser.add_argument("--genotypes", type=int, default=5, help="genotypes for each line")
    parser.add_argument("--ranked", type=int, default=40, help="genotypes ranked in bfloat16")
    parser.add_argument("--last-layer", action="store_true", help="the lines of its fit alone")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        # Some more rows than needed, since the split is drawn.
        rows = int(options.rows * ROWS_PER_VALIDATION_ROW * 1.05) + 1000
        dataset = generate_synthetic(Path(folder) / "dataset", rows=rows)
        print(f"{'what':42}{'ours':>13}{'baseline':>13}{'ratio':>9}  spread")
        for space in (
            replace(SearchSpace.nasrec_full(max_inputs=4), bits=(32,)),
            replace(SearchSpace.nasrec_small(max_inputs=4), bits=(32,)),
        ):
            supernet = Supernet(space, dataset.features)
            train_supernet(supernet, dataset, Path(folder) / space.name, TrainConfig())
            if options.last_layer:
                drawn, _ = genotypes_of(space, options.genotypes)
                compare_fits(supernet, dataset, drawn, options.rows)
            else:
                compare(supernet, dataset, options.rows, options.genotypes, options.ranked)


def genotypes_of(space: SearchSpace, count: int) -> tuple[list[Genotype], np.random.Generator]:
    """What every line is about, and the generator that further genotypes are drawn from."""
    strategy, rng = SingleOperatorAnyConnection(space), np.random.default_rng(0)
    return [strategy.sample(rng, 1.0) for _ in range(count)], rng


def compare(supernet: Supernet, dataset: Dataset, rows: int, count: int, ranked: int) -> None:
    """Print what queries, children and broods of one supernet cost beside their baselines."""
    space = supernet.space
    genotypes, rng = genotypes_of(space, count)
    families = [(parent, [space.mutate(parent, rng) for _ in range(4)]) for parent in genotypes]

    def fresh(*, memory_bytes: int = 1 << 30, **options: Any) -> SupernetOracle:
        asked = OracleOptions(**{"rows": rows} | options)
        return SupernetOracle(supernet, dataset, asked, memory_bytes=memory_bytes)

    show(f"{space.name}: query of {rows} rows", queries(supernet, dataset, genotypes, fresh))
    show(f"{space.name}: query in bfloat16", halves(genotypes, fresh))
    more = [SingleOperatorAnyConnection(space).sample(rng, 1.0) for _ in range(ranked)]
    print(f"{space.name + ': tau between the two':42}{agreement(more, fresh):35.3f}", flush=True)
    pairs = [pair for family in families for pair in single_children(*family, fresh)]
    show(f"{space.name}: child", pairs, of_totals=True)
    mean = sum(theirs / own for own, theirs in pairs) / len(pairs)
    print(f"{space.name + ': child, mean ratio':42}{mean:34.1f}x")
    show(f"{space.name}: 4 children together", [brood(children, fresh) for _, children in families])
    compare_fits(supernet, dataset, genotypes, rows)
    show(f"{space.name}: again", repeats(genotypes, fresh))


def compare_fits(
    supernet: Supernet, dataset: Dataset, genotypes: list[Genotype], rows: int
) -> None:
    """Print the time of fits of the last layer, and the log losses that they lead to."""
    name = supernet.space.name
    fits, losses = last_layers(supernet, dataset, genotypes, rows)
    show(f"{name}: last layer, {FIT_ROWS} rows", fits)
    ours, baseline = (median(side) for side in zip(*losses, strict=True))
    differences = [theirs - own for own, theirs in losses]
    print(
        f"{name + ': log loss after it':42}{ours:13.4f}{baseline:13.4f}"
        f"{median(differences):+9.4f}  {spread(differences, '+.4f')}"
    )


def queries(
    supernet: Supernet,
    dataset: Dataset,
    genotypes: list[Genotype],
    fresh: Callable[..., SupernetOracle],
) -> Pairs:
    """Seconds of queries, ours and of a supernet that masks at full width."""
    masked = Supernet(supernet.space, dataset.features, None, masking="zero")
    masked.load_state_dict(supernet.state_dict())
    whole = full_supernet(supernet.space)  # where nothing is masked, both are one function
    few = SupernetOracle(masked, dataset, OracleOptions(rows=256)).evaluate(whole).log_loss
    np.testing.assert_allclose(fresh(rows=256).evaluate(whole).log_loss, few, rtol=1e-4)
    at_full_width = SupernetOracle(masked, dataset, OracleOptions(rows=fresh().num_rows))
    return [
        (seconds(fresh().evaluate, genotype), seconds(at_full_width.evaluate, genotype))
        for genotype in genotypes
    ]


def halves(genotypes: list[Genotype], fresh: Callable[..., SupernetOracle]) -> Pairs:
    """Seconds of queries, in bfloat16 and in float32."""
    short, exact = fresh(precision="bfloat16", memory_bytes=0), fresh(memory_bytes=0)
    return [(seconds(short.evaluate, g), seconds(exact.evaluate, g)) for g in genotypes]


def agreement(genotypes: list[Genotype], fresh: Callable[..., SupernetOracle]) -> float:
    """Kendall's tau between log losses in bfloat16 and in float32."""
    short, exact = (
        np.array([answer.log_loss for answer in oracle.evaluate_many(genotypes)])
        for oracle in (fresh(precision="bfloat16"), fresh())
    )
    signs = [np.sign(np.subtract.outer(losses, losses)) for losses in (short, exact)]
    return float((signs[0] * signs[1]).sum() / (len(genotypes) * (len(genotypes) - 1)))


def single_children(
    parent: Genotype, children: list[Genotype], fresh: Callable[[], SupernetOracle]
) -> Pairs:
    """Seconds of a child's query, with its parent asked before and without."""
    pairs = []
    for child in children:
        asked, other = fresh(), fresh()
        asked.evaluate(parent)
        pairs.append((seconds(asked.evaluate, child), seconds(other.evaluate, child)))
        if asked.evaluate(child) != other.evaluate(child):
            raise AssertionError("reuse changed an answer")
    return pairs


def brood(children: list[Genotype], fresh: Callable[[], SupernetOracle]) -> tuple[float, float]:
    """Seconds of a parent's children, asked together and one by one."""
    alone = {child: fresh() for child in children}
    together = fresh()
    ours = seconds(together.evaluate_many, children)
    baseline = sum(seconds(oracle.evaluate, child) for child, oracle in alone.items())
    if together.evaluate_many(children) != [alone[child].evaluate(child) for child in children]:
        raise AssertionError("asking together changed an answer")
    return ours, baseline


@torch.inference_mode()
def last_layers(
    supernet: Supernet, dataset: Dataset, genotypes: list[Genotype], rows: int
) -> tuple[Pairs, Pairs]:
    """Seconds of both fits, and the log loss of each on the validation rows."""
    labels = torch.from_numpy(dataset.split("train").rows(slice(FIT_ROWS)).labels)
    truth = dataset.split("validation").rows(slice(rows)).labels
    times, losses = [], []
    for genotype in genotypes:
        given = features_of(supernet, dataset, genotype, rows)
        both, found = [], []
        for fit in (fit_newton, fit_adagrad):
            layer = given.weight, given.bias
            both.append(seconds(fit, given.train, labels, *layer))
            fitted = fit(given.train, labels, *layer)
            logits = given.validation @ fitted.weight + fitted.bias
            found.append(score(logits.numpy(), truth).log_loss)
        times.append((both[0], both[1]))
        losses.append((found[0], found[1]))
    return times, losses


def features_of(supernet: Supernet, dataset: Dataset, genotype: Genotype, rows: int) -> Features:
    """The inputs of the last layer on training and validation rows, and its weights."""
    found = []
    for split, count in (("train", FIT_ROWS), ("validation", rows)):
        batch = dataset.split(split).rows(slice(count))
        embedded = supernet.embed(torch.from_numpy(batch.sparse))
        hidden = supernet.hidden(genotype, torch.from_numpy(batch.dense), embedded)
        found.append(supernet.last_features(genotype, hidden))
    return Features(found[0], found[1], *supernet.last_weight(genotype, hidden))


def repeats(genotypes: list[Genotype], fresh: Callable[[], SupernetOracle]) -> Pairs:
    """Seconds of a question asked again, and of the first time."""
    pairs = []
    for genotype in genotypes:
        oracle = fresh()
        first = seconds(oracle.evaluate, genotype)
        again = seconds(lambda g, o=oracle: [o.evaluate(g) for _ in range(REPEATS)], genotype)
        pairs.append((again / REPEATS, first))
    return pairs


def seconds(run: Callable[..., object], *arguments: object) -> float:
    """Seconds of processor time of one call."""
    began = time.process_time()
    run(*arguments)
    return time.process_time() - began


def show(what: str, pairs: Pairs, *, of_totals: bool = False) -> None:
    """Print a line of the table: medians, their ratio, and its quartiles."""
    ours, baseline = zip(*pairs, strict=True)
    ratios = [theirs / own for own, theirs in pairs]
    ratio = sum(baseline) / sum(ours) if of_totals else median(ratios)
    print(
        f"{what:42}{median(ours) * 1e3:10.2f} ms{median(baseline) * 1e3:10.2f} ms{ratio:8.1f}x"
        f"  {spread(ratios, '.1f')}",
        flush=True,
    )


def spread(values: list[float], form: str) -> str:
    """The quartiles of values, or a dash for fewer than two."""
    if len(values) < 2:
        return "-"
    low, _, high = quantiles(values, n=4)
    return f"{low:{form}} to {high:{form}}"


if __name__ == "__main__":
    main()
