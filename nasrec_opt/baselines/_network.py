"""A model of another library, as the training of this package sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nasrec_opt.data import Batch


class Network(ABC):
    """One model of another library; the adapter of the library derives from it.

    Args:
        module: The library's model, on the CPU.
        tables: Weights that belong to single values of sparse columns: embeddings and first-order
            weights.
    """

    def __init__(self, module: nn.Module, tables: Iterable[nn.Parameter]) -> None:
        self.module = module
        self.tables = tuple(tables)

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Compute what a training step lowers.

        Args:
            batch: Rows; weights are relative to the mean weight of the training rows.

        Returns:
            The sum of their log losses and the penalties, a tensor of one number.
        """

    @abstractmethod
    def click_probabilities(self, batch: Batch) -> npt.NDArray[np.float64]:
        """Predict rows, without gradients.

        Args:
            batch: Rows.

        Returns:
            Probability of a click, `[rows]`.
        """

    @property
    def embedding_parameters(self) -> int:
        """Number of weights in the tables."""
        return sum(table.numel() for table in self.tables)

    @property
    def parameters(self) -> int:
        """Number of trained weights outside the tables, as `hw.Workload.parameters` counts ours."""
        trained = (weight for weight in self.module.parameters() if weight.requires_grad)
        return sum(weight.numel() for weight in trained) - self.embedding_parameters

    def mflops(self, row: Batch) -> float:
        """Count the multiply-accumulates of one row, by what torch runs.

        Args:
            row: A single row.

        Returns:
            Millions of multiply-accumulates in linear layers and matrix products, as
            `hw.Workload.mflops` counts them; lookups and element-wise work are not counted.
        """
        self.module.eval()
        with FlopCounterMode(display=False) as counter:
            self.click_probabilities(row)
        return float(
            counter.get_total_flops() / 2 / 1e6
        )  # a multiply-accumulate counts as two there


def labels_of(batch: Batch) -> tuple[Tensor, Tensor | None]:
    """Labels of a batch, and the weights of its rows where there are some, `[rows]` each."""
    weights = None if batch.weights is None else torch.from_numpy(batch.weights)
    return torch.from_numpy(batch.labels), weights


class LogitNetwork(Network):
    """A model that answers with logits, trained on the sum of log losses.

    Args:
        module: The library's model.
        tables: As for `Network`.
        l2: Penalty on the squares of the tables' weights.
    """

    def __init__(self, module: nn.Module, tables: Iterable[nn.Parameter], l2: float) -> None:
        super().__init__(module, tables)
        self._l2 = l2

    @abstractmethod
    def logits(self, batch: Batch) -> Tensor:
        """Predict rows.

        Args:
            batch: Rows.

        Returns:
            Log odds of a click, `[rows]`.
        """

    def loss(self, batch: Batch) -> Tensor:
        """The sum of log losses, and the penalty on the tables."""
        labels, weights = labels_of(batch)
        found = nn.functional.binary_cross_entropy_with_logits(
            self.logits(batch), labels, weights, reduction="sum"
        )
        for table in self.tables:
            found = found + self._l2 * table.square().sum()
        return found

    def click_probabilities(self, batch: Batch) -> npt.NDArray[np.float64]:
        """Probabilities from the logits."""
        with torch.inference_mode():
            return self.logits(batch).double().sigmoid().numpy()
