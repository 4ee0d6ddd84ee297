"""Slice-aware Adagrad against a naive loop and against torch's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from supernet.cases import SPACES, TABLES, draw, make_batch, make_supernet, seeds

from nasrec_opt.supernet import AdagradOptions, SliceAdagrad, full_supernet, train_step


@given(seed=seeds, repeats=st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_row_wise_adagrad_equals_a_loop_over_rows(seed, repeats):
    supernet = make_supernet("plain")
    table = supernet.embedding.table
    optimizer = SliceAdagrad(supernet)
    expected, sums = table.detach().numpy().astype(np.float64), np.zeros(len(table))
    rng = np.random.default_rng(seed)
    for _ in range(repeats):
        rows = rng.integers(0, len(table), size=(5, 4))  # some rows more than once
        gradients = rng.normal(size=(5, 4, 16)).astype(np.float32)
        optimizer.step(
            [], 0.1, rows=torch.from_numpy(rows), row_gradients=torch.from_numpy(gradients)
        )
        for row in set(rows.flatten()):
            gradient = gradients[rows == row].astype(np.float64).sum(axis=0)
            sums[row] += (gradient**2).mean()
            expected[row] -= 0.1 * gradient / (np.sqrt(sums[row]) + 1e-10)
    np.testing.assert_allclose(table.detach().numpy(), expected, rtol=1e-4, atol=1e-5)


@given(seed=seeds)
@settings(max_examples=8, deadline=None)
def test_steps_of_slices_equal_torch_adagrad_with_zero_gradients_elsewhere(seed):
    ours, theirs = make_supernet("single"), make_supernet("single")
    optimizer = SliceAdagrad(ours)
    dense_weights = [w for name, w in theirs.named_parameters() if name != "embedding.table"]
    torchs = torch.optim.Adagrad(dense_weights, lr=0.05)
    for step in range(3):
        genotype, batch = draw("single", seed + step), make_batch(seed + step)
        with torch.no_grad():
            theirs.embedding.table.copy_(ours.embedding.table)
        torchs.zero_grad(set_to_none=False)
        logits = theirs(genotype, *batch[:2])
        torch.nn.functional.binary_cross_entropy_with_logits(logits, batch[2]).backward()
        torchs.step()
        train_step(ours, optimizer, batch, genotype, learning_rate=0.05)
        for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            if name != "embedding.table":
                # Adagrad's first steps are lr * sign: tiny gradients may differ in sign.
                different = (one - other).abs() > 1e-3
                assert different.float().mean() < 0.01, name


@given(
    seed=seeds,
    clip_norm=st.sampled_from([1e-3, 0.05, 0.3, 100.0]),
    is_wide=st.booleans(),
    prior=st.sampled_from([0.0, 0.01]),
)
@settings(max_examples=16, deadline=None)
def test_gradients_are_clipped_as_torch_clips_those_of_all_parameters(
    seed, clip_norm, is_wide, prior
):
    options = AdagradOptions(epsilon=1e-2, clip_norm=clip_norm)
    space = "wide" if is_wide else "single"
    ours, theirs = make_supernet(space), make_supernet(space)
    optimizer = SliceAdagrad(ours, options=options, row_prior=prior)
    dense_weights = [w for name, w in theirs.named_parameters() if name not in TABLES]
    torchs = torch.optim.Adagrad(dense_weights, lr=0.05, eps=1e-2)
    tables = [w for name, w in theirs.named_parameters() if name in TABLES]
    sums = [
        torch.full((len(table),), begin)
        for table, begin in zip(tables, (prior, 16 * prior), strict=False)
    ]
    for step in range(2):
        # Few categories and many rows: the batch reads entries of the table more than once.
        genotype, batch = draw(space, seed + step), make_batch(seed + step, rows=40)
        if is_wide:  # in floats: a rounded gradient that ties may fall either way
            genotype = replace(genotype.with_bits(32), wide=bool((seed + step) % 2))
        logits = theirs(genotype, *batch[:2])
        theirs.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(logits, batch[2]).backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), clip_norm)
        torchs.step()
        for table, squares in zip(tables, sums, strict=True):
            if table.grad is not None:
                squares += table.grad.square().mean(dim=1)
                table.data -= 0.05 * table.grad / (squares.sqrt() + 1e-2)[:, None]
        train_step(ours, optimizer, batch, genotype, learning_rate=0.05)
        for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-3, msg=name)


def test_state_goes_on_where_it_was():
    one, other = make_supernet("multi"), make_supernet("multi")
    first, second = SliceAdagrad(one), SliceAdagrad(other)
    genotype = full_supernet(SPACES["multi"])
    for step in range(4):
        if step == 2:
            state = {name: value.clone() for name, value in second.state_dict().items()}
            second = SliceAdagrad(other)
            second.load_state_dict(state)
        for network, optimizer in ((one, first), (other, second)):
            train_step(network, optimizer, make_batch(step), genotype, learning_rate=0.1)
    for ours, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)
