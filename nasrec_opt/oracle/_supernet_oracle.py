"""Answers from a trained supernet: weights as they are, or with the last layer fitted again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasrec_opt.data import Dataset, spread
from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.oracle._checks import check_features, check_fits, check_option, training_data
from nasrec_opt.oracle._last_layer import fit_adagrad, fit_newton
from nasrec_opt.oracle._metrics import score
from nasrec_opt.oracle._passes import Passes
from nasrec_opt.oracle._plan import Numbering, Plan
from nasrec_opt.oracle._prefix_cache import PrefixCache
from nasrec_opt.oracle._protocol import Evaluation
from nasrec_opt.oracle._rows import Rows
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import Supernet

Fidelity = Literal["supernet", "last_layer"]
LastLayer = Literal["newton", "adagrad"]
Progress = Callable[[int, int | None], None]
Layer = tuple[Tensor, Tensor]  # weight [width] and bias [1] of the final layer

CPU_CHUNK_ROWS = 1024  # outputs of a block then fit the second-level cache
DEVICE_CHUNK_ROWS = 16_384
GROUP = 16  # genotypes that pass over the rows together
FIT_GROUP = 4  # the same where the features of each are held for a fit


class SupernetOracle:
    """Log loss and AUC of subnets on validation rows.

    Answers do not depend on what was asked before: caches hold exactly what would be computed.
    The supernet's weights must not change afterwards. Safe to call from several threads.

    Args:
        supernet: Trained weights; the oracle computes where they are.
        dataset: Its validation rows are scored, its training rows fit the last layer.
        rows: How many validation rows, evenly spread and the same for all; nothing = all.
        fidelity: `supernet` = weights as they are; `last_layer` = the final layer fitted again for
            each genotype (paper, section 5.1).
        last_layer: How it is fitted: `newton` to the optimum of the ridge problem, or the paper's
            500 steps of `adagrad`.
        fit_rows: Training rows of the fit, evenly spread.
        chunk_rows: Rows computed at a time; nothing = what suits the device.
        memory_bytes: Most bytes of embeddings and block outputs kept.

    Raises:
        StudyError: An option is out of range, or the supernet reads other features.

    Example:
        >>> oracle = SupernetOracle.load("runs/criteo/supernet", rows=65_536)
        >>> oracle.evaluate(genotype).log_loss
    """

    def __init__(
        self,
        supernet: Supernet,
        dataset: Dataset,
        *,
        rows: int | None = None,
        fidelity: Fidelity = "supernet",
        last_layer: LastLayer = "newton",
        fit_rows: int = 8192,
        chunk_rows: int | None = None,
        memory_bytes: int = 1 << 30,
    ) -> None:
        check_option("fidelity", fidelity, ("supernet", "last_layer"))
        check_option("last_layer", last_layer, ("newton", "adagrad"))
        for name, value in (("rows", rows), ("fit_rows", fit_rows), ("chunk_rows", chunk_rows)):
            if value is not None and value < 1:
                raise StudyError(f"{name}: expected 1 or more, got {value}")
        if memory_bytes < 0:
            raise StudyError(f"memory_bytes: expected 0 or more, got {memory_bytes}")
        check_features(dataset, supernet.features)
        self.supernet = supernet.eval()
        self.fidelity = fidelity
        self.last_layer = last_layer
        is_on_cpu = supernet.final.bias.device.type == "cpu"
        self._chunk_rows = chunk_rows or (CPU_CHUNK_ROWS if is_on_cpu else DEVICE_CHUNK_ROWS)
        self._lock = threading.Lock()
        self._numbering = Numbering(is_quantized=supernet.is_quantized)
        self._answers: dict[tuple[int, int], Evaluation] = {}
        self._fit: Rows | None = None
        free = memory_bytes
        with torch.inference_mode():
            self._validation = self._rows(dataset, "validation", rows, free // 2)
            free -= self._validation.embedding_bytes
            if fidelity == "last_layer":
                self._fit = self._rows(dataset, "train", fit_rows, free // 2)
                free -= self._fit.embedding_bytes
        self._cache = PrefixCache(free)
        self._passes = Passes(supernet, self._cache)

    @classmethod
    def load(
        cls,
        path: Path | str,
        dataset: Dataset | None = None,
        *,
        rows: int | None = None,
        fidelity: Fidelity = "supernet",
        last_layer: LastLayer = "newton",
        fit_rows: int = 8192,
        chunk_rows: int | None = None,
        memory_bytes: int = 1 << 30,
    ) -> SupernetOracle:
        """An oracle from the folder of a trained supernet.

        Args:
            path: The folder.
            dataset: What the supernet was trained on; nothing = opened from where it was then.
            rows: This and the others are those of the class.
            fidelity: See the class.
            last_layer: See the class.
            fit_rows: See the class.
            chunk_rows: See the class.
            memory_bytes: See the class.

        Raises:
            StudyError: The folder holds no trained supernet, or the dataset is not the one it was
                trained on.
            DataError: The dataset cannot be opened.
        """
        path = Path(path)
        supernet = Supernet.load(path)
        description = training_data(path)
        if dataset is None:
            dataset = Dataset.open(path / description["path"], **description["view"])
        if dataset.fingerprint != description["fingerprint"]:
            raise StudyError(
                f"{dataset.path}: expected the dataset that {path} was trained on, fingerprint "
                f"{description['fingerprint'][:12]}, got {dataset.fingerprint[:12]}"
            )
        return cls(
            supernet,
            dataset,
            rows=rows,
            fidelity=fidelity,
            last_layer=last_layer,
            fit_rows=fit_rows,
            chunk_rows=chunk_rows,
            memory_bytes=memory_bytes,
        )

    @property
    def features(self) -> FeatureSpec:
        """Shape of the input."""
        return self.supernet.features

    @property
    def num_rows(self) -> int:
        """Validation rows of an answer."""
        return self._validation.num_rows

    @property
    def cached_bytes(self) -> int:
        """Bytes of block outputs kept now."""
        return self._cache.num_bytes

    def evaluate(self, genotype: Genotype) -> Evaluation:
        """Score one genotype; see `evaluate_many`."""
        return self.evaluate_many([genotype])[0]

    def evaluate_many(
        self, genotypes: Sequence[Genotype], *, progress: Progress | None = None
    ) -> list[Evaluation]:
        """Score genotypes; equal models and shared blocks are computed once.

        Args:
            genotypes: Genotypes of the supernet's space.
            progress: Called with (done, total).

        Returns:
            An answer for each, in the order asked.

        Raises:
            GenotypeError: A genotype does not fit the supernet.
        """
        with self._lock, torch.inference_mode():
            for genotype in genotypes:
                check_fits(genotype, self.supernet.space)
            plans = [self._numbering.plan(genotype) for genotype in genotypes]
            unknown = {plan.key: plan for plan in plans if plan.key not in self._answers}
            # Sorted by the outputs they consist of, genotypes with a common prefix are neighbours.
            ordered = sorted(
                unknown.values(), key=lambda plan: list(zip(plan.dense, plan.sparse, strict=True))
            )
            done = len(plans) - len(ordered)
            size = GROUP if self._fit is None else FIT_GROUP
            for start in range(0, len(ordered), size):
                group = ordered[start : start + size]
                for plan, logits in zip(group, self._logits(group), strict=True):
                    self._answers[plan.key] = score(logits, self._validation.labels)
                if progress:
                    progress(done + start + len(group), len(plans))
            if progress and not ordered:
                progress(done, len(plans))
            return [self._answers[plan.key] for plan in plans]

    def _logits(self, plans: Sequence[Plan]) -> list[npt.NDArray[np.float32]]:
        """Logits of each genotype on the validation rows, `[rows]`."""
        layers = self._fitted(plans)
        found: list[list[Tensor]] = [[] for _ in plans]
        for index, activations in self._passes.run(self._validation, plans):
            genotype = plans[index].genotype
            weight, bias = layers[index] or self.supernet.last_weight(genotype, activations)
            features = self.supernet.last_features(genotype, activations)
            found[index].append(features @ weight + bias)
        return [torch.cat(chunks).cpu().numpy() for chunks in found]

    def _fitted(self, plans: Sequence[Plan]) -> list[Layer | None]:
        """Final layer of each genotype fitted on training rows; nothing = as it is."""
        if self._fit is None:
            return [None] * len(plans)
        chunks: list[list[Tensor]] = [[] for _ in plans]
        layers: list[Layer] = []
        for index, activations in self._passes.run(self._fit, plans):
            genotype = plans[index].genotype
            chunks[index].append(self.supernet.last_features(genotype, activations))
            if len(layers) == index:
                layers.append(self.supernet.last_weight(genotype, activations))
        labels = torch.from_numpy(self._fit.labels).to(self.supernet.final.bias.device)
        fit = fit_newton if self.last_layer == "newton" else fit_adagrad
        fitted: list[Layer | None] = []
        for pieces, (weight, bias) in zip(chunks, layers, strict=True):
            features = torch.cat(pieces)
            pieces.clear()
            result = fit(features, labels, weight, bias)
            fitted.append((result.weight, result.bias))
        return fitted

    def _rows(self, dataset: Dataset, split: str, wanted: int | None, free_bytes: int) -> Rows:
        rows = dataset.split(split)
        if not rows.num_rows:
            raise StudyError(f"{dataset.path}: expected {split} rows, found none")
        return Rows(
            split,
            self.supernet,
            rows,
            spread(rows.num_rows, wanted),
            chunk_rows=self._chunk_rows,
            embedding_bytes=free_bytes,
        )
