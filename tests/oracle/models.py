"""A small log, supernets of random weights, and what a plain forward pass says of a genotype."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn import metrics

from nasrec_opt.data import Batch, Dataset
from nasrec_opt.options import AdagradFit, FineTune, OracleOptions, Scratch
from nasrec_opt.oracle import Evaluation, SupernetOracle
from nasrec_opt.space import Genotype, SearchSpace
from nasrec_opt.supernet import Subnet, Supernet

SPACES = {
    "multi": SearchSpace(
        name="tiny",
        num_blocks=4,
        dense_widths=(16, 32, 64),
        sparse_widths=(16, 32),
        multi_operator=True,
    ),
    "plain": SearchSpace(
        name="tiny plain",
        num_blocks=3,
        dense_widths=(16, 24),
        sparse_widths=(8, 16),
        mergers=False,
    ),
    "bits": SearchSpace(
        name="tiny bits",
        num_blocks=3,
        dense_ops=("fc", "dot"),
        sparse_ops=("efc",),
        dense_widths=(16, 32),
        sparse_widths=(16,),
        bits=(4, 8, (4, 8)),
    ),
    "wide": SearchSpace(
        name="tiny wide",
        num_blocks=2,
        dense_widths=(16, 32),
        sparse_widths=(8, 16),
        wide=(False, True),
    ),
    "no sparse": SearchSpace(
        name="tiny without sparse operators",
        num_blocks=3,
        sparse_ops=(),
        dense_widths=(16, 32),
        mergers=("sparse_to_dense",),
        multi_operator=True,
    ),
    "profit": replace(SearchSpace.profit(3), name="tiny chain", dense_widths=(16, 32)),
}
SPACE = SPACES["multi"]


def supernet_of(space: SearchSpace, dataset: Dataset, **options) -> Supernet:
    """A supernet whose every weight matters and whose logits spread, as after training."""
    supernet = Supernet(space, dataset.features, seed=0, **options)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in supernet.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.1)
        supernet.final.dense.mul_(3)
        if space.sparse_ops:
            supernet.final.sparse.mul_(3)
    return supernet


def oracle_of(
    supernet: Supernet,
    dataset: Dataset,
    *,
    fidelity: str | FineTune | Scratch = "supernet",
    last_layer: str | AdagradFit = "newton",
    reference: Genotype | None = None,
    chunk_rows: int | None = None,
    memory_bytes: int = 1 << 30,
    **options: Any,
) -> SupernetOracle:
    """An oracle with its options side by side; those of a fidelity stand for the fidelity."""
    for kind, name in ((FineTune, "fine_tune"), (Scratch, "scratch")):
        if isinstance(fidelity, kind):
            options[name], fidelity = fidelity, name
    if isinstance(last_layer, AdagradFit):
        options["adagrad"], last_layer = last_layer, "adagrad"
    return SupernetOracle(
        supernet,
        dataset,
        OracleOptions(fidelity=fidelity, last_layer=last_layer, **options),
        reference=reference,
        chunk_rows=chunk_rows,
        memory_bytes=memory_bytes,
    )


def draw(space: SearchSpace, seed: int) -> Genotype:
    return space.sample(np.random.default_rng(seed))


def family(space: SearchSpace, seed: int, children: int = 4) -> list[Genotype]:
    """A genotype, its children, a child of a child, and a stranger: they share many blocks.

    Where the first-order term is searched, also the genotype with the term switched.
    """
    rng = np.random.default_rng(seed)
    parent = space.sample(rng)
    twin = [replace(parent, wide=not parent.wide)] if len(space.wide) > 1 else []
    brood = [space.mutate(parent, rng) for _ in range(children)]
    return [parent, *twin, *brood, space.mutate(brood[-1], rng), space.sample(rng)]


def rows_of(dataset: Dataset, split: str, count: int | None = None) -> Batch:
    """As many rows of a split, evenly spread."""
    rows = dataset.split(split)
    count = min(count or rows.num_rows, rows.num_rows)
    return rows.rows(np.array([i * rows.num_rows // count for i in range(count)]))


def forward(model: Supernet | Subnet, batch: Batch, *genotype: Genotype) -> np.ndarray:
    with torch.no_grad():
        logits = model(*genotype, torch.from_numpy(batch.dense), torch.from_numpy(batch.sparse))
    return logits.numpy()


def scored(logits: np.ndarray, labels: np.ndarray) -> Evaluation:
    """What scikit-learn says of logits."""
    chance = 1 / (1 + np.exp(-logits.astype(float)))
    losses = -np.log(np.where(labels == 1, chance, 1 - chance))
    return Evaluation(
        metrics.log_loss(labels, chance),
        metrics.roc_auc_score(labels, logits),
        losses.std(ddof=1) / np.sqrt(len(losses)),
        len(labels),
    )


def assert_close(found: Evaluation, expected: Evaluation, tolerance: float = 1e-5) -> None:
    """The same but for rounding: two rows whose logits all but tie may swap, which the AUC sees."""
    assert found.num_rows == expected.num_rows
    swaps = max(5e-3, 10 * tolerance)
    for name, allowed in (("log_loss", tolerance), ("log_loss_se", tolerance), ("auc", swaps)):
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), rtol=0, atol=allowed, err_msg=name
        )
