"""Predictions with the supernet's own weights, the final layer as it is or fitted again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from nasrec_opt.data import Dataset, spread
from nasrec_opt.oracle._adagrad_fit import AdagradFit, AdagradSteps, fit_adagrad
from nasrec_opt.oracle._checks import rows_of
from nasrec_opt.oracle._last_layer import FitResult, fit_newton
from nasrec_opt.oracle._passes import Passes
from nasrec_opt.oracle._plan import Plan
from nasrec_opt.oracle._prediction import Logits, Prediction
from nasrec_opt.oracle._prefix_cache import PrefixCache
from nasrec_opt.oracle._protocol import Report
from nasrec_opt.oracle._rows import Rows
from nasrec_opt.space import MERGER_ROWS
from nasrec_opt.supernet import Supernet, Written, round_to

Fit = Callable[[Tensor, Tensor, Tensor, Tensor], FitResult]
Layer = tuple[Tensor, Tensor]  # weight [width] and bias [1] of the final layer

GROUP = 16  # genotypes that pass over the rows together
FIT_GROUP = 4  # the same where the features of each are held for a fit
HELD_BYTES = 1 << 29  # most bytes of the features of one genotype that Adagrad's steps read again


class SharedWeights:
    """Runs genotypes on the supernet; block outputs that they share are computed once.

    Args:
        supernet: Its weights must not change.
        dataset: Its validation rows are predicted, its training rows fit the last layer.
        rows: Number of validation rows, evenly spread, or None for all of them.
        fit: How the final layer is fitted again; None means that it stays as it is.
        fit_rows: Training rows of Newton's fit, evenly spread.
        chunk_rows: Rows computed at a time.
        memory_bytes: Maximum number of bytes of embeddings and block outputs kept.
        dtype: Of embeddings, products and block outputs; the final layer is float32.

    Raises:
        StudyError: There are no validation rows, or no training rows for a fit.
    """

    def __init__(
        self,
        supernet: Supernet,
        dataset: Dataset,
        *,
        rows: int | None,
        fit: Literal["newton"] | AdagradFit | None,
        fit_rows: int,
        chunk_rows: int,
        memory_bytes: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._supernet = supernet
        free = memory_bytes
        self._fit_rows: Rows | None = None
        self._steps: AdagradFit | None = None
        self._fit: Fit = fit_newton
        with torch.inference_mode():
            split = rows_of(dataset, "validation")
            self._validation = Rows(
                "validation",
                supernet,
                split,
                spread(split.num_rows, rows),
                chunk_rows=chunk_rows,
                embedding_bytes=free // 2,
                dtype=dtype,
            )
            free -= self._validation.embedding_bytes
            if fit is not None:
                split = rows_of(dataset, "train")
                index = spread(split.num_rows, fit_rows)
                if isinstance(fit, AdagradFit):
                    is_held = _is_small(supernet, split.num_rows, fit)
                    self._steps = None if is_held else fit
                    self._fit = partial(fit_adagrad, how=fit)
                    index = spread(split.num_rows, None) if is_held else fit.rows(split.num_rows)
                    chunk_rows = fit.batch_size  # a chunk is a step
                self._fit_rows = Rows(
                    "train",
                    supernet,
                    split,
                    index,
                    chunk_rows=chunk_rows,
                    embedding_bytes=free // 2,
                    dtype=dtype,
                )
                free -= self._fit_rows.embedding_bytes
        self.group_size = self._group_size()
        # Hundreds of thousands of rows would leave no room for what validation rows share.
        of_fit = free // 2 if isinstance(fit, AdagradFit) else 0
        self._cache = PrefixCache(free - of_fit)
        self._passes = Passes(supernet, self._cache, dtype)
        self._fit_cache = PrefixCache(of_fit) if of_fit else self._cache
        self._fit_passes = Passes(supernet, self._fit_cache, dtype)

    def _group_size(self) -> int:
        """Genotypes that pass over the rows together; few where the features of each are held."""
        if self._fit_rows is None or self._steps is not None:
            return GROUP
        return FIT_GROUP if self._fit is fit_newton else 1

    @property
    def labels(self) -> npt.NDArray[np.float32]:
        """Of the validation rows, `[rows]`."""
        return self._validation.labels

    @property
    def cached_bytes(self) -> int:
        """Bytes of block outputs kept now."""
        caches = {id(cache): cache for cache in (self._cache, self._fit_cache)}
        return sum(cache.num_bytes for cache in caches.values())

    def predict(self, plans: Sequence[Plan], report: Report | None) -> list[Prediction]:
        """Logits of each genotype on the validation rows; nothing is reported on the way."""
        with torch.inference_mode():
            layers = self._fitted(plans)
            found: list[list[Tensor]] = [[] for _ in plans]
            for index, activations in self._passes.run(self._validation, plans):
                genotype = plans[index].genotype
                weight, bias = layers[index] or self._supernet.last_weight(genotype, activations)
                features = self._supernet.last_features(genotype, activations)
                found[index].append(self._supernet.last_logits(genotype, features, weight, bias))
            return [Prediction(torch.cat(chunks).cpu().numpy()) for chunks in found]

    def predict_held(self, plan: Plan, take: Written) -> Logits:
        """Logits of one genotype whose weights are held with errors.

        The final layer is fitted to weights without errors, as who writes them would, and is
        written last.
        """
        genotype, bits = plan.genotype, plan.genotype.final_bits
        with torch.inference_mode():
            [layer] = self._fitted([plan])
        found = []
        for number in range(self._validation.num_chunks):
            with torch.no_grad():
                chunk = self._validation.chunk(number)
                weights = self._validation.first_order(number)
            take.begin()
            # Where gradients are on, every product is one with the weights as they are held.
            with torch.enable_grad():
                activations = self._supernet.hidden(genotype, *chunk, take)
                if genotype.wide:
                    assert weights is not None  # checked at the oracle's door
                    term = self._supernet.first_order(bits, chunk[0], weights, take)
                    activations.first_order = term
                weight, bias = layer or self._supernet.last_weight(genotype, activations, take)
                features = self._supernet.last_features(genotype, activations)
                count = len(weight) - genotype.wide  # the first-order term is in no cell
                row = weight[:count].unsqueeze(0)
                held = take.held(row, round_to(row, bits), (bits, bits))
                logits = functional.linear(features[:, :count], held).squeeze(1) + bias
                found.append(logits + features[:, count:] @ weight[count:])
        return torch.cat(found).cpu().numpy()

    def _fitted(self, plans: Sequence[Plan]) -> Sequence[Layer | None]:
        """Final layer of each genotype fitted on training rows, or None where it stays as it is."""
        if self._fit_rows is None:
            return [None] * len(plans)
        if self._steps is not None:
            return self._fitted_by_steps(self._fit_rows, plans, self._steps)
        return self._fitted_on_held(self._fit_rows, plans)

    def _fitted_on_held(self, rows: Rows, plans: Sequence[Plan]) -> list[Layer]:
        """The features of all rows first, then the fit."""
        held: list[Tensor] = []  # of each genotype, `[rows, width]`
        layers: list[Layer] = []
        ends = [0] * len(plans)
        for index, activations in self._fit_passes.run(rows, plans):
            genotype = plans[index].genotype
            features = self._supernet.last_features(genotype, activations)
            if len(held) == index:
                held.append(features.new_empty(rows.num_rows, features.shape[1]))
                layers.append(self._supernet.last_weight(genotype, activations))
            start, ends[index] = ends[index], ends[index] + len(features)
            held[index][start : ends[index]] = features
        labels = torch.from_numpy(rows.labels).to(self._supernet.final.bias.device)
        fitted: list[Layer] = []
        for weight, bias in layers:
            result = self._fit(held.pop(0), labels, weight, bias)
            fitted.append((result.weight, result.bias))
        return fitted

    def _fitted_by_steps(self, rows: Rows, plans: Sequence[Plan], how: AdagradFit) -> list[Layer]:
        """A step of every genotype for each chunk, while its rows are at hand."""
        labels = torch.from_numpy(rows.labels).to(self._supernet.final.bias.device)
        chunks = labels.split(how.batch_size)
        steps: list[AdagradSteps] = []
        done = [0] * len(plans)
        for index, activations in self._fit_passes.run(rows, plans):
            genotype = plans[index].genotype
            if len(steps) == index:
                steps.append(AdagradSteps(*self._supernet.last_weight(genotype, activations), how))
            features = self._supernet.last_features(genotype, activations)
            steps[index].step(features, chunks[done[index]])
            done[index] += 1
        return [(step.layer[0], step.layer[1]) for step in steps]


def _is_small(supernet: Supernet, num_rows: int, how: AdagradFit) -> bool:
    """Whether steps read rows more than once, of which the widest features can be held.

    It follows from the log and the space alone, as an answer must.
    """
    space = supernet.space
    width = max(space.sparse_widths) + MERGER_ROWS * space.mergers
    width = max(space.dense_widths) + supernet.features.embedding_dim * width
    is_read_again = num_rows < how.steps * how.batch_size
    return is_read_again and num_rows * width * torch.float32.itemsize <= HELD_BYTES
