"""A subnet in training: its weights, their moving average, and the optimizers' state.

A step reads and writes only the embeddings of its batch; the table has no dense gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nasrec_opt.data import Batch
from nasrec_opt.options import RetrainConfig
from nasrec_opt.retrain._rules import make_rule
from nasrec_opt.supernet import Subnet, batch_tensors, gradient_of, trained_as


class Learner:
    """One training step at a time.

    Args:
        subnet: Trained in place.
        config: Optimizer, rates and averaging.
        learning_rate: Of all weights, or of all but the tables, as the optimizer has it.
        steps: Steps of the whole training.
    """

    def __init__(
        self, subnet: Subnet, config: RetrainConfig, learning_rate: float, steps: int
    ) -> None:
        self.subnet = subnet
        self._config = config
        self.learning_rate = learning_rate
        self.schedule = steps
        self._learnt = trained_as(subnet.genotype)
        self._table = subnet.embedding.table
        self._first_order = subnet.embedding.first_order
        tables = {id(self._table), id(self._first_order)}
        self._weights = [p for p in subnet.parameters() if id(p) not in tables]
        self._averages = [p.detach().clone() for p in self._weights]
        self._rule = make_rule(self._weights, subnet.embedding, config, learning_rate, steps)
        self.steps = 0

    def begin_epoch(self, epoch: int) -> None:
        """Prepare the tables for an epoch, counted from 0."""
        self._rule.begin_epoch(epoch)

    def step(self, batch: Batch) -> Tensor:
        """Learn from a batch; returns its log loss before the step, a scalar tensor.

        Args:
            batch: Rows; weights are relative to the mean weight of the training rows.
        """
        dense, sparse, labels, *of_rows = batch_tensors(batch, self._table.device)
        rows = self.subnet.embedding.rows_of(sparse)
        gathered = self._table.detach()[rows].requires_grad_()  # [batch, num_sparse, dim]
        embedded = gathered.transpose(1, 2).contiguous()  #        [batch, dim, num_sparse]
        weights = None
        if self._first_order is not None:
            weights = self._first_order.detach()[rows].squeeze(-1).requires_grad_()
        logits = self.subnet.logits(self._learnt, dense, embedded, weights=weights)
        row_weights = next(iter(of_rows), None)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, labels, row_weights)
        for weight in self._weights:
            weight.grad = None
        loss.backward()
        self.steps += 1
        of_first_order = None if weights is None else weights.grad
        self._rule.step(self.steps, rows, gradient_of(gathered), of_first_order)
        self._average()
        return loss.detach()

    def _average(self) -> None:
        # The first steps count in full: the average forgets the random weights it began with.
        decay = min(self._config.averaging, self.steps / (self.steps + 9))
        weights = [w.detach() for w in self._weights]
        torch._foreach_lerp_(self._averages, weights, 1 - decay if self._config.averaging else 1.0)

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that the next step depends on besides its batch and its number."""
        tensors = {f"weights.{name}": w for name, w in self.subnet.state_dict().items()}
        tensors |= {f"averages.{i}": average for i, average in enumerate(self._averages)}
        return tensors | self._rule.state_dict()

    def load_state_dict(self, tensors: Mapping[str, Tensor], steps: int) -> None:
        """Inverse of `state_dict`.

        Args:
            tensors: The result of `state_dict`.
            steps: Steps done at that time.

        Raises:
            KeyError: A tensor is missing.
            RuntimeError: One has another shape.
        """
        weights = {
            n.removeprefix("weights."): w for n, w in tensors.items() if n.startswith("weights.")
        }
        self.subnet.load_state_dict(weights)
        with torch.no_grad():
            for i, average in enumerate(self._averages):
                average.copy_(tensors[f"averages.{i}"])
        self._rule.load_state_dict(tensors)
        self.steps = steps

    def rule_to_keep(self) -> dict[str, Tensor]:
        """A copy of the optimizers' state; empty where kept weights learn no further rows."""
        if not self._config.learns_validation:
            return {}
        return {name: tensor.clone() for name, tensor in self._rule.state_dict().items()}

    def go_back(
        self, averaged: Mapping[str, Tensor], rule: Mapping[str, Tensor], steps: int
    ) -> None:
        """Return to weights that were averaged earlier; the next steps begin with them.

        Args:
            averaged: State of the subnet inside `averaged`.
            rule: Result of `rule_to_keep` at that time.
            steps: Steps done at that time.
        """
        self.subnet.load_state_dict(averaged)
        self._averages = [w.detach().clone() for w in self._weights]
        self._rule.load_state_dict(rule)
        self.steps = steps

    def keep_average(self) -> None:
        """Give the subnet its averaged weights for good."""
        self._put(self._averages)

    @contextmanager
    def averaged(self) -> Iterator[Subnet]:
        """The subnet with averaged weights, for as long as the block runs."""
        own = [w.detach().clone() for w in self._weights]
        self._put(self._averages)
        try:
            yield self.subnet
        finally:
            self._put(own)

    def _put(self, values: list[Tensor]) -> None:
        with torch.no_grad():
            for weight, value in zip(self._weights, values, strict=True):
                weight.copy_(value)
