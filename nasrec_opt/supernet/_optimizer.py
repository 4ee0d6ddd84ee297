"""Adagrad over slices: a step only touches the state of the slices that it used.

Dense weights have an accumulator per entry, the embedding table one per vector. A slice that a step
did not use costs nothing and does not change.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from nasrec_opt.options import AdagradOptions
from nasrec_opt.supernet._network import Network
from nasrec_opt.supernet._readers import Leaf

# A first-order weight is the entire effect of its value, so it needs a stronger prior than an
# embedding, which the blocks scale (docs/decisions/wide.md).
FIRST_ORDER_PRIOR = 16.0


def learning_rate_at(step: int, steps: int, options: AdagradOptions) -> float:
    """Compute the learning rate of a step: a linear rise, then half a cosine down to 0.

    Args:
        step: Number of the step, from 0.
        steps: Steps of the whole training.
        options: Peak rate, and the share of the steps over which it rises.

    Returns:
        The learning rate.

    References:
        Loshchilov and Hutter 2016, one period.
    """
    highest, warmup = options.learning_rate, options.rate_warmup_fraction * steps
    assert highest is not None  # the log has filled it in
    if step < warmup:
        return highest * (step + 1) / (warmup + 1)
    share = (step - warmup) / max(1.0, steps - warmup)
    return highest * 0.5 * (1 + math.cos(math.pi * share))


@torch.no_grad()
def clip_gradients(gradients: Sequence[Tensor], max_norm: float | None) -> None:
    """Scale gradients, in place, so that their joint L2 norm is at most `max_norm`.

    Args:
        gradients: Gradients of any shapes.
        max_norm: Largest norm allowed, or None for any.

    References:
        `torch.nn.utils.clip_grad_norm_`, whose 1e-6 this shares.
    """
    if max_norm is None or not gradients:
        return
    norm = torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]).norm()
    scale = (max_norm / (norm + 1e-6)).clamp_max(1.0)  # stays on the device: no step waits for it
    for gradient in gradients:
        gradient.mul_(scale)


def gradient_of(values: Tensor) -> Tensor:
    """The gradient that a backward pass left: zeros if the loss does not depend on the values.

    For example, a model whose blocks are all FC reads no embedding.

    Args:
        values: A leaf of the autograd graph.

    Returns:
        The gradient, in the shape of the values.
    """
    return torch.zeros_like(values) if values.grad is None else values.grad


class SliceAdagrad:
    """Adagrad (Duchi et al. 2011) for a network whose passes read slices.

    Args:
        network: The network; its weights are updated in place.
        row_prior: Initial value of the accumulators of the embedding table; first-order weights
            begin at `FIRST_ORDER_PRIOR` times as much. If it is large, a rare value moves little,
            as under an L2 penalty.
        options: Epsilon and the norm at which gradients are clipped, or None for the defaults;
            `step` takes the rate.
    """

    def __init__(
        self, network: Network, *, row_prior: float = 0.0, options: AdagradOptions | None = None
    ) -> None:
        options = options or AdagradOptions()
        self._epsilon = options.epsilon
        self._clip_norm = options.clip_norm
        self._row_prior = row_prior
        self._names = {id(weight): name for name, weight in network.named_parameters()}
        self._table = network.embedding.table
        self._first_order = network.embedding.first_order
        self.squares: dict[str, Tensor] = {}  # sums of squared gradients, by weight

    def step(
        self,
        leaves: Iterable[Leaf],
        learning_rate: float,
        *,
        rows: Tensor | None = None,
        row_gradients: Tensor | None = None,
        first_order_gradients: Tensor | None = None,
        embedding_rate: float | None = None,
    ) -> None:
        """Update what a pass used.

        Args:
            leaves: The slices, with their gradients.
            learning_rate: Step size.
            rows: Rows of the embedding table that the pass read, any shape.
            row_gradients: Their gradients, `[*rows.shape, dim]`; duplicates are summed.
            first_order_gradients: Those of the rows' first-order weights, `[*rows.shape]`, where
                the pass read them.
            embedding_rate: Step size of both tables; None means `learning_rate`.
        """
        with torch.no_grad():
            used = [leaf for leaf in leaves if leaf.view.grad is not None]
            gradients = [leaf.view.grad for leaf in used if leaf.view.grad is not None]
            tables: list[tuple[Tensor, Tensor]] = []  # and the gradients of their rows
            if rows is not None and row_gradients is not None:
                distinct, place = torch.unique(rows.reshape(-1), return_inverse=True)
                tables.append((self._table, _summed(place, len(distinct), row_gradients)))
                if first_order_gradients is not None:
                    assert self._first_order is not None  # the pass has read it
                    summed = _summed(place, len(distinct), first_order_gradients.unsqueeze(-1))
                    tables.append((self._first_order, summed))
            gradients += [gradient for _, gradient in tables]
            clip_gradients(gradients, self._clip_norm)
            for leaf, gradient in zip(used, gradients, strict=False):
                squares = self._squares(leaf.weight)[leaf.index]
                squares.addcmul_(gradient, gradient)
                root = squares.sqrt().add_(self._epsilon)
                leaf.weight[leaf.index].addcdiv_(gradient, root, value=-learning_rate)
            for table, gradient in tables:
                self._step_rows(table, distinct, gradient, embedding_rate or learning_rate)

    def _step_rows(
        self, table: Tensor, rows: Tensor, gradients: Tensor, learning_rate: float
    ) -> None:
        """Row-wise Adagrad: a vector's accumulator sums the mean of its squared gradients."""
        squares = self._squares(table, per_row=True)
        sums = squares.index_select(0, rows).add_(gradients.square().mean(dim=1))
        squares.index_copy_(0, rows, sums)
        scale = learning_rate / (sums.sqrt() + self._epsilon)
        table.index_add_(0, rows, gradients * -scale.unsqueeze(1))

    def _squares(self, weight: Tensor, *, per_row: bool = False) -> Tensor:
        name = self._names[id(weight)]
        if name not in self.squares:
            shape = weight.shape[:1] if per_row else weight.shape
            begin = self._row_prior if per_row else 0.0
            begin *= FIRST_ORDER_PRIOR if weight is self._first_order else 1.0
            self.squares[name] = torch.full(shape, begin, device=weight.device)
        return self.squares[name]

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state to be saved.

        Returns:
            The accumulators by name of the weight: one for each entry, or for each vector of the
            embedding table.
        """
        return dict(self.squares)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Inverse of `state_dict`.

        Args:
            state: What `state_dict` returned.
        """
        self.squares = {name: value.to(self._table.device) for name, value in state.items()}


def _summed(place: Tensor, count: int, gradients: Tensor) -> Tensor:
    """Gradients of `count` distinct vectors: sums over the places where a batch reads them."""
    total = gradients.new_zeros(count, gradients.shape[-1])
    return total.index_add_(0, place, gradients.reshape(-1, gradients.shape[-1]))
