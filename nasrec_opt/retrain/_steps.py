"""torch's Adam and Adagrad, by the functions that their classes call.

The classes import torch's compiler with the first optimizer of a process, which takes a second that
no training here needs. Weights, moments and the order of operations are those of the classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim.adagrad import adagrad
from torch.optim.adam import adam

Moments = dict[str, Tensor]


class Adam:
    """`torch.optim.Adam` with a rate that each step names; a weight has moments once it has learnt.

    Args:
        weights: What it changes.
    """

    def __init__(self, weights: Sequence[nn.Parameter]) -> None:
        self._weights = weights
        self._moments: dict[int, Moments] = {}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Change the weights that have a gradient."""
        learning = {i: w for i, w in enumerate(self._weights) if w.grad is not None}
        for i, weight in learning.items():
            if i not in self._moments:
                zeros = (torch.zeros_like(weight, requires_grad=False) for _ in range(2))
                step = torch.zeros((), dtype=torch.float32)
                self._moments[i] = dict(
                    zip(("step", "exp_avg", "exp_avg_sq"), (step, *zeros), strict=True)
                )
        moments = [self._moments[i] for i in learning]
        adam(
            list(learning.values()),
            [weight.grad for weight in learning.values() if weight.grad is not None],
            [known["exp_avg"] for known in moments],
            [known["exp_avg_sq"] for known in moments],
            [],
            [known["step"] for known in moments],
            foreach=True,  # the same values as one by one, with fewer calls
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )

    def state_dict(self) -> Moments:
        """Moments by the numbers of their weights."""
        return _by_name("adam", self._moments)

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Inverse of `state_dict`; the tensors may have others among them."""
        self._moments = _by_weight("adam", tensors, self._weights)


class Adagrad:
    """`torch.optim.Adagrad` with a rate that each step names.

    Args:
        weights: What it changes.
        epsilon: Added to the square root of an accumulator.
    """

    def __init__(self, weights: Sequence[nn.Parameter], epsilon: float) -> None:
        self._weights = weights
        self._epsilon = epsilon
        self._moments = {
            i: {"step": torch.zeros(()), "sum": torch.zeros_like(weight, requires_grad=False)}
            for i, weight in enumerate(weights)
        }

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Change the weights that have a gradient."""
        learning = {i: w for i, w in enumerate(self._weights) if w.grad is not None}
        moments = [self._moments[i] for i in learning]
        adagrad(
            list(learning.values()),
            [weight.grad for weight in learning.values() if weight.grad is not None],
            [known["sum"] for known in moments],
            [known["step"] for known in moments],
            foreach=True,  # the same values as one by one, with fewer calls
            lr=rate,
            weight_decay=0.0,
            lr_decay=0.0,
            eps=self._epsilon,
            maximize=False,
        )

    def state_dict(self) -> Moments:
        """Accumulators by the numbers of their weights."""
        return _by_name("adagrad", self._moments)

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Inverse of `state_dict`; the tensors may have others among them."""
        self._moments = _by_weight("adagrad", tensors, self._weights)


def _by_name(prefix: str, moments: Mapping[int, Moments]) -> Moments:
    """Names for a file that holds others as well."""
    return {
        f"{prefix}.{i}.{name}": value
        for i, known in sorted(moments.items())
        for name, value in known.items()
    }


def _by_weight(
    prefix: str, tensors: Mapping[str, Tensor], weights: Sequence[nn.Parameter]
) -> dict[int, Moments]:
    """Inverse of `_by_name`; moments are put where their weights are, counts stay on the CPU."""
    moments: dict[int, Moments] = {}
    for name, value in tensors.items():
        if name.startswith(f"{prefix}."):
            _, number, key = name.split(".")
            i = int(number)
            device = "cpu" if key == "step" else weights[i].device
            moments.setdefault(i, {})[key] = value.to(device, copy=True)
    return moments
