"""How a supernet is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from nasrec_opt._plain import put_plain
from nasrec_opt._recipe import SupernetRecipe, filled, supernet_recipe
from nasrec_opt.errors import StudyError
from nasrec_opt.options._adagrad import AdagradOptions
from nasrec_opt.options._choices import (
    Connections,
    Initialization,
    PathChoice,
    PrecisionChoice,
    check_choice,
    check_initialization,
    check_precision,
)
from nasrec_opt.options._differences import differences, json_values


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig(AdagradOptions):
    """How the supernet is trained (paper, section 5.1).

    A field that is None follows the number of training rows; `for_rows` computes it.

    Args:
        path_sampling: Operators and connections of the subnets that are trained, each single or
            any: `single-any`, `single-single` or `any-any`.
        connections: How the number of inputs is drawn where it can be any: `binomial`, 1 +
            binomial(n - 1, 0.5), or `uniform`.
        warmup_fraction: Share of training over which the probability of training the full supernet
            falls from 1 to 0.
        batch_size: Rows of a step. None means the log's.
        initialization: How the weights begin: `uniform`; or `xavier`, as published: linear layers
            Xavier-uniform, embeddings Xavier-normal, biases 0, and a final layer whose weights
            count once. A supernet that is made in Python needs the same.
        embedding_rate: Peak learning rate of the embedding table and of the first-order weights of
            values. On a small log, weights need a lower rate than the vectors of a table, each of
            which few steps see. None means the log's, or `learning_rate` where that is given.
        embedding_prior: Initial value of the table's accumulators, in squared gradients of the log
            loss summed over a batch; first-order weights begin at 16 times as much. A small log is
            memorised by its table, and a large value holds rare values back. None means the log's.
        epochs: Passes over the training rows. None means the log's.
        max_table_rows: Maximum number of rows of one column's embedding table.
        precision: Precision of the products while training: `float32`; `bfloat16`, which is quicker
            where the device has instructions for it; or `auto`, which takes bfloat16 there, unless
            weights are rounded to bits. Weights, optimizer, layer norms, softmax, final layer and
            loss stay float32. The default is float32, so that a supernet's weights do not depend on
            the processor.
        checkpoint_s: Seconds between checkpoints, s.
        seed: Seed of weights, order of rows and paths.

    Raises:
        StudyError: An option is out of range.
    """

    path_sampling: PathChoice = "single-any"
    connections: Connections = "binomial"
    warmup_fraction: float = 0.2
    batch_size: int | None = None
    learning_rate: float | None = None
    initialization: Initialization = "uniform"
    embedding_rate: float | None = None
    embedding_prior: float | None = None
    epochs: int | None = None
    max_table_rows: int = 500_000
    precision: PrecisionChoice = "float32"
    checkpoint_s: float = 60.0
    seed: int = 0

    def __post_init__(self) -> None:
        put_plain(self)
        for name in ("batch_size", "epochs", "max_table_rows"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise StudyError(f"{name}: expected 1 or more, got {count}")
        self.check_adagrad()
        check_choice("path_sampling", self.path_sampling, PathChoice)
        check_choice("connections", self.connections, Connections)
        check_initialization(self.initialization)
        rate = self.embedding_rate
        if rate is not None and not 0 < rate < math.inf:
            raise StudyError(f"embedding_rate: expected a finite number above 0, got {rate}")
        for name in ("checkpoint_s", "embedding_prior"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise StudyError(f"{name}: expected 0 or more, got {value}")
        check_precision(self.precision)
        if not 0 <= self.warmup_fraction <= 1:
            raise StudyError(f"warmup_fraction: expected 0 to 1, got {self.warmup_fraction}")

    def for_rows(self, rows: int) -> TrainConfig:
        """Fill in every field that follows the log.

        Args:
            rows: Number of training rows.

        Returns:
            A copy in which no such field is None.

        Example:
            >>> TrainConfig().for_rows(40_000_000).batch_size
            512
        """
        return self.with_recipe(supernet_recipe(rows))

    def with_recipe(self, recipe: SupernetRecipe) -> TrainConfig:
        """Fill in every field that follows the log from a recipe.

        Args:
            recipe: Values for the fields that are None.

        Returns:
            A copy in which no such field is None.
        """
        settled = filled(self, recipe)
        if self.learning_rate is not None:
            settled = replace(settled, embedding_rate=self.embedding_rate)
        return settled

    def in_force(self) -> dict[str, Any]:
        """State everything that the weights depend on.

        Returns:
            JSON values by name, equal for trainings that give equal weights.
        """
        values = json_values(self)
        del values["checkpoint_s"]  # changes no weight
        if values["embedding_rate"] == values["learning_rate"]:
            values["embedding_rate"] = None
        if values["path_sampling"] == "single-single":
            del values["connections"]  # each branch has one input
        return values

    def identity(self) -> dict[str, Any]:
        """State what the weights depend on, as far as it is not the default.

        Returns:
            JSON values by name, equal for trainings that give equal weights.
        """
        return differences(self.in_force(), json_values(TrainConfig()))
