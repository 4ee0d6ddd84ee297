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
from nasrec_opt.supernet import FIRST_ORDER_PRIOR, Subnet, trained_as

EPSILON = 1e-10


class Learner:
    """One training step at a time.

    Args:
        subnet: Trained in place.
        config: Rates and averaging.
        learning_rate: Adam's, for all weights but the embedding table.
    """

    def __init__(self, subnet: Subnet, config: RetrainConfig, learning_rate: float) -> None:
        self.subnet = subnet
        self._config = config
        self.learning_rate = learning_rate
        self._learnt = trained_as(subnet.genotype)
        self._table = subnet.embedding.table
        self._first_order = subnet.embedding.first_order
        tables = {id(self._table), id(self._first_order)}
        self._weights = [p for p in subnet.parameters() if id(p) not in tables]
        self._averages = [p.detach().clone() for p in self._weights]
        self._adam = torch.optim.Adam(self._weights, lr=learning_rate)
        self._squares = torch.empty(len(self._table), device=self._table.device)
        self._first_order_squares: Tensor | None = None
        if self._first_order is not None:
            prior = config.embedding_prior * FIRST_ORDER_PRIOR
            self._first_order_squares = torch.full_like(self._squares, prior)
        self.steps = 0

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

    def step(self, batch: Batch) -> Tensor:
        """Learn from a batch; returns its log loss before the step, a scalar tensor."""
        dense, sparse, labels = to_tensors(batch, self._table.device)
        rows = self.subnet.embedding.rows_of(sparse)
        gathered = self._table.detach()[rows].requires_grad_()  # [batch, num_sparse, dim]
        embedded = gathered.transpose(1, 2).contiguous()  #        [batch, dim, num_sparse]
        weights = None
        if self._first_order is not None:
            weights = self._first_order.detach()[rows].squeeze(-1).requires_grad_()
        logits = self.subnet.logits(self._learnt, dense, embedded, weights=weights)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, labels)
        self._adam.zero_grad()
        loss.backward()
        self.steps += 1
        rise = min(1.0, self.steps / (self._config.rate_warmup_steps + 1))
        for group in self._adam.param_groups:
            group["lr"] = self.learning_rate * rise
        self._adam.step()
        assert gathered.grad is not None  # set by the backward pass above
        # Summed over the batch, so that the prior means the same whatever the batch size.
        rate = self._config.embedding_rate * rise
        unique, place = torch.unique(rows.reshape(-1), return_inverse=True)  # for both tables
        gradients = gathered.grad * len(labels)
        self._step_table(self._table, self._squares, unique, place, gradients, rate)
        table, squares = self._first_order, self._first_order_squares
        of_weights = None if weights is None else weights.grad
        if table is not None and squares is not None and of_weights is not None:
            gradients = of_weights.unsqueeze(-1) * len(labels)
            self._step_table(table, squares, unique, place, gradients, rate)
        self._average()
        return loss.detach()

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
        total = gradients.new_zeros(len(unique), gradients.shape[-1])
        total.index_add_(0, place, gradients.reshape(-1, gradients.shape[-1]))
        squares = squares_of[unique] + total.square().mean(dim=1)
        squares_of[unique] = squares
        scale = -rate / (squares.sqrt() + EPSILON)
        with torch.no_grad():
            table.index_add_(0, unique, total * scale.unsqueeze(1))

    def _average(self) -> None:
        # The first steps count in full: the average forgets the random weights it began with.
        decay = min(self._config.averaging, self.steps / (self.steps + 9))
        weights = [w.detach() for w in self._weights]
        torch._foreach_lerp_(self._averages, weights, 1 - decay if self._config.averaging else 1.0)

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that the next step depends on besides its batch and its number."""
        tensors = {f"weights.{name}": w for name, w in self.subnet.state_dict().items()}
        tensors |= {f"averages.{i}": average for i, average in enumerate(self._averages)}
        for i, moments in self._adam.state_dict()["state"].items():
            tensors |= {f"adam.{i}.{name}": value for name, value in moments.items()}
        return tensors | self._sums()

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
        for name, sums in self._sums().items():
            sums.copy_(tensors[name])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("adam."):
                _, index, key = name.split(".")
                moments.setdefault(int(index), {})[key] = value
        self._adam.load_state_dict(self._adam.state_dict() | {"state": moments})
        self.steps = steps

    def _sums(self) -> dict[str, Tensor]:
        """Adagrad's accumulators; for first-order weights only if the model has them."""
        sums = {"squares": self._squares}
        if self._first_order_squares is not None:
            sums["first_order_squares"] = self._first_order_squares
        return sums

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


def to_tensors(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Dense, sparse and labels of a batch on a device."""
    dense, sparse, labels = (torch.from_numpy(array).to(device) for array in batch)
    return dense, sparse, labels
