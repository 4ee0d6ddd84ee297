"""Settings of a training that follow the number of rows, if its configuration leaves them open.

They are all here: for the supernet, for a subnet trained alone, and for the threshold of rare
values. The numbers were chosen on other logs than those that docs/decisions/small_logs.md reports.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

Config = TypeVar("Config")

SMALL_LOG = 50_000  # training rows: below, no value is left out, and steps are smaller
SUPERNET_BATCH, SUPERNET_STEPS = 128, 2_250  # the steps that passes are counted for, at most 3
LADDER_STEPS = 750  # of a supernet whose scores trained models correct
PUBLISHED_LOG = 10_000_000  # training rows from which on the paper's settings hold


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecipe:
    """Settings of a model trained from scratch; see `nasrec_opt.retrain.RetrainConfig`."""

    batch_size: int
    epochs: int
    least_steps: int
    patience: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SupernetRecipe:
    """Settings of a supernet trained with Adagrad; see `nasrec_opt.supernet.TrainConfig`."""

    batch_size: int
    epochs: int
    learning_rate: float
    embedding_rate: float
    embedding_prior: float


def model_recipe(rows: int) -> ModelRecipe:
    """Settings for training a model from scratch.

    Args:
        rows: Training rows.
    """
    steps_per_epoch = 400 if rows < SMALL_LOG else 200
    batch_size = _batch_size(rows, steps_per_epoch=steps_per_epoch, least=32, most=512)
    per_epoch = max(1, rows // batch_size)
    return ModelRecipe(
        batch_size=batch_size,
        epochs=max(6, round(4000 / per_epoch)),  # patience ends most trainings long before
        # On a million rows every epoch up to the fourth still gains, but less than one differs from
        # the next by chance: patience alone ended five trainings of 21 after the second.
        least_steps=max(400, 3 * per_epoch) if SMALL_LOG <= rows < PUBLISHED_LOG else 400,
        patience=150,
    )


def supernet_recipe(rows: int, *, has_ladder: bool = False) -> SupernetRecipe:
    """Settings for training a supernet, or a subnet in the same way.

    Args:
        rows: Training rows.
        has_ladder: Whether models are trained from scratch before any is chosen. These improve the
            scores more than further passes of the supernet would in the same time.
    """
    if rows >= PUBLISHED_LOG:
        return SupernetRecipe(
            batch_size=512,
            epochs=1,
            learning_rate=0.12,
            embedding_rate=0.12,
            embedding_prior=0.0,
        )
    # Its table is one for all passes: more of them, or many small steps, memorise a small log. On a
    # longer one the time for more steps than these is better spent on training what is found.
    steps = LADDER_STEPS if has_ladder else SUPERNET_STEPS
    passes = math.ceil(steps * SUPERNET_BATCH / max(1, rows))
    return SupernetRecipe(
        batch_size=SUPERNET_BATCH,
        epochs=min(3, passes),
        learning_rate=0.03,
        embedding_rate=0.05,
        embedding_prior=0.25,
    )


def min_count(rows: int) -> int:
    """Training rows that a value needs for an id of its own.

    Args:
        rows: Training rows.
    """
    if rows < SMALL_LOG:
        return 1
    return 4 if rows < PUBLISHED_LOG else 10


def filled(config: Config, recipe: Any) -> Config:
    """Fill the open fields of a configuration, those that are None, with the recipe's values.

    Args:
        config: A dataclass; it may lack fields of the recipe.
        recipe: A dataclass.
    """
    taken = {
        name: value
        for name, value in asdict(recipe).items()
        if getattr(config, name, value) is None
    }
    return replace(config, **taken)  # type: ignore[type-var]


def _batch_size(rows: int, *, steps_per_epoch: int, least: int, most: int) -> int:
    """The power of two whose number of steps per epoch is nearest to the wanted one."""
    nearest = 2 ** round(math.log2(max(1.0, rows / steps_per_epoch)))
    return int(min(most, max(least, nearest)))
