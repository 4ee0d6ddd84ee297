"""One hand-made model with given hyperparameters: trained, and scored once on test rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from nasrec_opt.baselines._fit import FittedNetwork, fit
from nasrec_opt.baselines._options import BaselineOptions
from nasrec_opt.baselines._registry import BaselineSpec, baseline_spec
from nasrec_opt.data import Dataset
from nasrec_opt.retrain import auc, log_loss, logistic_regression


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedBaseline:
    """The figures of a trained hand-made model.

    Args:
        name: A key of `BASELINES`.
        seed: Seed of the weights and of the order of the rows.
        hyperparameters: The fields of `BaselineOptions`; for logistic regression `C`.
        validation_log_loss: On all validation rows, nats, before the model learnt these rows.
        validation_auc: The AUC there, or None if they are of one class.
        test_log_loss: On all test rows, nats; no choice depends on them.
        test_auc: On all test rows, or None if they are of one class.
        parameters: Number of weights outside the tables of embeddings and first-order weights; None
            for a model that is no network.
        embedding_parameters: Number of weights in those tables, or None.
        mflops: Millions of multiply-accumulates of a row, or None.
        seconds: Wall time of training and scoring, s.
        test_logits: Log odds of a click of the test rows, `[rows]`.
    """

    name: str
    seed: int
    hyperparameters: Mapping[str, Any]
    validation_log_loss: float
    validation_auc: float | None
    test_log_loss: float
    test_auc: float | None
    parameters: int | None
    embedding_parameters: int | None
    mflops: float | None
    seconds: float
    test_logits: npt.NDArray[np.float32]

    def to_dict(self) -> dict[str, Any]:
        """Convert the figures to JSON values, without the logits.

        Returns:
            The fields by name.
        """
        names = [name for name in self.__dataclass_fields__ if name != "test_logits"]
        values = {name: getattr(self, name) for name in names}
        return values | {"hyperparameters": dict(self.hyperparameters)}

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], test_logits: npt.NDArray[np.float32]
    ) -> TrainedBaseline:
        """Inverse of `to_dict`.

        Args:
            values: The result of `to_dict`.
            test_logits: Log odds of the test rows, `[rows]`.

        Returns:
            The figures.

        Raises:
            TypeError: A field is missing or unknown.
        """
        return cls(**values, test_logits=test_logits)


def train_baseline(
    name: str,
    dataset: Dataset,
    options: BaselineOptions | None = None,
    *,
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> TrainedBaseline:
    """Train one hand-made model, and score it.

    Validation rows decide when training ends, and are then learnt as well, as
    `RetrainConfig.validation_pass` has it for our own models. The test rows are scored once, at the
    end. The same arguments give the same figures.

    Args:
        name: A key of `BASELINES`.
        dataset: The log, opened as the model is to read it (`min_count`, `binned_dense`); logistic
            regression reads it in its own way.
        options: Hyperparameters, or None for the defaults; logistic regression chooses its own.
        seed: Seed of the weights and of the order of the rows.
        progress: Called after every step.

    Returns:
        Log losses (nats) and AUC on validation and test rows, and the size of the model.

    Raises:
        MissingExtraError: The library of the model is not installed.
        StudyError: There is no such model, or training came to no finite log loss.
    """
    spec = baseline_spec(name)
    if spec.build is None:
        return _logistic_regression(spec, dataset, seed)
    options = options or BaselineOptions()
    started = time.perf_counter()
    fitted = fit(spec.build, options, dataset, seed, progress=progress)
    network = fitted.network
    validation = _scored(fitted, "validation")
    fitted.learn_validation()
    test = _scored(fitted, "test")
    return TrainedBaseline(
        name=name,
        seed=seed,
        hyperparameters=options.to_dict(),
        validation_log_loss=validation[1],
        validation_auc=validation[2],
        test_log_loss=test[1],
        test_auc=test[2],
        parameters=network.parameters,
        embedding_parameters=network.embedding_parameters,
        mflops=network.mflops(dataset.split("validation").rows(slice(0, 1))),
        seconds=time.perf_counter() - started,
        test_logits=test[0],
    )


def _scored(
    fitted: FittedNetwork, split: str
) -> tuple[npt.NDArray[np.float32], float, float | None]:
    """Logits, log loss and AUC of a split."""
    logits = logit(fitted.click_probabilities(split)).astype(np.float32)
    rows = fitted.dataset.split(split)
    scored = logits, rows.labels, rows.weights
    return logits, log_loss(*scored), auc(*scored)


def _logistic_regression(spec: BaselineSpec, dataset: Dataset, seed: int) -> TrainedBaseline:
    fitted = logistic_regression(dataset, seed=seed)
    held_out = dataset.split("validation")
    return TrainedBaseline(
        name=spec.name,
        seed=seed,
        hyperparameters={"C": fitted.penalty},
        validation_log_loss=fitted.validation_log_loss,
        validation_auc=auc(fitted.validation_logits, held_out.labels, held_out.weights),
        test_log_loss=fitted.test_log_loss,
        test_auc=fitted.test_auc,
        parameters=None,
        embedding_parameters=None,
        mflops=None,
        seconds=fitted.seconds,
        test_logits=fitted.test_logits,
    )
