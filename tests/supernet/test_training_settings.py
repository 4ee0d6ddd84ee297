"""A checkpoint states what its training depended on, and is continued under nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from supernet.cases import FEATURES, SPACES, Log

from nasrec_opt import Supernet
from nasrec_opt.errors import StudyError
from nasrec_opt.supernet import (
    AnyOperatorAnyConnection,
    FairOperators,
    SandwichWidths,
    SingleOperatorAnyConnection,
    SingleOperatorSingleConnection,
    TrainConfig,
    WarmUp,
    full_supernet,
    train_supernet,
)

SPACE = SPACES["single"]


class Widest:
    """A strategy of a user's own that is no dataclass."""

    def sample(self, rng, progress):
        return full_supernet(SPACE)


@dataclass(frozen=True)
class Capped:
    """A strategy of a user's own with an option."""

    widths: tuple[int, ...]

    def sample(self, rng, progress):
        return SPACE.sample(rng)


def begun(out: Path, *, until: int | None = 3, strategy=None, supernet=None, **options) -> None:
    """Train, and be interrupted after some steps, each of which leaves a checkpoint."""
    torch.set_num_threads(1)

    def interrupt(done, total):
        if done == until:
            raise KeyboardInterrupt

    train_supernet(
        Supernet(SPACE, FEATURES, seed=5, **(supernet or {})),
        Log(out.parent / "log", rows=500),
        out,
        TrainConfig(**{"batch_size": 100, "epochs": 1, "checkpoint_s": 0} | options),
        interrupt,
        strategy=strategy,
    )


CHANGES = {
    "another strategy": ({}, {"strategy": Widest()}, "strategy was 'that of the configuration'"),
    "no strategy any more": ({"strategy": Widest()}, {}, "is 'that of the configuration' now"),
    "a strategy with another option": (
        {"strategy": Capped((16,))},
        {"strategy": Capped((32,))},
        r"'widths': \[16\]}, is .*'widths': \[32\]} now",
    ),
    "a strategy around another one": (
        {"strategy": WarmUp(FairOperators(SPACE), SPACE)},
        {"strategy": WarmUp(SandwichWidths(FairOperators(SPACE), SPACE), SPACE)},
        "strategy was .*SandwichWidths",
    ),
    "another path sampling": ({}, {"path_sampling": "any-any"}, "path_sampling was 'single-any'"),
    "other masking": ({}, {"supernet": {"masking": "zero"}}, "masking was 'slice', is 'zero' now"),
    "no balance": ({}, {"supernet": {"balance": False}}, "balance was True, is False now"),
    "the default again": ({"epsilon": 1e-2}, {}, "epsilon was 0.01, is 1e-10 now"),
    "the default no more": ({}, {"epsilon": 1e-2}, "epsilon was 1e-10, is 0.01 now"),
}


@pytest.mark.parametrize(("first", "then", "sentence"), CHANGES.values(), ids=CHANGES)
def test_a_checkpoint_is_not_continued_in_another_way(tmp_path, first, then, sentence):
    with pytest.raises(KeyboardInterrupt):
        begun(tmp_path / "out", **first)
    with pytest.raises(StudyError, match=f"a checkpoint of another training: .*{sentence}"):
        begun(tmp_path / "out", **then)
    begun(tmp_path / "out", until=None, **first)


def test_what_is_not_read_does_not_count(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        begun(tmp_path / "out", strategy=Widest())
    begun(tmp_path / "out", until=None, strategy=Widest(), path_sampling="any-any")
    with pytest.raises(KeyboardInterrupt):
        begun(tmp_path / "single", path_sampling="single-single")
    begun(tmp_path / "single", until=None, path_sampling="single-single", connections="uniform")


def test_the_finished_training_names_the_strategy_it_had(tmp_path):
    begun(tmp_path / "out", until=None, strategy=SingleOperatorSingleConnection(SPACE))
    settings = json.loads((tmp_path / "out" / "training.json").read_text())["settings"]
    assert settings["strategy"]["class"].endswith("SingleOperatorSingleConnection")
    assert not {"path_sampling", "connections", "warmup_fraction"} & set(settings)
    assert (settings["masking"], settings["balance"]) == ("slice", True)


@pytest.mark.parametrize("missing", ["masking", "balance", "epsilon", "clip_norm", "wide"])
def test_a_checkpoint_of_a_version_without_an_option_is_continued_at_its_default(tmp_path, missing):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        begun(out)
    (file,) = (out / "checkpoint").glob("[0-9]*/checkpoint.json")
    description = json.loads(file.read_text())
    description["settings"].pop(missing, None)
    description["settings"]["space"].pop(missing, None)
    file.write_text(json.dumps(description))
    begun(out, until=None)
    assert (out / "training.json").exists()


@pytest.mark.parametrize(
    ("option", "word"),
    [("path_sampling", "any-single"), ("path_sampling", "single_any"), ("connections", "unifrom")],
)
def test_a_misspelt_choice_is_refused(option, word):
    with pytest.raises(StudyError, match=f"{option}: expected one of .*, got '{word}'"):
        TrainConfig(**{option: word})


@pytest.mark.parametrize(
    "strategy", [SingleOperatorAnyConnection, AnyOperatorAnyConnection, FairOperators]
)
def test_a_misspelt_choice_of_a_strategy_is_refused(strategy):
    with pytest.raises(StudyError, match="connections: expected one of uniform, binomial"):
        strategy(SPACE, "unifrom")
