"""Searches the operators that `test_new_operator` has added to the packages in a folder.

    python search_new_operators.py FOLDER

The last line is what it found, as JSON. The invariants of the library are checked on the way.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import optuna
import torch

import nasrec_opt
from hw import ReRAM
from nasrec_opt import Genotype, Objective, SearchSpace, Supernet, SupernetOracle, lower
from nasrec_opt.ax import genotype_of, parameters_of
from nasrec_opt.data import generate_synthetic
from nasrec_opt.features import FeatureSpec
from nasrec_opt.lowering import cost_many
from nasrec_opt.report import draw
from nasrec_opt.samplers import RegularizedEvolutionSampler
from nasrec_opt.space import OPERATORS, BlockGene, GenotypeEmbedding, liveness
from nasrec_opt.supernet import TrainConfig, train_supernet

CRITEO = FeatureSpec(13, (5,) * 26)
SPACE = SearchSpace(
    name="toys",
    num_blocks=3,
    dense_ops=("fc", "gate", "times", "pool"),
    sparse_ops=("efc", "line"),
    dense_widths=(16, 32),
    sparse_widths=(16, 32),
    multi_operator=True,
)


def main(folder: Path) -> None:
    """Print what was found."""
    assert Path(nasrec_opt.__file__).is_relative_to(folder), "expected the copy to be imported"
    rng = np.random.default_rng(0)
    genotypes = [SPACE.sample(rng) for _ in range(40)]
    check_encodings(genotypes)
    check_costs(genotypes)
    with tempfile.TemporaryDirectory() as scratch:
        found = facts() | searched(Path(scratch), genotypes)
    print(json.dumps(found))


def check_encodings(genotypes: list[Genotype]) -> None:
    """Every encoding round-trips, and the canonical form is one model's alone."""
    for genotype in genotypes:
        assert SPACE.decode(SPACE.encode(genotype)) == genotype
        assert genotype_of(SPACE, parameters_of(SPACE, genotype)) == genotype
        assert Genotype.from_json(genotype.to_json()) == genotype
        assert genotype.canonical().canonical() == genotype.canonical()
    points = GenotypeEmbedding(SPACE).embed(genotypes)
    models = {genotype.canonical() for genotype in genotypes}
    assert len({tuple(point) for point in points}) == len(models)


def check_costs(genotypes: list[Genotype]) -> None:
    """Genotypes cost together what each costs alone."""
    together = cost_many(genotypes, CRITEO, ReRAM())
    alone = [ReRAM().cost(lower(genotype, CRITEO)) for genotype in genotypes]
    assert together.energy_pj.tolist() == [cost.energy_pj for cost in alone]
    assert together.latency_ns.tolist() == [cost.latency_ns for cost in alone]


def facts() -> dict[str, object]:
    """What follows from the table and the formulas."""
    block = BlockGene(dense_ops=("pool",), dense_width=64, sparse_ops=("line",), sparse_width=32)
    pool = Genotype((block,), space="toys")
    both = BlockGene(
        dense_ops=("times", "pool"), dense_width=64, sparse_ops=("line",), left_input=0,
        right_input=1,
    )  # fmt: skip
    two = Genotype((BlockGene(dense_width=32), both), space="toys")
    macs = {o.name: o.macs for o in lower(two, CRITEO).operations if o.macs}

    def is_the_same_swapped(*ops: str) -> bool:
        sides = [
            Genotype(
                (BlockGene(), BlockGene(dense_ops=ops, left_input=i, right_input=1 - i)),
                space="toys",
            ).canonical()
            for i in (0, 1)
        ]
        return sides[0] == sides[1]

    return {
        "operators": list(OPERATORS),
        "dimensions": GenotypeEmbedding(SPACE).names,
        "pool": {
            "dense_inputs": list(block.dense_inputs),
            "left_input": block.left_input,
            "reads_sparse": liveness(pool)[0].reads_sparse,
        },
        "macs": {name: count for name, count in macs.items() if name.startswith("2/")},
        "times_swapped_is_the_same": is_the_same_swapped("fc", "times"),
        "gate_and_times_swapped_is_the_same": is_the_same_swapped("gate", "times"),
        "presets": {
            name: getattr(SearchSpace, name)().to_dict()
            for name in ("nasrec_small", "nasrec_full", "codesign")
        },
    }


def searched(scratch: Path, genotypes: list[Genotype]) -> dict[str, object]:
    """Train a supernet with the operators, search it, and draw what was found."""
    dataset = generate_synthetic(scratch / "dataset", rows=800, seed=0)
    supernet = Supernet(SPACE, dataset.features, seed=0)
    train_supernet(supernet, dataset, scratch / "supernet", TrainConfig(batch_size=128))
    batch = dataset.split("test").rows(slice(0, 8))
    dense, sparse = torch.from_numpy(batch.dense), torch.from_numpy(batch.sparse)
    for genotype in genotypes[:12]:
        subnet = supernet.extract(genotype)
        torch.testing.assert_close(subnet(dense, sparse), supernet(genotype, dense, sparse))
        weights = sum(w.numel() for n, w in subnet.named_parameters() if "embedding" not in n)
        assert lower(genotype, dataset.features).parameters == weights
    study = optuna.create_study(
        directions=["minimize"] * 3,
        sampler=RegularizedEvolutionSampler(SPACE, population_size=8, tournament_size=4, seed=0),
    )
    objective = Objective(SPACE, SupernetOracle.load(scratch / "supernet"), ReRAM())
    study.optimize(objective, n_trials=24)
    models = [Genotype.from_json(trial.user_attrs["genotype"]) for trial in study.trials]
    labels = set()
    for model in models:
        draw(model, scratch / "model.svg")
        labels |= set(re.findall(r"\b(?:Times|Pool|Line)\b", (scratch / "model.svg").read_text()))
    ops = {op for model in models for b in model.blocks for op in (*b.dense_ops, *b.sparse_ops)}
    return {
        "searched": len([trial for trial in study.trials if trial.values]),
        "searched_operators": sorted(ops),
        "drawn": sorted(labels),
        "log_loss": min(trial.values[0] for trial in study.trials if trial.values),
    }


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    main(Path(sys.argv[1]))
