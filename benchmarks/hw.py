"""What costing architectures takes, one by one and thousands at once, on one thread.

    python -m benchmarks.hw [--genotypes 20000] [--single 100] [--repeats 5]

Lines, for each space of seven blocks; genotypes are random and Criteo-shaped, all sides are shown
equal first, and take turns:

* one genotype: `lower` and `ReRAM.cost` of one genotype, with its breakdown;
* many genotypes: `cost_many` of genotypes, lowered and costed together, against one by one;
* many workloads: `ReRAM.cost_many` of workloads that are lowered already, against `ReRAM.cost`.

Times are microseconds of CPU a genotype, medians over the repeats; ratio = baseline / ours,
spread = its smallest and largest. One by one, `--single` genotypes are costed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np

from hw import Cost, ReRAM
from nasrec_opt import FeatureSpec, Genotype, SearchSpace
from nasrec_opt.lowering import cost_many, lower

FEATURES = FeatureSpec(13, (1000,) * 26)
TOTALS = ("latency_ns", "energy_pj", "area_mm2", "leakage_mw", "interval_ns", "write_energy_pj")
MODEL = ReRAM()


def main() -> None:
    """Print what costing architectures of each space takes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genotypes", type=int, default=20_000, help="genotypes costed at once")
    parser.add_argument("--single", type=int, default=100, help="genotypes costed one by one")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each side")
    options = parser.parse_args()
    print(f"{'what':32}{'ours':>10}{'baseline':>10}{'ratio':>8}  spread, genotypes a second")
    for space in (SearchSpace.nasrec_small(), SearchSpace.nasrec_full()):
        rng = np.random.default_rng(0)
        genotypes = [space.sample(rng) for _ in range(options.genotypes)]
        compare(space.name, genotypes, options.single, options.repeats)


def compare(name: str, genotypes: Sequence[Genotype], single: int, repeats: int) -> None:
    """Print the time of a cost, one by one and many at once, after checking that both are equal."""
    few = genotypes[:single]
    workloads = [lower(genotype, FEATURES) for genotype in genotypes]
    check_equal(genotypes, workloads, few)
    alone, many, ready, loop = [], [], [], []
    for _ in range(repeats):
        alone.append(microseconds(lambda: [in_full(genotype) for genotype in few], len(few)))
        many.append(microseconds(lambda: cost_many(genotypes, FEATURES, MODEL), len(genotypes)))
        ready.append(microseconds(lambda: MODEL.cost_many(workloads), len(workloads)))
        loop.append(microseconds(lambda: [MODEL.cost(w) for w in workloads[:single]], len(few)))
    print(f"{name + ': one genotype':32}{median(alone):10.1f}", flush=True)
    show(f"{name}: many genotypes", many, alone)
    show(f"{name}: many workloads", ready, loop)


def in_full(genotype: Genotype) -> Cost:
    """The cost of one genotype, lowering included."""
    return MODEL.cost(lower(genotype, FEATURES))


def check_equal(genotypes: Sequence[Genotype], workloads: Any, few: Sequence[Genotype]) -> None:
    """Refuse totals that differ between one by one and many at once."""
    together, each = cost_many(genotypes, FEATURES, MODEL), MODEL.cost_many(workloads)
    alone = [in_full(genotype) for genotype in few]
    for total in TOTALS:
        assert (getattr(together, total) == getattr(each, total)).all(), total
        assert getattr(each, total)[: len(few)].tolist() == [getattr(c, total) for c in alone]


def microseconds(work: Callable[[], object], count: int) -> float:
    """Microseconds of processor time for each of `count` things that `work` does."""
    started = time.process_time()
    work()
    return (time.process_time() - started) / count * 1e6


def show(what: str, ours: Sequence[float], baseline: Sequence[float]) -> None:
    """Print a line of the table: medians in microseconds, their ratio, and its extremes."""
    ratios = [theirs / own for own, theirs in zip(ours, baseline, strict=True)]
    print(
        f"{what:32}{median(ours):10.1f}{median(baseline):10.1f}{median(ratios):7.1f}x"
        f"  {min(ratios):.1f} to {max(ratios):.1f}, {1e6 / median(ours):,.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
