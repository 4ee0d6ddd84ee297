"""A training in parts comes to what the whole comes to, however it was cut."""

from __future__ import annotations

import copy
import dataclasses
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from patience import PATIENCE_S
from retrain.cases import GENOTYPE
from safetensors import safe_open
from safetensors.torch import save_file

from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.errors import StudyError
from nasrec_opt.retrain import (
    RetrainConfig,
    Training,
    forget_training,
    retrain,
    train_epochs,
)
from nasrec_opt.supernet import Subnet, start_at_click_rate

OTHER = dataclasses.replace(GENOTYPE, blocks=GENOTYPE.blocks[:1])
CONFIG = RetrainConfig(
    batch_size=64, epochs=4, learning_rates=(1e-3, 3e-3), trial_fraction=0.5, seed=2
)
STATE = "training.safetensors"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("data") / "log"
    generate_synthetic(path, rows=1200, seed=1)
    return Dataset.open(path, min_count=2, binned_dense=True)


@pytest.fixture(scope="module")
def whole(dataset, tmp_path_factory):
    return retrain(GENOTYPE, dataset, tmp_path_factory.mktemp("whole"), CONFIG)


def assert_same_model(one, other) -> None:
    skipped = {"path": None, "seconds": None}
    figures = [{**model.to_dict(), **skipped} for model in (one, other)]
    assert figures[0] == figures[1]
    folders = [[folder.name for folder in model.weights()] for model in (one, other)]
    assert folders == [["model", "other_epoch"]] * 2
    for folder in folders[0]:
        weights = [Subnet.load(model.path / folder).state_dict() for model in (one, other)]
        for name, weight in weights[0].items():
            assert torch.equal(weight, weights[1][name]), (folder, name)


@settings(max_examples=4, deadline=None)
@given(
    cuts=st.lists(
        st.sampled_from((0.2, 0.5, 0.7, 1, 1.5, 2, 3, 9)), min_size=1, max_size=3, unique=True
    ).map(sorted)
)
def test_a_training_in_parts_ends_as_the_whole_one(dataset, whole, tmp_path_factory, cuts):
    folder = tmp_path_factory.mktemp("parts")
    history = dict(whole.validation_history)
    for epochs in cuts:
        part = train_epochs(GENOTYPE, dataset, folder, CONFIG, epochs=epochs)
        so_far = [value for step, value in history.items() if step <= part.steps]
        assert part.log_loss == min(so_far)
        assert part.row_losses.mean() == pytest.approx(part.log_loss, abs=1e-9)
        assert part.is_over == (part.steps == max(history))
    assert_same_model(retrain(GENOTYPE, dataset, folder, CONFIG), whole)
    assert not (folder / STATE).exists()


def test_a_part_is_trained_once(dataset, tmp_path):
    first = train_epochs(GENOTYPE, dataset, tmp_path, CONFIG, epochs=1)
    forget_training(tmp_path)
    assert not (tmp_path / STATE).exists()
    steps: list[int] = []
    again = train_epochs(
        GENOTYPE, dataset, tmp_path, CONFIG, epochs=1, progress=lambda done, _: steps.append(done)
    )
    assert not steps
    np.testing.assert_array_equal(again.row_losses, first.row_losses)
    assert dataclasses.replace(again, row_losses=first.row_losses) == first


def test_an_earlier_part_asked_for_late_leaves_the_later_one(dataset, whole, tmp_path):
    train_epochs(GENOTYPE, dataset, tmp_path, CONFIG, epochs=3)
    early = train_epochs(GENOTYPE, dataset, tmp_path, CONFIG, epochs=1)
    alone = train_epochs(GENOTYPE, dataset, tmp_path / "alone", CONFIG, epochs=1)
    assert early.log_loss == alone.log_loss
    assert_same_model(retrain(GENOTYPE, dataset, tmp_path, CONFIG), whole)


