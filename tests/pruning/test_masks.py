"""Masks as the paper's equations 5 and 6 have them, and what they decide."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pruning.cases import FEATURES, draw, make_supernet
from supernet.cases import make_batch

from nasrec_opt import Genotype, Subnet
from nasrec_opt.errors import StudyError
from nasrec_opt.pruning import (
    MaskedSubnet,
    MaskGenerator,
    Original,
    PruneConfig,
    all_units,
    choose,
    num_weights,
    pruned_weights,
    unit_scores,
)
from nasrec_opt.space import BlockGene

NET = make_supernet("full")
ONE = Genotype(
    (BlockGene(dense_width=8, sparse_width=4, dense_bits=32, sparse_bits=32),), space="c"
)


def test_a_mask_is_equation_5_worked_out_in_numpy():
    generator = torch.Generator().manual_seed(0)
    mask = MaskGenerator(3, 2, generator)
    weight = torch.randn(3, 5, generator=generator)
    first, second = (w.detach().double().numpy() for w in (mask.first, mask.second))
    assert first.shape == (6, 3)  # to a higher dimension, and back
    assert second.shape == (3, 6)
    hidden = np.maximum(first @ weight.double().numpy(), 0)
    np.testing.assert_allclose(
        mask(weight).detach().numpy(), 1 / (1 + np.exp(-second @ hidden)), rtol=1e-5
    )


@pytest.mark.parametrize("seed", range(6))
def test_a_masked_model_is_the_model_with_masks_times_weights(seed):
    subnet = NET.extract(draw("full", seed))
    masked = MaskedSubnet(subnet, expansion=2, seed=0)
    dense, sparse, _ = make_batch(seed)
    with torch.no_grad():
        for name, values in masked.mask_values().items():
            subnet.get_parameter(name).mul_(values)
    torch.testing.assert_close(masked(dense, sparse), subnet(dense, sparse), atol=1e-5, rtol=1e-5)


def test_masks_and_weights_both_learn():
    masked = MaskedSubnet(NET.extract(draw("full", 1)), expansion=2, seed=0)
    dense, sparse, labels = make_batch(1)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(masked(dense, sparse), labels)
    loss.backward()
    assert len(masked.masks) == len(pruned_weights(masked)) > 0
    for parameter in masked.masks.parameters():
        assert parameter.grad is not None
    assert any(bool(parameter.grad.any()) for parameter in masked.masks.parameters())
    assert all(weight.grad is not None for weight in pruned_weights(masked).values())


def test_magnitudes_are_compared_relative_to_their_matrix():
    subnet = Subnet(ONE, FEATURES)
    with torch.no_grad():
        for weight in pruned_weights(subnet).values():
            weight.copy_(torch.ones_like(weight))
        subnet.get_parameter("blocks.1.dense.fc.project.weights.0")[2] = 0.0
        subnet.get_parameter("blocks.1.sparse.efc.project.weights.0").mul_(1e-3)
    scores = unit_scores(subnet)
    assert scores["sparse", 1].tolist() == pytest.approx([1.0] * 4)
    dense = scores["dense", 1].tolist()
    assert dense[2] == 0
    assert dense[0] == pytest.approx((8 / 7) ** 0.5)


def test_the_lowest_units_go_and_no_more_than_it_takes():
    original = Original(ONE, FEATURES, True)
    whole = all_units(ONE, FEATURES, balance=True)
    size = num_weights(Subnet(ONE, FEATURES))
    assert size(whole) == 5 * 8 + 6 * 4
    scores = {
        ("dense", 1): torch.tensor([5.0, 0.1, 6.0, 0.2, 7.0, 0.3, 8.0, 9.0]),
        ("sparse", 1): torch.full((4,), 0.01),  # the lowest of all, but an output keeps 4
    }
    kept = choose(original, whole, scores, size=size, target=size(whole) * 0.85)
    assert kept["dense", 1] == (0, 2, 4, 5, 6, 7)
    assert kept["sparse", 1] == (0, 1, 2, 3)
    kept = choose(original, whole, scores, size=size, target=0)
    assert kept["dense", 1] == (2, 4, 6, 7)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "luck"}, "method: expected mask or magnitude, got 'luck'"),
        ({"rounds": 0}, "rounds: expected an integer of 1 or more, got 0"),
        ({"rounds": True}, "rounds: expected an integer of 1 or more, got True"),
        ({"expansion": 1.5}, "expansion: expected an integer of 1 or more, got 1.5"),
        ({"share": 1.0}, "share: expected above 0 and below 1, got 1.0"),
    ],
)
def test_options_out_of_range_are_one_sentence(values, message):
    with pytest.raises(StudyError) as caught:
        PruneConfig(**values)
    assert str(caught.value) == message
