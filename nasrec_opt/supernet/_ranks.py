"""Several processes that train one network, each on a part of the rows of every step.

All of them have the same weights and take the same path in each step. Gradients of the slices in
use are summed over the processes, and embedding rows are gathered with their gradients, so that
each process takes the same step: the one that a single process takes on all rows, up to the order
in which numbers are added. So the number of processes is no setting of a training.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

STEP_TIMEOUT = timedelta(minutes=10)  # that no step of another process takes


class Ranks:
    """The processes of torch's default process group, which the caller has made.

    Attributes:
        number: Number of this process, from 0; the first one writes files.
        count: Number of processes.
    """

    def __init__(self) -> None:
        self.number = distributed.get_rank()
        self.count = distributed.get_world_size()
        self._group = distributed.new_group(timeout=STEP_TIMEOUT)

    def first(self, value: Any) -> Any:
        """Agree on the value that the first process has.

        Args:
            value: Of this process; pickled.

        Returns:
            That of the first one.
        """
        values = [value]
        distributed.broadcast_object_list(values, src=0, group=self._group)
        return values[0]

    def part(self, batch: Sequence[Tensor]) -> list[Tensor]:
        """Choose this process's rows of a batch.

        Args:
            batch: Columns of all rows, `[rows, ...]` each.

        Returns:
            Consecutive rows; the parts of the processes differ by one row at most.
        """
        return [torch.tensor_split(column, self.count)[self.number] for column in batch]

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Sum tensors over the processes, in place, with one message.

        Args:
            tensors: Of the same shapes in all processes.
        """
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat, group=self._group)
        sums = flat.split([tensor.numel() for tensor in tensors])
        for tensor, total in zip(tensors, sums, strict=True):
            tensor.copy_(total.view_as(tensor))

    def gather(self, values: Tensor, num_rows: int) -> Tensor:
        """Concatenate the rows of all processes, in the order of the batch.

        Args:
            values: Of this process, `[rows, ...]`.
            num_rows: Rows of all processes together.

        Returns:
            `[num_rows, ...]`.
        """
        sizes = [len(part) for part in torch.empty(num_rows).tensor_split(self.count)]
        padded = values.new_zeros(max(sizes), *values.shape[1:])
        padded[: len(values)] = values
        found = [torch.empty_like(padded) for _ in sizes]
        distributed.all_gather(found, padded, group=self._group)
        return torch.cat([part[:size] for part, size in zip(found, sizes, strict=True)])
