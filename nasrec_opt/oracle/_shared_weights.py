"""Predictions with the supernet's own weights, the final layer as it is or fitted again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from nasrec_opt.data import Dataset, spread
from nasrec_opt.oracle._checks import rows_of
from nasrec_opt.oracle._last_layer import FitResult, fit_adagrad, fit_newton
from nasrec_opt.oracle._passes import Passes
from nasrec_opt.oracle._plan import Plan
from nasrec_opt.oracle._prediction import Logits, Prediction
from nasrec_opt.oracle._prefix_cache import PrefixCache
from nasrec_opt.oracle._protocol import Report
from nasrec_opt.oracle._rows import Rows
from nasrec_opt.supernet import Supernet, Written

Layer = tuple[Tensor, Tensor]  # weight [width] and bias [1] of the final layer
Fit = Callable[[Tensor, Tensor, Tensor, Tensor], FitResult]

GROUP = 16  # genotypes that pass over the rows together
FIT_GROUP = 4  # the same where the features of each are held for a fit


class SharedWeights:
    """Runs genotypes on the supernet; block outputs that they share are computed once.

    Args:
        supernet: Its weights must not change.
        dataset: Its validation rows are predicted, its training rows fit the last layer.
        rows: How many validation rows, evenly spread; nothing = all.
        fit: How the final layer is fitted again, `newton` or `adagrad`; nothing = as it is.
        fit_rows: Training rows of the fit, evenly spread.
        chunk_rows: Rows computed at a time.
        memory_bytes: Most bytes of embeddings and block outputs kept.
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
        fit: str | None,
        fit_rows: int,
        chunk_rows: int,
        memory_bytes: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._supernet = supernet
        self._fit: Fit = fit_adagrad if fit == "adagrad" else fit_newton
        self.group_size = FIT_GROUP if fit else GROUP

        def spread_over(split: str, wanted: int | None, free_bytes: int) -> Rows:
            found = rows_of(dataset, split)
            index = spread(found.num_rows, wanted)
            return Rows(
                split,
                supernet,
                found,
                index,
                chunk_rows=chunk_rows,
                embedding_bytes=free_bytes,
                dtype=dtype,
            )

        free = memory_bytes
        self._fit_rows: Rows | None = None
        with torch.inference_mode():
            self._validation = spread_over("validation", rows, free // 2)
            free -= self._validation.embedding_bytes
            if fit:
                self._fit_rows = spread_over("train", fit_rows, free // 2)
                free -= self._fit_rows.embedding_bytes
        self._cache = PrefixCache(free)
        self._passes = Passes(supernet, self._cache, dtype)

    @property
    def labels(self) -> npt.NDArray[np.float32]:
        """Of the validation rows, `[rows]`."""
        return self._validation.labels

    @property
    def cached_bytes(self) -> int:
        """Bytes of block outputs kept now."""
        return self._cache.num_bytes

    def predict(self, plans: Sequence[Plan], report: Report | None) -> list[Prediction]:
        """Logits of each genotype on the validation rows; nothing is reported on the way."""
        with torch.inference_mode():
            layers = self._fitted(plans)
            found: list[list[Tensor]] = [[] for _ in plans]
            for index, activations in self._passes.run(self._validation, plans):
                genotype = plans[index].genotype
                weight, bias = layers[index] or self._supernet.last_weight(genotype, activations)
                features = self._supernet.last_features(genotype, activations).float()
                found[index].append(features @ weight + bias)
            return [Prediction(torch.cat(chunks).cpu().numpy()) for chunks in found]

    def predict_held(self, plan: Plan, take: Written) -> Logits:
        """Logits of one genotype whose weights are held with errors.

        The final layer is fitted to weights without errors, as who writes them would, and is
        written last.
        """
        genotype = plan.genotype
        with torch.inference_mode():
            [layer] = self._fitted([plan])
        found = []
        for number in range(self._validation.num_chunks):
            with torch.no_grad():
                chunk = self._validation.chunk(number)
            take.begin()
            # Where gradients are on, every product is one with the weights as they are held.
            with torch.enable_grad():
                activations = self._supernet.hidden(genotype, *chunk, take)
                weight, bias = layer or self._supernet.last_weight(genotype, activations, take)
                row = weight.unsqueeze(0)
                features = self._supernet.last_features(genotype, activations).float()
                held = take.held(row, row, None)
                found.append(functional.linear(features, held).squeeze(1) + bias)
        return torch.cat(found).cpu().numpy()

    def _fitted(self, plans: Sequence[Plan]) -> list[Layer | None]:
        """Final layer of each genotype fitted on training rows; nothing = as it is."""
        if self._fit_rows is None:
            return [None] * len(plans)
        chunks: list[list[Tensor]] = [[] for _ in plans]
        layers: list[Layer] = []
        for index, activations in self._passes.run(self._fit_rows, plans):
            genotype = plans[index].genotype
            chunks[index].append(self._supernet.last_features(genotype, activations).float())
            if len(layers) == index:
                layers.append(self._supernet.last_weight(genotype, activations))
        labels = torch.from_numpy(self._fit_rows.labels).to(self._supernet.final.bias.device)
        fitted: list[Layer | None] = []
        for pieces, (weight, bias) in zip(chunks, layers, strict=True):
            features = torch.cat(pieces)
            pieces.clear()
            result = self._fit(features, labels, weight, bias)
            fitted.append((result.weight, result.bias))
        return fitted
