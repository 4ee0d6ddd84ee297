"""Answers on as many rows as may decide, and what of them other rows would change."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nasrec_opt.oracle._metrics import FloatArray, difference, log_losses, score
from nasrec_opt.oracle._plan import Plan
from nasrec_opt.oracle._protocol import Evaluation
from nasrec_opt.oracle._shared_weights import SharedWeights


class Race:
    """Looks at models on more and more rows.

    Args:
        predictor: Predicts the rows that each look adds.
        reference: Log loss of the reference on each of all rows, nats, `[rows]`.
        is_stated: Whether answers state their difference from the reference.
    """

    def __init__(self, predictor: SharedWeights, reference: FloatArray, *, is_stated: bool) -> None:
        self._predictor = predictor
        self._is_stated = is_stated
        self._reference = reference
        weights = predictor.row_weights
        self._of_reference = difference(reference, np.zeros_like(reference), weights).log_loss

    def looks(self, plan: Plan) -> Iterator[Evaluation]:
        """Answers on more and more rows, each with the earlier ones; the last is on all rows."""
        predictor = self._predictor
        logits = np.empty(len(predictor.labels), np.float32)
        seen: npt.NDArray[np.int64] = np.empty(0, np.int64)
        looks: tuple[Evaluation, ...] = ()
        for places, added in zip(predictor.places, predictor.predict_looks(plan), strict=True):
            logits[places] = added
            seen = np.sort(np.concatenate([seen, places]))
            look = self._look(logits, seen)
            yield replace(look, looks=looks)
            looks = (*looks, look)

    def _look(self, logits: npt.NDArray[np.float32], seen: npt.NDArray[np.int64]) -> Evaluation:
        """The estimate of `SupernetOracle.race` from the rows seen."""
        labels, weights = self._predictor.labels[seen], self._predictor.row_weights
        weights = weights if weights is None else weights[seen]
        found = score(logits[seen], labels, weights)
        paired = difference(log_losses(logits[seen], labels), self._reference[seen], weights)
        told = replace(found, difference=paired if self._is_stated else None)
        unseen = 1 - len(seen) / len(logits)
        if not unseen:
            return replace(told, log_loss_se=0.0)
        error = paired.log_loss_se
        return replace(
            told,
            log_loss=self._of_reference + paired.log_loss,
            log_loss_se=None if error is None else math.sqrt(unseen) * error,
        )
