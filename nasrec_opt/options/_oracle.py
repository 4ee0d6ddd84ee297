"""Options for training or fitting a genotype's model before it is scored."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nasrec_opt._plain import put_plain
from nasrec_opt._recipe import SupernetRecipe, supernet_recipe
from nasrec_opt.errors import StudyError
from nasrec_opt.options._adagrad import AdagradOptions
from nasrec_opt.options._supernet import TrainConfig

ADAGRAD = ("epsilon", "clip_norm", "rate_warmup_fraction")
FROM_LOG = ("epochs", "batch_size", "learning_rate", "embedding_rate", "embedding_prior")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdagradFit(AdagradOptions):
    """How Adagrad fits the final layer; the defaults are those of the published code.

    Every step has `batch_size` training rows that no step before had, drawn at random and the same
    for every genotype. A log with fewer than `steps * batch_size` training rows is read again from
    its beginning, in a new order, as often as needed.

    Args:
        learning_rate: Peak learning rate of Adagrad; half a cosine down to 0 follows.
        clip_norm: Maximum L2 norm of the layer's gradient, or None for no clipping.
        steps: Steps of the final layer.
        batch_size: Rows of a step, all of them new, and the same for every genotype.
        seed: Seed of the order of rows.

    Raises:
        StudyError: An option is out of range.

    References:
        Zhang et al. 2023, NASRec, section 5.1; the values that the paper leaves out are those of
        its code (facebookresearch/NasRec, `eval_subnet_from_supernet.py`).
    """

    learning_rate: float = 0.04
    epsilon: float = 1e-2
    clip_norm: float | None = 5.0
    rate_warmup_fraction: float = 0.1
    steps: int = 500
    batch_size: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        put_plain(self)
        self.check_adagrad()
        for name, least in (("steps", 1), ("batch_size", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise StudyError(f"{name}: expected {least} or more, got {getattr(self, name)}")

    def rows(self, num_rows: int) -> npt.NDArray[np.int64]:
        """Draw the rows of all steps.

        Args:
            num_rows: Number of rows to draw from.

        Returns:
            Row numbers in the order of the steps, `[steps * batch_size]`.

        Raises:
            StudyError: `num_rows` is 0.
        """
        if num_rows < 1:
            raise StudyError("last layer: expected rows to fit it on, got none")
        rng = np.random.default_rng([self.seed, 3])
        missing = self.steps * self.batch_size
        passes = []
        while missing > 0:
            count = min(missing, num_rows)
            passes.append(rng.choice(num_rows, count, replace=False))  # shuffled
            missing -= count
        return np.concatenate(passes)


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTune(AdagradOptions):
    """Options for training a subnet a few steps further, with the same batches for every genotype.

    Args:
        learning_rate: Peak learning rate of Adagrad; half a cosine down to 0 follows.
        steps: Steps of Adagrad from the supernet's weights.
        batch_size: Training rows of a step, the same for every genotype.
        evaluations: How often the validation rows are scored on the way, evenly spread, the last
            time at the end; they are also scored once before the first step.
        seed: Seed of the order of rows.

    Raises:
        StudyError: An option is out of range.
    """

    steps: int = 100
    batch_size: int = 512
    learning_rate: float = 0.08
    evaluations: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        put_plain(self)
        _check_counts(steps=self.steps, batch_size=self.batch_size, evaluations=self.evaluations)
        self.check_adagrad()

    def as_train_config(self) -> TrainConfig:
        """Convert to the options of a supernet's training; its number of steps is not used.

        Returns:
            A configuration with the same options.
        """
        shared = ("batch_size", "learning_rate", "seed", *ADAGRAD)
        return TrainConfig(**{name: getattr(self, name) for name in shared}, epochs=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch(AdagradOptions):
    """Options for training a subnet alone, from fresh weights, as the supernet is trained.

    A field that is None follows the number of training rows, as in `TrainConfig`.

    Args:
        epochs: Passes over the training rows; the fresh weights are drawn by the supernet's
            `initialization`. None means the log's.
        batch_size: Training rows of a step. None means the log's.
        embedding_rate: Peak learning rate of the embedding table, as for a supernet. None means the
            log's, or `learning_rate` where that is given.
        embedding_prior: Initial value of the table's accumulators, as for a supernet. None means
            the log's.
        evaluations: How often the validation rows are scored on the way, evenly spread, the last
            time at the end.
        seed: Seed of weights and of the order of rows.

    Raises:
        StudyError: An option is out of range.
    """

    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    embedding_rate: float | None = None
    embedding_prior: float | None = None
    evaluations: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        put_plain(self)
        _check_counts(evaluations=self.evaluations)
        self.as_train_config()  # checks the rest

    def for_rows(self, rows: int) -> Scratch:
        """Fill in every field that follows the log.

        Args:
            rows: Number of training rows.

        Returns:
            A copy in which no such field is None.
        """
        return self.with_recipe(supernet_recipe(rows))

    def with_recipe(self, recipe: SupernetRecipe) -> Scratch:
        """Fill in every field that follows the log from a recipe.

        Args:
            recipe: Values for the fields that are None.

        Returns:
            A copy in which no such field is None.
        """
        settled = self.as_train_config().with_recipe(recipe)
        return replace(self, **{name: getattr(settled, name) for name in FROM_LOG})

    def as_train_config(self) -> TrainConfig:
        """Convert to the options of a supernet's training.

        Returns:
            A configuration with the same options.
        """
        shared = ("seed", *ADAGRAD, *FROM_LOG)
        return TrainConfig(**{name: getattr(self, name) for name in shared})


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise StudyError(f"{name}: expected 1 or more, got {value}")
