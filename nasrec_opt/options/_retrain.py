"""How one model is trained from scratch; what a configuration leaves open follows the log."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from nasrec_opt._plain import put_plain
from nasrec_opt._recipe import ModelRecipe, filled, model_recipe
from nasrec_opt.errors import StudyError
from nasrec_opt.options._choices import Initialization, check_choice, check_initialization

Optimizer = Literal["adam", "adagrad"]
# Options that only one of them reads.
READ_BY = {
    "adam": (
        "embedding_rate",
        "embedding_prior",
        "embedding_bound",
        "rate_warmup_steps",
        "validation_pass",
    ),
    "adagrad": ("epsilon", "clip_norm", "rate_warmup_fraction", "refit"),
}
PAPER: Mapping[str, Any] = {
    "optimizer": "adagrad",
    "learning_rates": (0.1, 0.2),
    "epsilon": 1e-2,
    "clip_norm": 5.0,
    "rate_warmup_fraction": 0.1,
    "refit": True,
    "initialization": "xavier",
    "batch_size": 256,
    "epochs": 1,
    "evaluations_per_epoch": 1,
    "averaging": 0.0,
    "layer_norm": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainConfig:
    """Training of one model; what is chosen is chosen on validation rows, never on test rows.

    A field that is None follows the number of training rows; `for_rows` computes it.

    In the second epoch the embedding table memorises a click log of some 100,000 rows. Hence, with
    `adam`, each epoch begins with a fresh table, while the other weights continue (Fan et al. 2024,
    "Multi-Epoch Learning with Data Augmentation for Deep Click-Through Rate Prediction").

    Args:
        optimizer: `adam` trains the table by row-wise Adagrad and all other weights by Adam.
            `adagrad`, as published, trains everything by Adagrad at one rate, which falls to 0
            along half a cosine, and keeps the table from one epoch to the next.
        learning_rates: Candidates of the optimizer's learning rate; several are compared on
            validation rows in the first steps, which takes an eighth of a training for each further
            rate on 100,000 rows, and the best is kept. The comparison is an Optuna study in the
            run's storage, and its trials are runs in MLflow.
        trial_fraction: Share of the first epoch on which the candidates are compared. None means
            100 steps, or a quarter of an epoch if that is more, and up to four times as many until
            one of them beats the constant click rate.
        epsilon: With `adagrad`: added to the square root of an accumulator.
        clip_norm: With `adagrad`: maximum L2 norm of the gradient of everything that a step
            updates. None means no clipping.
        rate_warmup_fraction: With `adagrad`: share of the steps over which the rate rises linearly.
        initialization: Initial weights, `uniform` or the published `xavier`.
        embedding_rate: With `adam`: learning rate of the embedding table.
        embedding_prior: With `adam`: initial value of the table's Adagrad accumulators, in squared
            gradients of the log loss summed over a batch. Where it is large, a rare value moves
            little, as under an L2 penalty. Accumulators of first-order weights begin at 16 times as
            much.
        embedding_bound: With `adam`: fresh embeddings are uniform in [-bound, bound].
        batch_size: Rows of a step. None means the log's.
        epochs: Maximum number of epochs. None means the log's.
        least_steps: Steps before which training does not stop. None means the log's.
        patience: Training stops at the end of an epoch if the best validation log loss is that many
            steps old, and at least one epoch old. None means the log's.
        evaluations_per_epoch: How often an epoch is scored on validation; the best weights are
            kept.
        averaging: Decay per step of the moving average of all weights except the table; that
            average is scored and kept. 0 means no averaging.
        rate_warmup_steps: With `adam`: steps over which the learning rates rise linearly.
        validation_pass: With `adam`: the weights that are kept also learn the validation rows, in a
            single pass, after these rows have made all choices. They are a tenth more rows to
            learn from. Figures on validation rows are from before that pass.
        refit: With `adagrad`: when validation rows have made all choices, the model is trained a
            second time, from its first step, on training and validation rows together, as in the
            published results (docs/decisions/validation_pass.md). Figures on validation rows are
            those of the first training. A training then takes about twice as long.
        evaluation_rows: Maximum number of validation rows behind a choice while training, or None
            for all of them. The reported validation log loss is over all rows.
        seed: Seed of weights and order of rows.
        layer_norm: Whether a layer norm follows each operator, as in the supernet. Published models
            were trained without; their linear maps have a bias instead.
        balance: Whether dot products project their vectors to a smaller number first (section 4.2).
            None means as in the supernet, or true where `retrain` is given none.

    Raises:
        StudyError: An option is out of range.
    """

    optimizer: Optimizer = "adam"
    learning_rates: tuple[float, ...] = (3e-3,)
    trial_fraction: float | None = None
    epsilon: float = 1e-10
    clip_norm: float | None = None
    rate_warmup_fraction: float = 0.0
    initialization: Initialization = "uniform"
    embedding_rate: float = 0.05
    embedding_prior: float = 0.25
    embedding_bound: float = 0.02
    batch_size: int | None = None
    epochs: int | None = None
    least_steps: int | None = None
    patience: int | None = None
    evaluations_per_epoch: int = 4
    averaging: float = 0.98
    rate_warmup_steps: int = 10
    validation_pass: bool = True
    refit: bool = False
    evaluation_rows: int | None = 200_000
    seed: int = 0
    layer_norm: bool = True
    balance: bool | None = None

    def __post_init__(self) -> None:
        put_plain(self)
        check_choice("optimizer", self.optimizer, Optimizer)
        check_initialization(self.initialization)
        self._refuse_unread()
        if not self.learning_rates:
            raise StudyError("learning_rates: expected at least one, got none")
        above_zero = {f"learning_rates[{i}]": r for i, r in enumerate(self.learning_rates)}
        above_zero |= self._given("embedding_rate", "embedding_bound", "epsilon", "clip_norm")
        for name, value in above_zero.items():
            if not 0 < value < math.inf:
                raise StudyError(f"{name}: expected a finite number above 0, got {value}")
        if not 0 <= self.embedding_prior < math.inf:
            raise StudyError(
                f"embedding_prior: expected a finite number from 0, got {self.embedding_prior}"
            )
        if self.trial_fraction is not None and not 0 < self.trial_fraction <= 1:
            raise StudyError(f"trial_fraction: expected above 0, to 1, got {self.trial_fraction}")
        if not 0 <= self.rate_warmup_fraction <= 1:
            raise StudyError(
                f"rate_warmup_fraction: expected 0 to 1, got {self.rate_warmup_fraction}"
            )
        if not 0 <= self.averaging < 1:
            raise StudyError(f"averaging: expected 0 to below 1, got {self.averaging}")
        counts = ("batch_size", "epochs", "evaluations_per_epoch", "evaluation_rows")
        for name, value in self._given(*counts).items():
            if value < 1:
                raise StudyError(f"{name}: expected 1 or more, got {value}")
        for name, value in self._given("rate_warmup_steps", "least_steps", "patience").items():
            if value < 0:
                raise StudyError(f"{name}: expected 0 or more, got {value}")

    def for_rows(self, rows: int) -> RetrainConfig:
        """Fill in every field that follows the log.

        Args:
            rows: Number of training rows.

        Returns:
            A copy in which no such field is None.

        Example:
            >>> RetrainConfig(epochs=3).for_rows(1_000_000).epochs
            3
        """
        return filled(self, model_recipe(rows))

    def recipe(self, rows: int) -> ModelRecipe:
        """Say what the log decides, and what was given in its place.

        Args:
            rows: Number of training rows.

        Returns:
            Values of all fields that follow the log.
        """
        settled = self.for_rows(rows)
        return ModelRecipe(**{f.name: getattr(settled, f.name) for f in fields(ModelRecipe)})

    @classmethod
    def paper(cls, **options: Any) -> RetrainConfig:
        """Train as the published results were, on a log of any size.

        Adagrad with epsilon 1e-2 for all weights, one epoch in steps of 256 rows, gradients clipped
        at norm 5, a warm-up over a tenth of the steps, no layer norms, the better of the rates 0.1
        and 0.2, and a last training on training and validation rows together.

        Args:
            options: Fields that differ from these, by name.

        Returns:
            The configuration.

        Raises:
            StudyError: An option is out of range.

        Example:
            >>> RetrainConfig.paper(batch_size=512).epsilon
            0.01

        References:
            Zhang et al. 2024, section 5.1, and the options of facebookresearch/NasRec.
        """
        return cls(**{**PAPER, **options})

    @property
    def learns_validation(self) -> bool:
        """Whether kept weights learn the validation rows; only `adam` does."""
        return self.validation_pass and self.optimizer == "adam"

    def _refuse_unread(self) -> None:
        """Refuse options of the other optimizer, which would be ignored."""
        other = "adam" if self.optimizer == "adagrad" else "adagrad"
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in READ_BY[other] and value != field.default:
                raise StudyError(
                    f"{field.name}: expected only with optimizer = {other!r}, got {value!r} with "
                    f"{self.optimizer!r}"
                )

    def _given(self, *names: str) -> dict[str, float]:
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}
