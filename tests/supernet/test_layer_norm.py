"""Models without layer norms, as the published ones were trained: linear maps have a bias."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from supernet.cases import FEATURES, SPACES, make_supernet, seeds
from supernet.reference import reference_logits

from nasrec_opt import Genotype, Subnet, lower

NAMES = ("single", "multi", "plain", "bits", "floats", "wide")
INSIDE = ("attention_norm.", "feed_forward_norm.")  # they stay
# Weights of blocks that reach no logit, which a subnet does not have.
OTHERS = {
    name: {
        key: weight
        for key, weight in make_supernet(name).named_parameters()
        if "norm." not in key or any(part in key for part in INSIDE)
    }
    for name in NAMES
}


def subnet_of(genotype: Genotype, seed: int = 0) -> Subnet:
    """A model without layer norms whose every bias matters."""
    subnet = Subnet(genotype, FEATURES, seed, layer_norm=False)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in subnet.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.1)
    return subnet


def batch_of(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    dense = rng.normal(size=(4, FEATURES.num_dense)).astype(np.float32)
    sparse = np.stack([rng.integers(0, size, 4) for size in FEATURES.cardinalities], axis=1)
    return torch.from_numpy(dense), torch.from_numpy(sparse)


@settings(max_examples=40)
@given(name=st.sampled_from(NAMES), seed=seeds)
def test_logits_are_those_of_linear_maps_with_a_bias(name, seed):
    genotype = SPACES[name].sample(np.random.default_rng(seed)).with_bits(32)
    subnet = subnet_of(genotype, seed)
    dense, sparse = batch_of(seed)
    with torch.no_grad():
        found = subnet(dense, sparse)
        naive = reference_logits(subnet, genotype, dense, sparse, OTHERS[name])
    torch.testing.assert_close(found, naive, rtol=1e-3, atol=1e-3 * float(naive.abs().max()))


@given(name=st.sampled_from(["single", "multi", "plain", "wide"]), seed=seeds)
def test_parameters_and_macs_are_those_of_the_model(name, seed):
    genotype = SPACES[name].sample(np.random.default_rng(seed))
    subnet = Subnet(genotype, FEATURES, 0, layer_norm=False)
    tables = {id(weight) for weight in subnet.embedding.parameters()}
    own = sum(weight.numel() for weight in subnet.parameters() if id(weight) not in tables)
    workload = lower(genotype, FEATURES, layer_norm=False)
    assert workload.parameters == own
    with_norms = lower(genotype, FEATURES)
    assert (workload.macs, workload.mflops_paper) == (with_norms.macs, with_norms.mflops_paper)
    assert workload.parameters <= with_norms.parameters


def test_only_attention_keeps_its_layer_norms():
    genotype = SPACES["multi"].sample(np.random.default_rng(3))
    names = [n for n, _ in subnet_of(genotype).named_parameters() if n.endswith(".gain")]
    assert all(any(part in name for part in INSIDE) for name in names)


@pytest.mark.parametrize("layer_norm", [True, False])
def test_a_saved_model_is_the_same_again(tmp_path, layer_norm):
    genotype = SPACES["multi"].sample(np.random.default_rng(1))
    subnet = Subnet(genotype, FEATURES, 1, layer_norm=layer_norm)
    subnet.save(tmp_path)
    again = Subnet.load(tmp_path)
    assert again.layer_norm is layer_norm
    assert torch.equal(again(*batch_of(0)), subnet(*batch_of(0)))
