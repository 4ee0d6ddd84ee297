"""Sizes and epochs of the rungs."""

from __future__ import annotations

import math

LONG_EPOCH = 1_000  # steps
LEAST_STEPS = 300  # steps of the first rung: log losses after fewer say little about the final ones
LEAST_MODELS, MOST_MODELS = 8, 64
FIRST_MODELS = 4  # models trained before the correction is used; their time plans the rest


def rung_sizes(models: int, finalists: int) -> list[int]:
    """Compute the number of models of each rung; half continue, until only finalists are left.

    Args:
        models: Of the first rung.
        finalists: Models that the last rung leaves.

    Returns:
        Number of models of each rung, the first rung first.

    Example:
        >>> rung_sizes(16, 3)
        [16, 8, 4]
    """
    sizes = [models]
    while math.ceil(sizes[-1] / 2) > finalists:
        sizes.append(math.ceil(sizes[-1] / 2))
    return sizes


def rung_epochs(number: int, first: float) -> float:
    """Compute the epochs for which a model has been trained at the end of a rung.

    Args:
        number: Number of the rung, from 0.
        first: Epochs of the first rung.

    Returns:
        Epochs of all rungs up to this one.
    """
    return first * (1 << number)


def first_epochs(epoch_steps: int) -> float:
    """Choose the epochs of the first rung if a study does not state them.

    An embedding table is fresh at the beginning of each epoch and at its best at the end of one, so
    only the first epoch is cut.

    Args:
        epoch_steps: Steps of an epoch.

    Returns:
        The fewest epochs that have 300 steps: a quarter or a half of one, or whole ones.

    Example:
        >>> first_epochs(187), first_epochs(1562)
        (2, 0.25)
    """
    for part in (0.25, 0.5):
        if part * epoch_steps >= LEAST_STEPS:
            return part
    return math.ceil(LEAST_STEPS / epoch_steps)


def early_epochs(epoch_steps: int) -> float | None:
    """Choose the epochs after which a probe is already used as a model.

    On a million rows, one epoch takes a third of the time of a whole training, and its log loss is
    higher by only 0.0015.

    Args:
        epoch_steps: Steps of an epoch.

    Returns:
        One epoch if it is long, at least 1,000 steps; None if the whole training is soon done.

    Example:
        >>> early_epochs(187), early_epochs(1562)
        (None, 1.0)
    """
    return 1.0 if epoch_steps >= LONG_EPOCH else None


def affordable_models(seconds: float, seconds_per_model: float, finalists: int) -> int:
    """Find the largest first rung whose ladder fits into a time, from 8 to 64 models.

    Args:
        seconds: Time of all rungs together, s.
        seconds_per_model: Measured time of a model in the first rung, s.
        finalists: Models that the last rung leaves.

    Returns:
        Number of models of the first rung.
    """

    def cost(models: int) -> float:  # in models of the first rung
        epochs, before = 0.0, 0.0
        for number, size in enumerate(rung_sizes(models, finalists)):
            epochs += size * (rung_epochs(number, 1) - before)
            before = rung_epochs(number, 1)
        return epochs

    fitting = [
        models
        for models in range(LEAST_MODELS, MOST_MODELS + 1)
        if cost(models) * seconds_per_model <= seconds
    ]
    return max(fitting, default=LEAST_MODELS)
