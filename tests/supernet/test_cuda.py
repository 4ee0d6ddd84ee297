"""The same code on a GPU: answers are those of the processor, to rounding.

Where there is no GPU, the tests on the device `meta` still run: it computes shapes alone, and
refuses what a GPU refuses, a tensor that was made on another device.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from supernet.cases import FEATURES, SPACES, Log, draw, make_batch, make_supernet
from torch import Tensor
from torch.nn import functional

from nasrec_opt import Supernet
from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.oracle import OracleOptions, SupernetOracle
from nasrec_opt.retrain import RetrainConfig, retrain
from nasrec_opt.supernet import LeafReader, SliceAdagrad, TrainConfig, train_supernet

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
each_space = pytest.mark.parametrize("name", list(SPACES))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return generate_synthetic(tmp_path_factory.mktemp("log") / "dataset", rows=1000)


def gradients(
    name: str, seed: int, device: str, *, bfloat16: bool = False, masking: str = "slice"
) -> list[Tensor]:
    """Loss of a batch, and its gradients by every slice that the pass used."""
    network = make_supernet(name, masking=masking).to(device)
    dense, sparse, labels = (values.to(device) for values in make_batch(seed, rows=32))
    leaves, genotype = LeafReader(), draw(name, seed)
    embedded = network.embed(sparse).detach().requires_grad_()
    with torch.autocast("cuda" if bfloat16 else "cpu", torch.bfloat16, enabled=bfloat16):
        activations = network.hidden(genotype, dense, embedded, leaves)
    logits = network.finish(genotype, activations, leaves, weights=network.first_order_of(sparse))
    loss = functional.binary_cross_entropy_with_logits(logits, labels)
    loss.backward()
    found = [loss.detach(), embedded.grad, *(leaf.view.grad for leaf in leaves.used)]
    assert {values.dtype for values in found} == {torch.float32}
    assert {values.device.type for values in found} == {device}
    return found


@pytest.mark.parametrize("masking", ["slice", "zero"])
@each_space
def test_a_pass_makes_every_tensor_where_the_weights_are(name, masking):
    for seed in range(2):  # with every operator in at least one space
        gradients(name, seed, "meta", masking=masking)


@each_space
def test_a_subnet_is_cut_out_where_the_weights_are(name):
    network = make_supernet(name, max_table_rows=5).to("meta")
    dense, sparse, _ = (values.to("meta") for values in make_batch(0))
    for seed in range(2):
        subnet = network.extract(draw(name, seed))
        assert {weight.device.type for weight in subnet.parameters()} == {"meta"}
        assert subnet(dense, sparse).shape == (len(dense),)


@needs_cuda
@each_space
def test_logits_and_gradients_are_those_of_the_processor(name):
    for seed in range(10):
        here, there = (gradients(name, seed, device) for device in ("cpu", "cuda"))
        if name in ("bits", "wide"):  # a value that rounds the other way is another level
            here, there = here[:1], there[:1]
        for one, other in zip(here, there, strict=True):
            torch.testing.assert_close(other.cpu(), one, rtol=0.02, atol=1e-3)


@needs_cuda
@each_space
def test_products_in_bfloat16_leave_gradients_in_float32(name):
    loss, *_ = gradients(name, 0, "cuda", bfloat16=True)
    exact, *_ = gradients(name, 0, "cpu")
    assert float(loss) == pytest.approx(float(exact), rel=0.05)


@needs_cuda
@each_space
def test_an_extracted_subnet_equals_its_supernet(name):
    network = make_supernet(name, max_table_rows=5).to("cuda")
    dense, sparse, _ = (values.to("cuda") for values in make_batch(0))
    with torch.inference_mode():
        for seed in range(10):
            genotype = draw(name, seed)
            inside = network(genotype, dense, sparse)
            outside = network.extract(genotype)(dense, sparse)
            torch.testing.assert_close(inside, outside, rtol=1e-3, atol=1e-4)


@needs_cuda
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_learns_resumes_and_is_read_anywhere(tmp_path, precision):
    def give_up(done: int, _: int | None) -> None:
        if done == 20:
            raise InterruptedError

    log, out = Log(tmp_path, rows=4000), tmp_path / "out"
    config = TrainConfig(batch_size=100, epochs=3, checkpoint_s=0, precision=precision)
    with pytest.raises(InterruptedError):
        train_supernet(Supernet(SPACES["single"], FEATURES).to("cuda"), log, out, config, give_up)
    seen = []
    result = train_supernet(
        Supernet(SPACES["single"], FEATURES).to("cuda"),
        log,
        out,
        dataclasses.replace(config, checkpoint_s=60),
        lambda done, _: seen.append(done),
    )
    assert seen[0] == 20  # the step that was given up came after the checkpoint of 19
    assert result.train_log_loss < 0.5 * np.log(2)
    assert Supernet.load(out).final.bias.device.type == "cpu"


@needs_cuda
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"options": OracleOptions(fidelity="last_layer")},
        {"options": OracleOptions(fidelity="last_layer", last_layer="adagrad")},
        {"memory_bytes": 0},
    ],
    ids=str,
)
def test_an_oracle_answers_as_on_the_processor(dataset, options):
    supernet = Supernet(SPACES["single"], dataset.features)
    genotypes = [draw("single", seed) for seed in range(8)]
    here = SupernetOracle(supernet, dataset, **options).evaluate_many(genotypes)
    there = SupernetOracle(supernet.to("cuda"), dataset, **options).evaluate_many(genotypes)
    for one, other in zip(here, there, strict=True):
        assert other.log_loss == pytest.approx(one.log_loss, abs=1e-3)
        assert other.auc == pytest.approx(one.auc, abs=1e-2)


@needs_cuda
def test_a_model_is_trained_from_scratch(dataset, tmp_path):
    config = RetrainConfig(epochs=1, batch_size=100, learning_rates=(1e-3,))
    model = retrain(draw("single", 0), dataset, tmp_path / "model", config)
    assert 0 < model.test_log_loss < 1


@needs_cuda
def test_the_state_of_an_optimizer_goes_where_the_weights_are():
    network = make_supernet("plain").to("cuda")
    optimizer = SliceAdagrad(network)
    optimizer.load_state_dict({"final.bias": torch.ones(1)})
    assert optimizer.state_dict()["final.bias"].device.type == "cuda"
