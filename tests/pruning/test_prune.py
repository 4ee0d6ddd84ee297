"""Rounds of pruning on a small log, from training to a smaller model that can be used."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest
import torch

from nasrec_opt import Genotype, Subnet
from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.errors import StudyError
from nasrec_opt.lowering import lower
from nasrec_opt.pruning import PruneConfig, prune
from nasrec_opt.retrain import RetrainConfig, constant_log_loss, log_loss, predict, retrain
from nasrec_opt.space import BlockGene

GENOTYPE = Genotype(
    (
        BlockGene(dense_width=64, sparse_width=16, dense_to_sparse=True),
        BlockGene(
            dense_ops=("dot",), dense_width=32, sparse_width=16, dense_inputs=(0, 1),
            sparse_inputs=(0, 1), sparse_to_dense=True,
        ),
    ),
    space="nasrec_small",
)  # fmt: skip
TRAINING = RetrainConfig(batch_size=128, epochs=1, least_steps=0, patience=0)
ROUNDS = 2


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("data") / "log"
    generate_synthetic(path, rows=3000, seed=1)
    return Dataset.open(path, min_count=4)


@pytest.fixture(scope="module", params=["mask", "magnitude"])
def pruned(request, dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp(request.param)
    config = PruneConfig(method=request.param, rounds=ROUNDS)
    rounds = prune(GENOTYPE, dataset, out, config, training=TRAINING, trained_after=(1, 2))
    return config, out, rounds


def test_every_round_leaves_a_smaller_model_that_has_learnt(pruned, dataset):
    _, _, rounds = pruned
    before = lower(GENOTYPE, dataset.features)
    sizes = [(before.macs, before.parameters), *((r.macs, r.parameters) for r in rounds)]
    assert all(new < old for (old, _), (new, _) in pairwise(sizes))
    assert all(new < old for (_, old), (_, new) in pairwise(sizes))
    for found in rounds:
        assert found.trained.test_log_loss < constant_log_loss(dataset)
        assert found.trained.genotype == found.genotype


def test_the_pruned_model_is_an_ordinary_subnet(pruned, dataset):
    _, _, rounds = pruned
    model = rounds[-1].trained
    subnet = Subnet.load(model.path / "model")
    workload = lower(model.genotype, dataset.features)
    weights = {n: w for n, w in subnet.named_parameters() if not n.startswith("embedding")}
    assert workload.parameters == sum(weight.numel() for weight in weights.values())
    assert workload.parameters == rounds[-1].parameters
    answers = predict(subnet, dataset.split("test"))
    assert log_loss(*answers) == pytest.approx(model.test_log_loss, abs=1e-6)


def test_a_pruned_genotype_retrains_like_any_other(pruned, dataset, tmp_path):
    _, _, rounds = pruned
    genotype = Genotype.from_json(rounds[-1].genotype.to_json())
    assert retrain(genotype, dataset, tmp_path, TRAINING).test_log_loss < 0.7


def test_the_same_command_reads_what_is_there(pruned, dataset):
    config, out, rounds = pruned
    said = []
    again = prune(
        GENOTYPE, dataset, out, config, training=TRAINING, trained_after=(1, 2),
        progress=lambda done, total: said.append(done),
    )  # fmt: skip
    assert again == rounds
    assert said == []


class StoppedError(Exception):
    """In place of a kill, between two steps of a training."""


def test_a_stopped_pruning_goes_on_as_if_it_had_not_stopped(pruned, dataset, tmp_path):
    config, _, rounds = pruned
    begun = []

    def stop(done, total):
        if len(begun) == 2 and done == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        prune(
            GENOTYPE, dataset, tmp_path, config, training=TRAINING, begin=begun.append,
            progress=stop,
        )  # fmt: skip
    assert (tmp_path / "round-1" / "kept.json").exists()
    assert not (tmp_path / "round-2" / "kept.json").exists()
    said = []
    again = prune(GENOTYPE, dataset, tmp_path, config, training=TRAINING, begin=said.append)
    assert [sentence.partition(":")[0] for sentence in said] == ["round 2", "round 2"]
    assert [found.kept for found in again] == [found.kept for found in rounds]
    assert again[-1].trained.test_log_loss == rounds[-1].trained.test_log_loss


def test_other_settings_are_pruned_anew(pruned, dataset):
    config, out, rounds = pruned
    other = dataclasses.replace(config, share=0.4, rounds=1)
    (found,) = prune(GENOTYPE, dataset, out, other, training=TRAINING)
    assert found.macs < rounds[0].macs
    prune(GENOTYPE, dataset, out, config, training=TRAINING, trained_after=(1, 2))


@pytest.mark.parametrize("recipe", ["small_log", "paper"])
def test_units_begin_with_the_weights_that_they_had(recipe, dataset, tmp_path):
    config = PruneConfig(method="magnitude", rounds=1)
    training = TRAINING if recipe == "small_log" else RetrainConfig.paper()
    still = dataclasses.replace(training, learning_rates=(1e-12,), averaging=0.0)
    (found,) = prune(GENOTYPE, dataset, tmp_path, config, training=still)
    name = "blocks.1.dense.fc.project.weights.0"
    before = Subnet(
        GENOTYPE, dataset.features, still.seed, initialization=still.initialization
    ).get_parameter(name)
    after = Subnet.load(found.trained.path / "model").get_parameter(name)
    torch.testing.assert_close(after, before[list(found.kept["dense", 1])])


def test_pruning_ends_where_nothing_is_left_to_remove(dataset, tmp_path):
    block = BlockGene(dense_width=16, sparse_width=16)
    config = PruneConfig(method="magnitude", rounds=4, share=0.9)
    said: list[str] = []
    for _ in range(2):
        rounds = prune(
            Genotype((block,)), dataset, tmp_path, config, training=TRAINING, begin=said.append
        )
    assert [found.number for found in rounds] == [1]
    assert len(rounds[0].kept["dense", 1]) == len(rounds[0].kept["sparse", 1]) == 4
    assert rounds[0].trained is not None
    # The second round found nothing; the second time all is read.
    choosing, last = "training to choose units", "round 1: training what is left"
    assert said == [f"round 1: {choosing}", f"round 2: {choosing}", last, last]


def test_magnitude_comes_down_to_the_macs_of_another_method(dataset, tmp_path):
    before = lower(GENOTYPE, dataset.features).macs
    macs = [round(before * share) for share in (0.8, 0.6)]
    config = PruneConfig(method="magnitude", rounds=2)
    rounds = prune(GENOTYPE, dataset, tmp_path, config, training=TRAINING, macs=macs)
    for found, wanted in zip(rounds, macs, strict=True):
        assert 0.93 * wanted < found.macs <= wanted


def test_bad_arguments_are_one_sentence(dataset, tmp_path):
    config = PruneConfig(rounds=2)
    with pytest.raises(StudyError, match=r"^trained_after: expected rounds 1 to 2, got \[3\]$"):
        prune(GENOTYPE, dataset, tmp_path, config, trained_after=(3,))
    with pytest.raises(StudyError, match=r"^macs: expected 2 numbers, one a round, got 1$"):
        prune(GENOTYPE, dataset, tmp_path, config, macs=[1])
    alone = Genotype((BlockGene(dense_width=16, sparse_width=16, sparse_to_dense=True),))
    attention = dataclasses.replace(alone.blocks[0], sparse_ops=("attn",))
    with pytest.raises(
        StudyError, match=r"^round 1: expected units that can be removed, got none$"
    ):
        prune(Genotype((attention,)), dataset, tmp_path, config, training=TRAINING)
    assert not any(tmp_path.iterdir())
