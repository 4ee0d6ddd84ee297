"""How a training step changes weights: Adam with row-wise Adagrad for tables, or Adagrad for all.

A rule never has a dense gradient of a table: it gets those of the rows that the batch has read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from nasrec_opt.options import AdagradOptions, RetrainConfig
from nasrec_opt.retrain._steps import Adagrad, Adam
from nasrec_opt.supernet import FIRST_ORDER_PRIOR, clip_gradients, learning_rate_at
from nasrec_opt.supernet._embedding import FusedEmbedding

EPSILON = 1e-10


class Rule(Protocol):
    """The optimizers of one training."""

    def begin_epoch(self, epoch: int) -> None:
        """Prepare the tables for an epoch.

        Args:
            epoch: Its number, from 0.
        """

    def step(
        self, number: int, rows: Tensor, gradients: Tensor, of_first_order: Tensor | None
    ) -> None:
        """Change all weights, whose gradients a batch has left.

        Args:
            number: Number of the step, from 1.
            rows: Rows of the table that the batch has read, `[batch, num_sparse]`.
            gradients: Of the mean log loss by what was read, `[batch, num_sparse, dim]`.
            of_first_order: Gradients by the first-order weights that were read,
                `[batch, num_sparse]`, or None for a model without.
        """

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that the next step depends on besides weights and gradients."""

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Inverse of `state_dict`; the tensors may have others among them."""


class AdamRule:
    """Adam for the weights; row-wise Adagrad for tables, which are fresh in each epoch.

    Args:
        weights: All weights but the tables.
        embedding: The tables.
        config: Rates and priors.
        learning_rate: Adam's.
    """

    def __init__(
        self,
        weights: Sequence[nn.Parameter],
        embedding: FusedEmbedding,
        config: RetrainConfig,
        learning_rate: float,
    ) -> None:
        self._config = config
        self._learning_rate = learning_rate
        self._table = embedding.table
        self._first_order = embedding.first_order
        self._adam = Adam(weights)
        self._squares = torch.empty(len(self._table), device=self._table.device)
        self._first_order_squares: Tensor | None = None
        if self._first_order is not None:
            prior = config.embedding_prior * FIRST_ORDER_PRIOR
            self._first_order_squares = torch.full_like(self._squares, prior)

    def begin_epoch(self, epoch: int) -> None:
        """Start with a fresh table, which has memorised nothing; all other weights stay.

        First-order weights stay as well: a single number per value memorises little, and their
        prior is stronger.
        """
        generator = torch.Generator().manual_seed((self._config.seed << 16) + epoch)
        bound = self._config.embedding_bound
        fresh = torch.empty(self._table.shape).uniform_(-bound, bound, generator=generator)
        with torch.no_grad():
            self._table.copy_(fresh)
        self._squares.fill_(self._config.embedding_prior)

    def step(
        self, number: int, rows: Tensor, gradients: Tensor, of_first_order: Tensor | None
    ) -> None:
        """See `Rule`."""
        rise = min(1.0, number / (self._config.rate_warmup_steps + 1))
        self._adam.step(self._learning_rate * rise)
        # Summed over the batch, so that the prior means the same whatever the batch size.
        rate = self._config.embedding_rate * rise
        unique, place = torch.unique(rows.reshape(-1), return_inverse=True)  # for both tables
        self._step_table(self._table, self._squares, unique, place, gradients * len(rows), rate)
        squares = self._first_order_squares
        if of_first_order is not None and self._first_order is not None and squares is not None:
            gradients = of_first_order.unsqueeze(-1) * len(rows)
            self._step_table(self._first_order, squares, unique, place, gradients, rate)

    @staticmethod
    def _step_table(
        table: Tensor,
        squares_of: Tensor,
        unique: Tensor,
        place: Tensor,
        gradients: Tensor,
        rate: float,
    ) -> None:
        """Row-wise Adagrad: a vector's accumulator is the sum of its mean squared gradients."""
        total = _summed(gradients, place, len(unique))
        squares = squares_of[unique] + total.square().mean(dim=1)
        squares_of[unique] = squares
        scale = -rate / (squares.sqrt() + EPSILON)
        with torch.no_grad():
            table.index_add_(0, unique, total * scale.unsqueeze(1))

    def state_dict(self) -> dict[str, Tensor]:
        """See `Rule`."""
        return self._adam.state_dict() | self._sums()

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Rule`."""
        for name, sums in self._sums().items():
            sums.copy_(tensors[name])
        self._adam.load_state_dict(tensors)

    def _sums(self) -> dict[str, Tensor]:
        """Adagrad's accumulators; for first-order weights only if the model has them."""
        sums = {"squares": self._squares}
        if self._first_order_squares is not None:
            sums["first_order_squares"] = self._first_order_squares
        return sums


class AdagradRule:
    """Adagrad with an accumulator for each entry of every weight and table, as published.

    The rate rises linearly and then follows half a cosine down to 0 at the last step; gradients are
    clipped by their joint norm. Tables keep what they have learnt from one epoch to the next.

    Args:
        weights: All weights but the tables.
        embedding: The tables.
        config: Epsilon, clipping and warm-up.
        learning_rate: The peak rate, of everything.
        steps: Steps of the whole training.

    References:
        Duchi et al. 2011; `torch.optim.Adagrad`, which this equals.
    """

    def __init__(
        self,
        weights: Sequence[nn.Parameter],
        embedding: FusedEmbedding,
        config: RetrainConfig,
        learning_rate: float,
        steps: int,
    ) -> None:
        self._weights = weights
        self._options = AdagradOptions(
            learning_rate=learning_rate,
            epsilon=config.epsilon,
            clip_norm=config.clip_norm,
            rate_warmup_fraction=config.rate_warmup_fraction,
        )
        self._steps = steps
        self._adagrad = Adagrad(weights, config.epsilon)
        tables = [t for t in (embedding.table, embedding.first_order) if t is not None]
        self._tables = [(table, torch.zeros_like(table, requires_grad=False)) for table in tables]

    def begin_epoch(self, epoch: int) -> None:
        """Leave everything as it is.

        Args:
            epoch: Ignored.
        """

    @torch.no_grad()
    def step(
        self, number: int, rows: Tensor, gradients: Tensor, of_first_order: Tensor | None
    ) -> None:
        """See `Rule`."""
        unique, place = torch.unique(rows.reshape(-1), return_inverse=True)
        read = [gradients] if of_first_order is None else [gradients, of_first_order.unsqueeze(-1)]
        of_tables = [_summed(gradient, place, len(unique)) for gradient in read]
        of_weights = [weight.grad for weight in self._weights if weight.grad is not None]
        clip_gradients([*of_weights, *of_tables], self._options.clip_norm)
        rate = learning_rate_at(number - 1, self._steps, self._options)
        self._adagrad.step(rate)
        for (table, squares), gradient in zip(self._tables, of_tables, strict=True):
            sums = squares[unique].addcmul_(gradient, gradient)
            squares[unique] = sums
            change = gradient / sums.sqrt_().add_(self._options.epsilon)
            table.index_add_(0, unique, change, alpha=-rate)

    def state_dict(self) -> dict[str, Tensor]:
        """See `Rule`."""
        tables = {f"table_squares.{i}": squares for i, (_, squares) in enumerate(self._tables)}
        return self._adagrad.state_dict() | tables

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Rule`."""
        for i, (_, squares) in enumerate(self._tables):
            squares.copy_(tensors[f"table_squares.{i}"])
        self._adagrad.load_state_dict(tensors)


def make_rule(
    weights: Sequence[nn.Parameter],
    embedding: FusedEmbedding,
    config: RetrainConfig,
    learning_rate: float,
    steps: int,
) -> Rule:
    """The rule that a configuration asks for; see `AdagradRule` for the arguments."""
    if config.optimizer == "adagrad":
        return AdagradRule(weights, embedding, config, learning_rate, steps)
    return AdamRule(weights, embedding, config, learning_rate)


def _summed(gradients: Tensor, place: Tensor, count: int) -> Tensor:
    """Gradients of `count` distinct rows: sums over the places where a batch reads them."""
    total = gradients.new_zeros(count, gradients.shape[-1])
    return total.index_add_(0, place, gradients.reshape(-1, gradients.shape[-1]))
