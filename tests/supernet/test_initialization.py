"""Initial weights: the published ones are those of torch's own initialisers."""

from __future__ import annotations

import math

import pytest
import torch
from supernet.cases import FEATURES, SPACES, Log, draw, make_batch

from nasrec_opt import FeatureSpec, Subnet, Supernet
from nasrec_opt.errors import StudyError
from nasrec_opt.space import MERGER_VECTORS
from nasrec_opt.supernet import TrainConfig, train_supernet
from nasrec_opt.supernet._layers import LayerNorm

LARGE = FeatureSpec(13, (4000, 50, 7))


@pytest.fixture(scope="module")
def xavier() -> Supernet:
    return Supernet(SPACES["single"], LARGE, seed=3, initialization="xavier")


def test_weights_fill_the_bounds_of_xavier(xavier):
    """Each against the bound of the whole layer that the published code has in its place."""
    rows, dim, width = 24, 16, 128
    first, second = xavier.blocks["1"], xavier.blocks["2"]
    sparse_inputs = 3 + rows + MERGER_VECTORS  # of the second block: raw, and one block before it
    final = width + dim * (rows + MERGER_VECTORS)
    for weight, fans in (
        (first.dense["fc"].project.weights["0"], 13 + width),
        (second.dense["fc"].project.weights["0"], 13 + width + width),
        (second.dense["fc"].project.weights["1"], 13 + width + width),
        (second.sparse["efc"].project.weights["1"], sparse_inputs + rows),
        (second.sparse["efc"].project.merger_weights["1"], sparse_inputs + rows),
        (second.dense["gate"].gate, width + width),
        (second.sparse["attn"].query_key_value, 4 * dim),
        (xavier.final.dense, final + 1),
        (xavier.final.sparse, final + 1),
    ):
        bound = math.sqrt(6 / fans)
        assert 0.9 * bound < float(weight.detach().abs().max()) <= bound


def test_tables_have_the_spread_of_xavier_normal(xavier):
    for table, size in zip(xavier.embedding.table.split([4000, 50, 7]), (4000, 50, 7), strict=True):
        expected = torch.empty(size, 16)
        torch.nn.init.xavier_normal_(expected, generator=torch.Generator().manual_seed(0))
        assert float(table.detach().std()) == pytest.approx(float(expected.std()), rel=0.25)


def test_biases_are_zero_and_the_final_layer_counts_once(xavier):
    for name, weight in xavier.named_parameters():
        if name.endswith("bias"):
            assert not weight.any(), name
    genotype = draw("single", 0)
    dense, sparse, _ = make_batch(0, LARGE)
    activations = xavier.hidden(genotype, dense, xavier.embed(sparse))
    weight, _ = xavier.last_weight(genotype, activations)
    width = genotype.blocks[-1].dense_width
    assert torch.equal(weight[:width], xavier.final.dense[:width])


@pytest.mark.parametrize("scheme", ["uniform", "xavier"])
def test_norms_begin_at_one_and_those_behind_attentions_residuals_at_the_published_gain(scheme):
    supernet = Supernet(SPACES["single"], LARGE, seed=3, initialization=scheme)
    encoders = {"attention_norm", "feed_forward_norm"}  # LN(d) of the transformer encoder
    norms = {
        tuple(name.split(".")): module
        for name, module in supernet.named_modules()
        if isinstance(module, LayerNorm)
    }
    assert encoders < {place[-1] for place in norms}
    for place, norm in norms.items():
        expected = 0.17 if place[-1] in encoders else 1.0
        assert (norm.gain == torch.full_like(norm.gain, expected)).all(), place
        assert not norm.bias.any(), place


def test_loading_and_cutting_out_keep_the_function(xavier, tmp_path):
    genotype, (dense, sparse, _) = draw("single", 1), make_batch(1, LARGE)
    expected = xavier(genotype, dense, sparse)
    xavier.save(tmp_path / "supernet")
    loaded = Supernet.load(tmp_path / "supernet")
    assert loaded.initialization == "xavier"
    assert torch.equal(loaded(genotype, dense, sparse), expected)
    subnet = xavier.extract(genotype)
    torch.testing.assert_close(subnet(dense, sparse), expected)
    subnet.save(tmp_path / "subnet")
    torch.testing.assert_close(Subnet.load(tmp_path / "subnet")(dense, sparse), expected)


def test_an_unknown_scheme_is_refused():
    message = "initialization: expected 'uniform' or 'xavier', got 'he'"
    with pytest.raises(StudyError, match=message):
        TrainConfig(initialization="he")
    with pytest.raises(StudyError, match=message):
        Supernet(SPACES["plain"], FEATURES, initialization="he")


def test_a_supernet_of_another_scheme_is_not_trained(tmp_path):
    config = TrainConfig(initialization="xavier", batch_size=50)
    with pytest.raises(StudyError, match=r"expected a supernet made with 'xavier', .* 'uniform'"):
        train_supernet(Supernet(SPACES["plain"], FEATURES), Log(tmp_path), tmp_path, config)


def test_a_log_is_learnt_with_the_published_settings(tmp_path):
    config = TrainConfig(
        epsilon=1e-2,
        clip_norm=5.0,
        rate_warmup_fraction=0.1,
        initialization="xavier",
        batch_size=50,
        epochs=6,
    )
    supernet = Supernet(SPACES["plain"], FEATURES, initialization="xavier")
    result = train_supernet(supernet, Log(tmp_path), tmp_path / "out", config)
    assert result.train_log_loss < 0.8 * math.log(2)
