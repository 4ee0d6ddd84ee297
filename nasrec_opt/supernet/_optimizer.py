"""Adagrad over slices: state and work only for what a step used.

Dense weights have an accumulator per entry, the embedding table one per row. A slice that a step
did not use sees no work and no change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from nasrec_opt.supernet._network import Network
from nasrec_opt.supernet._slices import Leaf

EPSILON = 1e-10


class SliceAdagrad:
    """Adagrad (Duchi et al. 2011) for a network whose passes read slices.

    Args:
        network: The network; its weights are updated in place.
        row_prior: Where the accumulators of the embedding table begin. Large: a rare value moves
            little, as under an L2 penalty.
    """

    def __init__(self, network: Network, *, row_prior: float = 0.0) -> None:
        self._row_prior = row_prior
        self._names = {id(weight): name for name, weight in network.named_parameters()}
        self._table = network.embedding.table
        self.squares: dict[str, Tensor] = {}  # sums of squared gradients, by weight

    def step(
        self,
        leaves: Iterable[Leaf],
        learning_rate: float,
        *,
        rows: Tensor | None = None,
        row_gradients: Tensor | None = None,
        embedding_rate: float | None = None,
    ) -> None:
        """Update what a pass used.

        Args:
            leaves: The slices, with their gradients.
            learning_rate: Step size.
            rows: Rows of the embedding table that the pass read, any shape.
            row_gradients: Their gradients, `[*rows.shape, dim]`; duplicates are summed.
            embedding_rate: Step size of the table; nothing = `learning_rate`.
        """
        with torch.no_grad():
            for leaf in leaves:
                gradient = leaf.view.grad
                if gradient is None:
                    continue
                squares = self._squares(leaf.weight)[leaf.index]
                squares.addcmul_(gradient, gradient)
                root = squares.sqrt().add_(EPSILON)
                leaf.weight[leaf.index].addcdiv_(gradient, root, value=-learning_rate)
            if rows is not None and row_gradients is not None:
                self._step_rows(rows, row_gradients, embedding_rate or learning_rate)

    def _step_rows(self, rows: Tensor, gradients: Tensor, learning_rate: float) -> None:
        """Row-wise Adagrad: the accumulator of a row is the mean of its squared gradients."""
        unique, place = torch.unique(rows.reshape(-1), return_inverse=True)
        total = gradients.new_zeros(len(unique), gradients.shape[-1])
        total.index_add_(0, place, gradients.reshape(-1, gradients.shape[-1]))
        squares = self._squares(self._table, per_row=True)
        sums = squares.index_select(0, unique).add_(total.square().mean(dim=1))
        squares.index_copy_(0, unique, sums)
        scale = learning_rate / (sums.sqrt() + EPSILON)
        self._table.index_add_(0, unique, total * -scale.unsqueeze(1))

    def _squares(self, weight: Tensor, *, per_row: bool = False) -> Tensor:
        name = self._names[id(weight)]
        if name not in self.squares:
            shape = weight.shape[:1] if per_row else weight.shape
            begin = self._row_prior if per_row else 0.0
            self.squares[name] = torch.full(shape, begin, device=weight.device)
        return self.squares[name]

    def state_dict(self) -> dict[str, Tensor]:
        """The accumulators, by weight."""
        return dict(self.squares)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Inverse of `state_dict`."""
        self.squares = {name: value.to(self._table.device) for name, value in state.items()}
