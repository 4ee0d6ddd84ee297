"""Trains subnets alone, from the supernet's weights or from fresh ones, and scores them meanwhile.

A subnet's training depends only on its genotype, the data and the seed, not on earlier queries. The
supernet's weights are copied, never changed. On a CPU answers are the same bit for bit at the same
number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasrec_opt._weights import mean_of
from nasrec_opt.data import Batch, Dataset, Split, evenly_spaced
from nasrec_opt.errors import StudyError
from nasrec_opt.options import FineTune, Scratch
from nasrec_opt.oracle._checks import rows_of
from nasrec_opt.oracle._metrics import log_losses
from nasrec_opt.oracle._plan import Plan
from nasrec_opt.oracle._prediction import Prediction
from nasrec_opt.oracle._protocol import Report
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import (
    PartialEmbedding,
    SliceAdagrad,
    Subnet,
    Supernet,
    batch_tensors,
    learning_rates_at,
    row_prior,
    start_at_click_rate,
    train_batches,
    train_step,
    trained_as,
    training_steps,
)


class Tuning:
    """Trains the subnet of each genotype and predicts with it.

    Args:
        supernet: Has the weights, or at least their shapes.
        dataset: Its training rows are learnt, its validation rows scored.
        how: The weights to start from, and the length of training.
        rows: Number of validation rows, evenly spread, or None for all of them.
        chunk_rows: Rows scored at a time.

    Raises:
        StudyError: There are no training or no validation rows, or the supernet masks with zeros.
    """

    group_size = 1
    cached_bytes = 0

    def __init__(
        self,
        supernet: Supernet,
        dataset: Dataset,
        how: FineTune | Scratch,
        *,
        rows: int | None,
        chunk_rows: int,
    ) -> None:
        if supernet.masking == "zero":
            raise StudyError(
                "fidelity: expected a supernet that slices, whose subnets can be trained alone, "
                "got one that masks with zeros"
            )
        self._train = rows_of(dataset, "train")
        self._how = how
        self._recipe = how.as_train_config().for_rows(self._train.num_rows)
        if isinstance(how, FineTune):
            self._steps, self._row_prior = how.steps, 0.0
        else:
            self._steps = training_steps(self._train.num_rows, self._recipe)
            self._row_prior = row_prior(self._recipe)
        count = min(how.evaluations, self._steps)
        self._points = {round(self._steps * i / count) for i in range(1, count + 1)}
        self._device = supernet.final.bias.device
        validation = rows_of(dataset, "validation")
        self._validation, self.labels = self._chunks(validation, rows, chunk_rows)
        self.row_weights = validation.weights_of(rows)
        self._supernet = supernet
        if isinstance(how, FineTune):
            self._points.add(0)
            self._embedding = self._embedding_read()

    @property
    def num_rows(self) -> int:
        """Validation rows scored."""
        return len(self.labels)

    def predict(self, plans: Sequence[Plan], report: Report | None) -> list[Prediction]:
        """Train the subnet of each genotype; `report` may raise to stop."""
        with torch.inference_mode(False), torch.enable_grad():
            return [self._trained(plan.genotype.canonical(), report) for plan in plans]

    def _trained(self, genotype: Genotype, report: Report | None) -> Prediction:
        subnet = self._begin(genotype)
        optimizer = SliceAdagrad(subnet, row_prior=self._row_prior, options=self._recipe)
        learnt = trained_as(genotype)
        scored: list[tuple[int, float]] = []
        logits = np.empty(0, np.float32)

        def score_at(step: int) -> None:
            nonlocal logits
            if step in self._points:
                logits = self._logits(subnet)
                losses = log_losses(logits, self.labels)
                scored.append((step, mean_of(losses, self.row_weights)))
                if report:
                    report(*scored[-1])

        score_at(0)
        for step, batch in train_batches(self._train, self._recipe, self._steps):
            rate, of_table = learning_rates_at(step, self._steps, self._recipe)
            train_step(
                subnet,
                optimizer,
                batch_tensors(batch, self._device),
                learnt,
                learning_rate=rate,
                embedding_rate=of_table,
            )
            score_at(step + 1)
        return Prediction(logits, tuple(scored))

    def _logits(self, subnet: Subnet) -> npt.NDArray[np.float32]:
        """Logits on the validation rows, `[rows]`."""
        with torch.no_grad():
            chunks = [subnet(dense, sparse) for dense, sparse in self._validation]
        return torch.cat(chunks).cpu().numpy()

    def _embedding_read(self) -> PartialEmbedding:
        """The supernet's vectors that are read.

        A whole table can have gigabytes. Training and validation read few of its vectors, the same
        for every genotype.
        """
        whole = self._supernet.embedding
        kept = torch.zeros(len(whole.table), dtype=torch.bool, device=self._device)
        for _, batch in train_batches(self._train, self._recipe, self._steps):
            kept[whole.rows_of(self._tensors(batch)[1])] = True
        for _, sparse in self._validation:
            kept[whole.rows_of(sparse)] = True
        with torch.inference_mode(False):
            return PartialEmbedding(whole, kept)

    def _begin(self, genotype: Genotype) -> Subnet:
        """The subnet as it is before its training."""
        if isinstance(self._how, FineTune):
            self._embedding.reset()
            return self._supernet.extract(genotype, embedding=self._embedding)
        return _from_scratch(self._supernet, genotype, self._how.seed, self._train)

    def _chunks(
        self, split: Split, rows: int | None, chunk_rows: int
    ) -> tuple[list[list[Tensor]], npt.NDArray[np.float32]]:
        """Validation rows on the device, chunk by chunk, and all their labels."""
        index = evenly_spaced(split.num_rows, rows)
        batches = [split.rows(index[i : i + chunk_rows]) for i in range(0, len(index), chunk_rows)]
        return [self._tensors(b) for b in batches], np.concatenate([b.labels for b in batches])

    def _tensors(self, batch: Batch) -> list[Tensor]:
        """Dense and sparse columns of a batch."""
        return [torch.from_numpy(array).to(self._device) for array in batch[:2]]


def _from_scratch(supernet: Supernet, genotype: Genotype, seed: int, train: Split) -> Subnet:
    """A subnet of the supernet's shapes with fresh weights."""
    subnet = Subnet(
        genotype,
        supernet.features,
        seed,
        max_table_rows=supernet.max_table_rows,
        balance=supernet.balance,
        initialization=supernet.initialization,
    )
    start_at_click_rate(subnet, train.labels, train.weights)
    return subnet.to(supernet.final.bias.device)
