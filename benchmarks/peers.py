"""Training beside DeepFM and AutoInt of the package deepctr-torch, on one thread.

    python -m benchmarks.peers [--table-rows 100000] [--repeats 7] [--optimizers adagrad adam]

Both sides learn from the same batches of a synthetic log in Criteo's layout, 512 rows of 13 dense
and 26 sparse features, with embeddings of width 16. Its ids are spread over tables of
`--table-rows`, as many as a real log has values. A peer is the package's model as it comes, and its
step is what its own `fit` does with a batch, shown equal to it first: forward, summed log loss,
penalty on all embeddings, backward with dense gradients of all tables, `torch.optim` as `compile`
sets it up; its loader and its metrics, which would make it slower, are left out. Ours is
`train_step` on the `Subnet` of a NASRec-Small genotype: of many samples, those whose MACs are
nearest to the peer's. The sides take turns; figures are medians of rows a second of this process's
CPU, ratio = ours / peer, spread = its quartiles over repeats and genotypes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median, quantiles
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from nasrec_opt import FeatureSpec, Genotype, SearchSpace
from nasrec_opt.data import generate_synthetic
from nasrec_opt.lowering import count_many, lower
from nasrec_opt.supernet import SliceAdagrad, Subnet, train_step

BATCH_SIZE = 512
STEPS = 3  # of each side, a turn
SAMPLES = 4000  # genotypes among which those of the peer's MACs are found
LOG_ROWS = 5000
LOSS = "binary_crossentropy"


def main() -> None:
    """Print the training rates of our models and of their peers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table-rows", type=int, default=100_000, help="rows of each table")
    parser.add_argument("--genotypes", type=int, default=3, help="of the peer's MACs")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--optimizers", nargs="+", default=["adagrad", "adam"], help="the peer's")
    options = parser.parse_args()
    peers = import_peers()
    torch.set_num_threads(1)
    features, batches = make_batches(options.table_rows)
    for peer in peers:
        show_equal_to_fit(peer, batches[0])
    print(f"{'peer':18}{'MACs':>9}{'our MACs':>19}{'ours':>9}{'peer':>9}{'ratio':>8}  spread")
    for peer in peers:
        for optimizer in options.optimizers:
            model = make_peer(peer, features, optimizer)
            macs = count_macs(model, batches[0])
            genotypes = nearest_genotypes(features, macs, options.genotypes)
            pairs = compare(model, genotypes, features, batches, options.repeats)
            own = [lower(genotype, features).macs for genotype in genotypes]
            print(describe(f"{peer.__name__}, {optimizer}", macs, own, pairs), flush=True)