@pytest.mark.parametrize("damage", ["seed", "torn", "genotype"])
def test_a_state_of_another_training_is_not_gone_on_from(dataset, whole, tmp_path, damage):
    """One that was begun with another seed or genotype, or was cut short, is begun anew."""
    begun, config = GENOTYPE, CONFIG
    if damage == "seed":
        config = dataclasses.replace(CONFIG, seed=9)
    if damage == "genotype":
        begun = OTHER
    train_epochs(begun, dataset, tmp_path, config, epochs=1)
    if damage == "torn":
        content = (tmp_path / STATE).read_bytes()
        (tmp_path / STATE).write_bytes(content[: len(content) // 2])
    assert_same_model(retrain(GENOTYPE, dataset, tmp_path, CONFIG), whole)


def test_accumulators_of_first_order_weights_are_kept_only_of_models_that_have_them(
    dataset, tmp_path
):
    config = dataclasses.replace(CONFIG, epochs=2, learning_rates=(1e-3,))
    for wide in (True, False):
        genotype = dataclasses.replace(GENOTYPE, wide=wide)
        folder = tmp_path / str(wide)
        first = train_epochs(genotype, dataset, folder, config, epochs=1)
        with safe_open(folder / STATE, framework="pt") as stored:
            assert ("first_order_squares" in stored.keys()) == wide  # noqa: SIM118
    # A state from before has them of every model, and is gone on from.
    with safe_open(folder / STATE, framework="pt") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        head = stored.metadata()
    tensors["first_order_squares"] = torch.zeros_like(tensors["squares"])
    save_file(tensors, folder / STATE, head)
    steps: list[int] = []
    second = train_epochs(
        genotype, dataset, folder, config, epochs=2, progress=lambda done, _: steps.append(done)
    )
    assert max(steps) == second.steps - first.steps
    alone = train_epochs(genotype, dataset, tmp_path / "alone", config, epochs=2)
    assert second.log_loss == alone.log_loss


def test_no_epoch_is_no_training(dataset, tmp_path):
    with pytest.raises(StudyError, match="epochs: expected a finite number above 0, got 0"):
        train_epochs(GENOTYPE, dataset, tmp_path, CONFIG, epochs=0)


SCRIPT = """
import sys
from nasrec_opt.data import Dataset
from nasrec_opt.retrain import RetrainConfig, train_epochs
from nasrec_opt.space import Genotype
data, out, genotype = sys.argv[1:]
dataset = Dataset.open(data, min_count=2, binned_dense=True)
config = RetrainConfig(
    batch_size=64, epochs=4, learning_rates=(1e-3, 3e-3), trial_fraction=0.5, seed=2
)
for epochs in (1, 2, 3, 4):
    train_epochs(Genotype.from_json(genotype), dataset, out, config, epochs=epochs)
"""


def test_a_killed_process_goes_on_from_its_last_part(start_code, dataset, whole, tmp_path):
    process = start_code(SCRIPT, dataset.path, tmp_path, GENOTYPE.to_json())
    deadline = time.monotonic() + PATIENCE_S
    while process.is_running() and time.monotonic() < deadline:
        if (tmp_path / "epochs-1.safetensors").exists():
            break
        time.sleep(0.01)
    process.stop(signal.SIGKILL)
    assert Path(tmp_path / STATE).exists()
    steps: list[int] = []
    resumed = retrain(
        GENOTYPE, dataset, tmp_path, CONFIG, progress=lambda done, _: steps.append(done)
    )
    assert_same_model(resumed, whole)
    assert max(steps, default=0) < max(step for step, _ in whole.validation_history)


def test_a_look_between_two_scores_changes_nothing(dataset, whole):
    training = Training(dataset, CONFIG)
    subnet = Subnet(GENOTYPE, dataset.features, CONFIG.seed)
    start_at_click_rate(subnet, dataset.split("train").labels)
    state = training.begin(lambda: copy.deepcopy(subnet))
    while not training.is_over(state):
        scored, scores = state.learner.steps, len(state.validation)
        training.learn(state, scored + 2)
        assert scored < state.learner.steps <= scored + 2
        training.learn(state, scored + 10 * training.epoch_steps)  # it stops before the next score
        assert len(state.validation) == scores
        training.advance(state, state.learner.steps + 1)
    history = training.finish(state, subnet)
    training.learn(state, 10**9)  # it is over
    assert state.learner.steps == history.validation[-1][0]
    assert history.validation == whole.validation_history
    training.learn_validation(state, state.best)
    weights = Subnet.load(whole.path / "model").state_dict()
    for name, weight in state.learner.subnet.state_dict().items():
        assert torch.equal(weight, weights[name]), name
