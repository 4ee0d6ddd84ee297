"""Predictions with the supernet's own weights, the final layer as it is or fitted again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasrec_opt.data import Dataset, evenly_spaced
from nasrec_opt.options import AdagradFit
from nasrec_opt.oracle._adagrad_fit import AdagradSteps, fit_adagrad
from nasrec_opt.oracle._checks import rows_of
from nasrec_opt.oracle._folds import fit_folds, folds_of
from nasrec_opt.oracle._last_layer import FitResult, fit_newton, relative
from nasrec_opt.oracle._passes import Passes
from nasrec_opt.oracle._plan import Plan
from nasrec_opt.oracle._prediction import Logits, Prediction
from nasrec_opt.oracle._prefix_cache import PrefixCache
from nasrec_opt.oracle._protocol import Report
from nasrec_opt.oracle._rows import Rows
from nasrec_opt.space import MERGER_VECTORS, Genotype
from nasrec_opt.supernet import Supernet, WeightReader

Layer = tuple[Tensor, Tensor]  # weight [width] and bias [1] of the final layer
Layers = list[Layer]  # one for all rows, or one for each fold of them
# Of features, labels, weight and bias of the layer, and weights of the rows.
Fit = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor | None], list[FitResult]]
HowToFit = Literal["newton", "folds"] | AdagradFit

GROUP = 16  # genotypes that pass over the rows together
FIT_GROUP = 4  # the same where the features of each are held for a fit
FIT_ROWS = {"newton": 8192, "folds": 16_384}  # rows of all folds; each fit sees three quarters
HELD_BYTES = 1 << 29  # most bytes of the features of one genotype that Adagrad's steps read again


class SharedWeights:
    """Runs genotypes on the supernet; block outputs that they share are computed once.

    Args:
        supernet: Its weights must not change.
        dataset: Its validation rows are predicted, its training rows fit the last layer.
        looks: Numbers of validation rows that are predicted one after another, ascending; those of
            each are evenly spread, and hold those of the ones before. The last is all that are
            predicted.
        fit: How the final layer is fitted again; None means that it stays as it is.
        fit_rows: Training rows of Newton's fit, or validation rows of all folds, evenly spread;
            None means `FIT_ROWS`.
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
        looks: Sequence[int],
        fit: HowToFit | None,
        fit_rows: int | None,
        chunk_rows: int,
        memory_bytes: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._supernet = supernet
        free = memory_bytes
        self._fit_rows: Rows | None = None
        self._steps: AdagradFit | None = None
        self._fit: Fit = _fit_whole
        self._folds: list[slice] = []
        with torch.inference_mode():
            split = rows_of(dataset, "validation")
            index = evenly_spaced(split.num_rows, looks[-1])
            self._places = _added(split.num_rows, index, looks)
            self._parts: list[Rows] = []
            room = free // 2
            for number, places in enumerate(self._places):
                part = Rows(
                    f"validation {number}" if number else "validation",
                    supernet,
                    split,
                    index[places],
                    chunk_rows=chunk_rows,
                    embedding_bytes=room,
                    dtype=dtype,
                )
                self._parts.append(part)
                room -= part.embedding_bytes
                free -= part.embedding_bytes
            if fit is not None and not isinstance(fit, AdagradFit):
                fit_rows = fit_rows or FIT_ROWS[fit]
            name = "train"
            if fit == "folds":
                name, of_fit = "some of validation", evenly_spaced(len(index), fit_rows)
                self._folds = folds_of(len(index))
                self._fit = partial(fit_folds, folds=folds_of(len(index), of_fit))
                index = index[of_fit]
            elif fit is not None:
                split = rows_of(dataset, "train")
                index = evenly_spaced(split.num_rows, fit_rows)
                if isinstance(fit, AdagradFit):
                    is_held = _is_small(supernet, split.num_rows, fit)
                    self._steps = None if is_held else fit
                    self._fit = partial(_fit_whole, fit=partial(fit_adagrad, how=fit))
                    index = (
                        evenly_spaced(split.num_rows, None) if is_held else fit.rows(split.num_rows)
                    )
                    chunk_rows = fit.batch_size  # a chunk is a step
            if fit == "folds" and len(index) == self._parts[0].num_rows:
                self._fit_rows = self._parts[0]
            elif fit is not None:
                self._fit_rows = Rows(
                    name,
                    supernet,
                    split,
                    index,
                    chunk_rows=chunk_rows,
                    embedding_bytes=free // 2,
                    dtype=dtype,
                )
                free -= self._fit_rows.embedding_bytes
        self._is_read_often = isinstance(fit, AdagradFit)
        self.group_size = self._group_size()
        # Hundreds of thousands of rows would leave no space for shared outputs of validation rows.
        bytes_of_fit = free // 2 if self._is_read_often else 0
        # Each part has its own space: outputs of many rows would drive out those of a few.
        of_part = (free - bytes_of_fit) // len(self._parts)
        self._caches = [PrefixCache(of_part) for _ in self._parts]
        self._passes = [Passes(supernet, cache, dtype) for cache in self._caches]
        self._fit_cache = PrefixCache(bytes_of_fit) if bytes_of_fit else self._caches[0]
        self._fit_passes = Passes(supernet, self._fit_cache, dtype)

        self._labels = self._whole([part.labels for part in self._parts])
        weights = [part.row_weights for part in self._parts if part.row_weights is not None]
        self._row_weights = self._whole(weights) if weights else None

    @property
    def labels(self) -> npt.NDArray[np.float32]:
        """Of the validation rows, 0 or 1, `[rows]`."""
        return self._labels

    @property
    def row_weights(self) -> npt.NDArray[np.float32] | None:
        """Of the validation rows, `[rows]`, or None where each counts once."""
        return self._row_weights

    @property
    def places(self) -> Sequence[npt.NDArray[np.int64]]:
        """Which of all rows each look adds to the one before, `[rows]` each."""
        return self._places

    def _group_size(self) -> int:
        """Genotypes that pass over the rows together; few if the features of each are held."""
        if self._fit_rows is None or self._steps is not None:
            return GROUP
        return 1 if self._is_read_often else FIT_GROUP

    @property
    def cached_bytes(self) -> int:
        """Bytes of block outputs kept now."""
        caches = {id(cache): cache for cache in (*self._caches, self._fit_cache)}
        return sum(cache.num_bytes for cache in caches.values())

    def predict(self, plans: Sequence[Plan], report: Report | None) -> list[Prediction]:
        """Logits of each genotype on the validation rows; nothing is reported."""
        with torch.inference_mode():
            if self._fit_rows is self._parts[0]:
                return self._predicted_where_fitted(plans)
            fitted = self._fitted(plans)
            parts = [self._predicted(number, plans, fitted) for number in range(len(self._parts))]
            return [Prediction(self._whole(of_plan)) for of_plan in zip(*parts, strict=True)]

    def predict_looks(self, plan: Plan) -> Iterator[Logits]:
        """Logits of one genotype on the rows that each look adds, as far as they are asked for."""
        with torch.inference_mode():
            fitted = self._fitted([plan])
        for number in range(len(self._parts)):
            with torch.inference_mode():
                [logits] = self._predicted(number, [plan], fitted)
            yield logits

    def _predicted(
        self, number: int, plans: Sequence[Plan], fitted: Sequence[Layers | None]
    ) -> list[Logits]:
        """Logits of each genotype on the rows of a part."""
        found: list[list[Tensor]] = [[] for _ in plans]
        done = [0] * len(plans)
        for index, activations in self._passes[number].run(self._parts[number], plans):
            genotype = plans[index].genotype
            layers = fitted[index] or [self._supernet.last_weight(genotype, activations)]
            features = self._supernet.last_features(genotype, activations)
            found[index].append(self._logits(genotype, features, layers, done[index]))
            done[index] += len(features)
        return [torch.cat(chunks).cpu().numpy() for chunks in found]

    def _whole(self, parts: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Values of the rows of all parts in the order of the rows, `[rows]`."""
        if len(parts) == 1:
            return parts[0]
        whole = np.empty(sum(map(len, parts)), parts[0].dtype)
        for places, values in zip(self._places, parts, strict=True):
            whole[places] = values
        return whole

    def _predicted_where_fitted(self, plans: Sequence[Plan]) -> list[Prediction]:
        """Logits on rows that all fit final layers of other folds: one pass serves both."""
        held, layers = self._held(self._parts[0], plans)
        predictions = []
        for plan, layer in zip(plans, layers, strict=True):
            features = held.pop(0)
            fitted = self._fitted_on(features, self._parts[0], layer)
            logits = self._logits(plan.genotype, features, fitted, 0)
            predictions.append(Prediction(logits.cpu().numpy()))
        return predictions

    def _logits(self, genotype: Genotype, features: Tensor, layers: Layers, start: int) -> Tensor:
        """Logits of the rows from `start` on, each by the layer of its fold, `[batch]`."""
        if len(layers) == 1:
            return self._supernet.last_logits(genotype, features, *layers[0])
        parts = []
        for fold, layer in zip(self._folds, layers, strict=True):
            first, last = (max(0, end - start) for end in (fold.start, fold.stop))
            parts.append(self._supernet.last_logits(genotype, features[first:last], *layer))
        return torch.cat(parts)

    def predict_read(self, plan: Plan, begin: Callable[[], WeightReader]) -> Logits:
        """Logits of one genotype with another reader of weights.

        The final layer is fitted to the weights as they are, before they are written into cells,
        and is read last.

        Args:
            plan: The genotype; nothing of it is kept.
            begin: Begins a pass over some of the rows, and gives its reader.
        """
        with torch.inference_mode():
            [layers] = self._fitted([plan])
            return self._whole([self._read(part, plan, begin, layers) for part in self._parts])

    def _read(
        self, rows: Rows, plan: Plan, begin: Callable[[], WeightReader], layers: Layers | None
    ) -> Logits:
        """Logits on the rows of a part with another reader of weights."""
        genotype, bits = plan.genotype, plan.genotype.final_bits
        found = []
        for number in range(rows.num_chunks):
            dense, embedded = rows.chunk(number)
            reader = begin()
            activations = self._supernet.hidden(genotype, dense, embedded, reader)
            if genotype.wide:
                weights = rows.first_order(number)
                assert weights is not None  # checked at the oracle's door
                term = self._supernet.first_order(bits, dense, weights, reader)
                activations.first_order = term
            [layer] = layers or [self._supernet.last_weight(genotype, activations, reader)]
            weight, bias = layer
            features = self._supernet.last_features(genotype, activations)
            count = len(weight) - genotype.wide  # the first-order term has no weight here
            row = weight[:count].unsqueeze(0)
            made = reader.linear(features[:, :count], row, bits=(bits, bits))
            found.append(made.squeeze(1) + bias + features[:, count:] @ weight[count:])
        return torch.cat(found).cpu().numpy()

    def _fitted(self, plans: Sequence[Plan]) -> Sequence[Layers | None]:
        """Final layers of each genotype fitted again, or None if they stay as they are."""
        if self._fit_rows is None:
            return [None] * len(plans)
        if self._steps is not None:
            return self._fitted_by_steps(self._fit_rows, plans, self._steps)
        held, layers = self._held(self._fit_rows, plans)
        return [self._fitted_on(held.pop(0), self._fit_rows, layer) for layer in layers]

    def _held(self, rows: Rows, plans: Sequence[Plan]) -> tuple[list[Tensor], Layers]:
        """Features of all rows for each genotype, `[rows, width]`, and its layer as it is."""
        held: list[Tensor] = []
        layers: Layers = []
        ends = [0] * len(plans)
        for index, activations in self._fit_passes.run(rows, plans):
            genotype = plans[index].genotype
            features = self._supernet.last_features(genotype, activations)
            if len(held) == index:
                held.append(features.new_empty(rows.num_rows, features.shape[1]))
                layers.append(self._supernet.last_weight(genotype, activations))
            start, ends[index] = ends[index], ends[index] + len(features)
            held[index][start : ends[index]] = features
        return held, layers

    def _fitted_on(self, features: Tensor, rows: Rows, layer: Layer) -> Layers:
        """The fit on features of all rows."""
        labels = torch.from_numpy(rows.labels).to(features.device)
        weights = _row_weights(rows, features.device)
        return [(fit.weight, fit.bias) for fit in self._fit(features, labels, *layer, weights)]

    def _fitted_by_steps(self, rows: Rows, plans: Sequence[Plan], how: AdagradFit) -> list[Layers]:
        """A step of every genotype for each chunk, while its rows are at hand."""
        device = self._supernet.final.bias.device
        labels = torch.from_numpy(rows.labels).to(device).split(how.batch_size)
        weights = _row_weights(rows, device)
        of_rows = None if weights is None else relative(weights).split(how.batch_size)
        steps: list[AdagradSteps] = []
        done = [0] * len(plans)
        for index, activations in self._fit_passes.run(rows, plans):
            genotype = plans[index].genotype
            if len(steps) == index:
                steps.append(AdagradSteps(*self._supernet.last_weight(genotype, activations), how))
            features = self._supernet.last_features(genotype, activations)
            number = done[index]
            of_chunk = None if of_rows is None else of_rows[number]
            steps[index].step(features, labels[number], of_chunk)
            done[index] += 1
        return [[(step.layer[0], step.layer[1])] for step in steps]


def _fit_whole(
    features: Tensor,
    labels: Tensor,
    weight: Tensor,
    bias: Tensor,
    row_weights: Tensor | None = None,
    fit: Callable[..., FitResult] = fit_newton,
) -> list[FitResult]:
    """One layer for all rows."""
    return [fit(features, labels, weight, bias, row_weights=row_weights)]


def _added(
    num_rows: int, index: npt.NDArray[np.int64], looks: Sequence[int]
) -> list[npt.NDArray[np.int64]]:
    """Which entries of `index` each look adds to those of the look before."""
    found: list[npt.NDArray[np.int64]] = []
    seen = np.zeros(len(index), dtype=bool)
    for count in looks:
        is_new = np.isin(index, evenly_spaced(num_rows, count)) & ~seen
        found.append(np.flatnonzero(is_new))
        seen |= is_new
    return found


def _row_weights(rows: Rows, device: torch.device) -> Tensor | None:
    """Of rows that a layer is fitted on, `[rows]`, or None where each counts once."""
    weights = rows.row_weights
    return None if weights is None else torch.from_numpy(weights).to(device)


def _is_small(supernet: Supernet, num_rows: int, how: AdagradFit) -> bool:
    """Whether steps read rows more than once, and memory holds even the widest features.

    It follows from the log and the space alone, as an answer must.
    """
    space = supernet.space
    width = max(space.sparse_widths) + MERGER_VECTORS * space.has_dense_to_sparse
    width = max(space.dense_widths) + supernet.features.embedding_dim * width
    is_read_again = num_rows < how.steps * how.batch_size
    return is_read_again and num_rows * width * torch.float32.itemsize <= HELD_BYTES