def import_peers() -> list[type]:
    """The two models; without the package, one sentence and exit status 2."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            from deepctr_torch.models import AutoInt, DeepFM

            # Importing it asks PyPI for its latest version, in a thread whose time must not count.
            for thread in set(threading.enumerate()) - {threading.current_thread()}:
                thread.join()
    except ImportError as error:
        print(
            f"deepctr-torch 0.3 or newer is needed ({error}): pip install 'nasrec-opt[bench]'",
            file=sys.stderr,
        )
        raise SystemExit(2) from None
    return [DeepFM, AutoInt]


def make_batches(table_rows: int) -> tuple[FeatureSpec, list[list[Tensor]]]:
    """Dense, sparse and labels of some batches; ids far apart in tables of so many rows."""
    with tempfile.TemporaryDirectory() as temporary:
        dataset = generate_synthetic(f"{temporary}/log", rows=LOG_ROWS)
        split = dataset.split("train")
        batches = [
            [torch.from_numpy(np.array(values)) for values in batch]
            for batch in split.batches(BATCH_SIZE, seed=0, drop_last=True)
        ]
    sizes = torch.tensor(dataset.features.cardinalities)
    stride = (table_rows // sizes).clamp_min(1)
    for batch in batches:
        batch[1] = batch[1] * stride
    cardinalities = tuple(max(int(size), table_rows) for size in sizes)
    return FeatureSpec(dataset.features.num_dense, cardinalities), batches


def make_peer(peer: type, features: FeatureSpec, optimizer: str) -> Any:
    """A model of deepctr-torch for these features, ready to train."""
    from deepctr_torch.inputs import DenseFeat, SparseFeat

    columns = [
        SparseFeat(f"C{number}", size, embedding_dim=features.embedding_dim)
        for number, size in enumerate(features.cardinalities)
    ]
    columns += [DenseFeat(f"I{number}", 1) for number in range(features.num_dense)]
    model = peer(columns, columns, device="cpu")
    model.compile(optimizer, LOSS)
    return model.train()


def joined(batch: list[Tensor]) -> Tensor:
    """A batch as the package takes it: ids, then dense features, float32 `[batch, 39]`."""
    return torch.cat([batch[1].float(), batch[0]], dim=1)


def peer_step(model: Any, rows: Tensor, labels: Tensor) -> None:
    """What `fit` of the package does with a batch."""
    predicted = model(rows).squeeze(-1)
    model.optim.zero_grad()
    loss = model.loss_func(predicted, labels, reduction="sum")
    total = loss + model.get_regularization_loss() + model.aux_loss
    loss.item()
    total.item()
    total.backward()
    model.optim.step()


def show_equal_to_fit(peer: type, batch: list[Tensor]) -> None:
    """One step here and one by `fit` leave the same weights; small tables suffice for that."""
    dense, sparse, labels = batch
    small = FeatureSpec(dense.shape[1], (100,) * sparse.shape[1])
    rows = joined([dense, sparse % 100])
    here, there = (make_peer(peer, small, "adagrad") for _ in range(2))
    peer_step(here, rows, labels)
    with contextlib.redirect_stdout(io.StringIO()):
        columns = list(rows.numpy().T)
        there.fit(columns, labels.numpy(), batch_size=BATCH_SIZE, verbose=0, shuffle=False)
    for one, other in zip(here.parameters(), there.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def count_macs(model: Any, batch: list[Tensor]) -> int:
    """Multiply-accumulates of the matrix products of one row."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(joined(batch)[:1])
    return counter.get_total_flops() // 2


def nearest_genotypes(features: FeatureSpec, macs: int, count: int) -> list[Genotype]:
    """Sampled genotypes whose MACs are nearest to a number."""
    space, rng = replace(SearchSpace.nasrec_small(), bits=(32,)), np.random.default_rng(0)
    samples = [space.sample(rng) for _ in range(SAMPLES)]
    nearest = np.argsort(np.abs(count_many(samples, features).macs - macs), kind="stable")
    return [samples[place] for place in nearest[:count]]


def compare(
    model: Any,
    genotypes: list[Genotype],
    features: FeatureSpec,
    batches: list[list[Tensor]],
    repeats: int,
) -> list[tuple[float, float]]:
    """CPU seconds of `STEPS` steps of ours and of the peer, turn by turn."""
    rows = [joined(batch) for batch in batches]
    pairs = []
    for genotype in genotypes:
        subnet = Subnet(genotype, features)
        optimizer = SliceAdagrad(subnet)

        def ours(number: int, subnet=subnet, optimizer=optimizer) -> None:
            batch = batches[number % len(batches)]
            train_step(subnet, optimizer, batch, subnet.genotype, learning_rate=0.01)

        def peers(number: int) -> None:
            peer_step(model, rows[number % len(rows)], batches[number % len(rows)][2])

        turns = [(seconds(ours, turn), seconds(peers, turn)) for turn in range(repeats + 1)]
        pairs += turns[1:]  # the first warms up
    return pairs


def seconds(step: Callable[[int], None], turn: int) -> float:
    """Seconds of processor time of one turn's steps."""
    began = time.process_time()
    for number in range(turn * STEPS, (turn + 1) * STEPS):
        step(number)
    return time.process_time() - began


def describe(what: str, macs: int, own: list[int], pairs: list[tuple[float, float]]) -> str:
    """A line of the table from pairs of seconds, ours and the peer's."""
    rows = STEPS * BATCH_SIZE
    ours, peer = (rows / median(side) for side in zip(*pairs, strict=True))
    low, middle, high = quantiles([theirs / mine for mine, theirs in pairs], n=4)
    return (
        f"{what:18}{macs:9,}{f'{min(own):,} to {max(own):,}':>19}{ours:9,.0f}{peer:9,.0f}"
        f"{middle:7.1f}x  {low:.1f} to {high:.1f}"
    )


if __name__ == "__main__":
    main()
