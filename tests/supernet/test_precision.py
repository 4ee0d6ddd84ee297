"""Products in bfloat16: as good a training, and float32 everywhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from supernet.cases import FEATURES, SPACES, Log, draw, make_batch, make_supernet
from torch.nn import functional

from nasrec_opt import Supernet
from nasrec_opt.errors import StudyError
from nasrec_opt.supernet import (
    LeafReader,
    SliceAdagrad,
    TrainConfig,
    choose_precision,
    has_bfloat16,
    train_step,
    train_supernet,
)


def train(out, *, rows: int, stop_at: int | None = None, precision="bfloat16", space="single"):
    """Train; or give up after some steps, with a checkpoint after each."""

    def give_up(done: int, _: int | None) -> None:
        if done == stop_at:
            raise InterruptedError

    torch.set_num_threads(1)
    supernet = Supernet(SPACES[space], FEATURES, seed=5)
    config = TrainConfig(
        batch_size=100,
        epochs=3,
        learning_rate=0.12,
        embedding_rate=0.12,
        embedding_prior=0.0,
        seed=5,
        precision=precision,
        checkpoint_s=0 if stop_at else 60,
    )
    return train_supernet(supernet, Log(out.parent, rows), out, config, give_up)


def gradients(name: str, precision: str) -> list[torch.Tensor]:
    """Of every slice that a step of three genotypes used."""
    supernet, found = make_supernet(name), []
    dense, sparse, labels = make_batch(3, rows=64)
    for seed in range(3):
        leaves = LeafReader()
        embedded = supernet.embed(sparse).detach().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            activations = supernet.hidden(draw(name, seed), dense, embedded, leaves)
        assert {values.dtype for values in activations.dense.values()} == {torch.float32}
        assert {values.vectors.dtype for values in activations.sparse.values()} == {torch.float32}
        logits = supernet.finish(draw(name, seed), activations, leaves)
        assert logits.dtype == torch.float32
        functional.binary_cross_entropy_with_logits(logits, labels).backward()
        found += [leaf.view.grad for leaf in leaves.used] + [embedded.grad]
    return found


# Bits: rounding to few levels turns a small difference into a level now and then.
@pytest.mark.parametrize(
    ("name", "share"), [("single", 0.1), ("multi", 0.1), ("plain", 0.1), ("bits", 0.25)]
)
def test_gradients_arrive_in_float32_and_are_nearly_those_of_float32(name, share):
    ours, exact = gradients(name, "bfloat16"), gradients(name, "float32")
    assert {gradient.dtype for gradient in ours} == {torch.float32}
    one, other = (torch.cat([g.flatten() for g in found]) for found in (ours, exact))
    assert 0 < (one - other).norm() < share * other.norm()


def test_a_step_in_bfloat16_is_nearly_one_in_float32():
    losses = []
    for precision in ("float32", "bfloat16"):
        supernet = make_supernet("single")
        optimizer = SliceAdagrad(supernet)
        batch, genotype = make_batch(3, rows=64), draw("single", 0)
        step = [
            train_step(
                supernet, optimizer, batch, genotype, learning_rate=0.01, precision=precision
            )
            for _ in range(5)
        ]
        assert all(weight.dtype == torch.float32 for weight in supernet.parameters())
        losses.append(torch.stack(step))
    torch.testing.assert_close(*losses, rtol=0.01, atol=0)
    assert not torch.equal(*losses)  # otherwise it was float32 after all


def test_training_in_bfloat16_learns_as_well(tmp_path):
    ours, exact = (
        train(tmp_path / precision, rows=2000, precision=precision, space="plain")
        for precision in ("bfloat16", "float32")
    )
    assert ours.train_log_loss == pytest.approx(exact.train_log_loss, abs=0.02)  # of 0.69


def test_training_in_bfloat16_resumes_exactly(tmp_path):
    train(tmp_path / "whole", rows=500)
    with pytest.raises(InterruptedError):
        train(tmp_path / "halves", rows=500, stop_at=7)
    with pytest.raises(StudyError, match="precision was 'bfloat16', is 'float32' now"):
        train(tmp_path / "halves", rows=500, precision="float32")
    train(tmp_path / "halves", rows=500)
    one, other = (
        load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "halves")
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_another_precision_is_refused():
    with pytest.raises(StudyError, match="expected one of auto, float32, bfloat16, got '"):
        TrainConfig(precision="half")


def test_the_processor_is_asked_for_its_instructions():
    flags = set(Path("/proc/cpuinfo").read_text().lower().split())
    expected = bool(flags & {"avx512_bf16", "amx_bf16", "avx10_2", "bf16"})
    assert has_bfloat16(torch.device("cpu")) == expected


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_auto_is_bfloat16_only_where_it_is_quicker_and_ranks_alike(device):
    device = torch.device(device)
    quick = "bfloat16" if has_bfloat16(device) else "float32"
    assert choose_precision("auto", device, is_quantized=False) == quick
    assert choose_precision("auto", device, is_quantized=True) == "float32"
    assert choose_precision("float32", device, is_quantized=False) == "float32"


def test_an_explicit_choice_that_is_slower_is_kept_and_said(caplog):
    nowhere = torch.device("meta")  # has no instructions whatever
    assert choose_precision("bfloat16", nowhere, is_quantized=False) == "bfloat16"
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert 'precision = "bfloat16" is slower than "float32" here' in record.getMessage()
    caplog.clear()
    choose_precision("auto", nowhere, is_quantized=False)
    choose_precision("float32", nowhere, is_quantized=False)
    assert not caplog.records


def test_a_training_says_which_precision_auto_came_to(tmp_path):
    train(tmp_path / "out", rows=500, precision="auto")
    settings = json.loads((tmp_path / "out" / "training.json").read_text())["settings"]
    expected = "bfloat16" if has_bfloat16(torch.device("cpu")) else "float32"
    assert settings["precision"] == expected
