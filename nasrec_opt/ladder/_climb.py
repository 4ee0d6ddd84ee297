"""The climb: candidates are trained rung by rung, and the first rung corrects the other scores.

All choices follow from the candidates, the log losses of trained models, and one measured number of
models. So an interrupted climb is simply started again with a `train` that remembers finished
trainings, and ends as it would have ended.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from nasrec_opt._weights import influences
from nasrec_opt.errors import StudyError
from nasrec_opt.ladder._candidates import Candidate, feature_names
from nasrec_opt.ladder._correction import Correction, corrected_tau, kendall_tau
from nasrec_opt.ladder._plan import (
    FIRST_MODELS,
    LEAST_MODELS,
    MOST_MODELS,
    rung_epochs,
    rung_sizes,
)
from nasrec_opt.ladder._promotion import expected_improvement, promote
from nasrec_opt.space import Genotype

FloatArray: TypeAlias = npt.NDArray[np.float64]

logger = logging.getLogger(__name__)

MACS, DOT = (feature_names().index(name) for name in ("log2 MACs", "dot"))
PER_DOUBLING = -0.0005  # nats of log loss for twice the MACs, until trained models correct it
OF_A_DOT_PRODUCT = -0.002  # the same for a first dot product; docs/decisions/ladder.md


class Trained(Protocol):
    """The result of a training; `nasrec_opt.retrain.PartialModel` is one."""

    @property
    def log_loss(self) -> float:
        """On validation rows."""

    @property
    def row_losses(self) -> FloatArray:
        """Log loss of each of these rows, the same rows for all models, `[rows]`."""

    @property
    def seconds(self) -> float:
        """Wall time of the training so far."""


# trains a genotype up to a number of epochs
Train: TypeAlias = Callable[[Genotype, float], Trained]


@dataclass(slots=True)
class Rung:
    """One rung.

    Args:
        epochs: Epochs that its models have been trained for at its end.
        size: Number of models that it will have.
        trained: Result of each model, by the candidate's number, in the order of training; None
            for a model whose training failed.
        promoted: The candidates that continue, in order; empty until all are trained.
    """

    epochs: float
    size: int
    trained: dict[int, Trained | None] = field(default_factory=dict)
    promoted: list[int] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Mean wall time of its models, from their first step on."""
        known = [result.seconds for result in self.trained.values() if result is not None]
        return sum(known) / len(known) if known else 0.0


@dataclass(slots=True)
class Climb:
    """A climb as far as it has come.

    Args:
        candidates: The models that may climb.
        finalists: Models that the last rung leaves.
        probes: Candidates that are trained to the end in any case.
        rungs: The rungs so far, the lowest first.
        work: Total cost allowed for the models of the first rung without the probes, in units of
            `Candidate.work`; None while it is unknown, or if the number of models is given.
        row_weights: Of the rows that models are compared on, or None where each counts once.
        correction: Predicts log losses of the first rung minus `prior` from features; None if too
            few models are trained.
        tau: How well corrected scores rank, once the first rung is complete; see `corrected_tau`.
        tau_of_score: How well the scores themselves rank.
        failures: Why trainings failed, by the candidate's number.
    """

    candidates: Sequence[Candidate]
    finalists: int
    probes: Sequence[int] = ()
    rungs: list[Rung] = field(default_factory=list)
    work: float | None = None
    row_weights: FloatArray | None = None
    correction: Correction | None = None
    tau: float | None = None
    tau_of_score: float | None = None
    failures: dict[int, str] = field(default_factory=dict)

    @property
    def features(self) -> FloatArray:
        """Features that the correction reads, the score first, `[candidates, features]`."""
        return np.array([[c.score, *c.features] for c in self.candidates])

    @property
    def prior(self) -> FloatArray:
        """Expected relative log losses of the candidates, before any is trained."""
        known = np.array([candidate.features for candidate in self.candidates])
        value = PER_DOUBLING * known[:, MACS] + OF_A_DOT_PRODUCT * (known[:, DOT] > 0)
        return np.asarray(value - value.mean())

    @property
    def costs(self) -> FloatArray:
        """`[candidates, objectives]`."""
        return np.array([c.costs for c in self.candidates]).reshape(len(self.candidates), -1)

    @property
    def climbers(self) -> list[int]:
        """Models of the first rung that may continue: all except the probes."""
        return [number for number in self.rungs[0].trained if number not in self.probes]

    def work_of(self, numbers: Iterable[int]) -> float:
        """Add up the cost of a training step of some candidates.

        Args:
            numbers: Numbers of the candidates.

        Returns:
            Their work, in units of `Candidate.work`.
        """
        return sum(self.candidates[number].work for number in numbers)


def climb(
    candidates: Sequence[Candidate],
    train: Train,
    *,
    finalists: int,
    epochs: float,
    models: int | Callable[[float], int],
    probes: Sequence[int] = (),
    work: float | None = None,
    row_weights: npt.ArrayLike | None = None,
    on_change: Callable[[Climb], None] | None = None,
    ahead: Callable[[Sequence[Genotype], float], None] | None = None,
) -> Climb:
    """Train candidates rung by rung; half of each rung continues to twice as many epochs.

    The first models are chosen by the search's scores. From the fifth on, a ridge regression on the
    trained models corrects the scores. Both assume at first that more MACs and a dot product are a
    little better. The next model has the largest expected improvement relative to its training
    cost: expensive models must promise more.

    Args:
        candidates: The models to choose from, each once.
        train: Trains a genotype up to a number of epochs; called again with more, it continues. If
            it raises a `StudyError`, only that model fails.
        finalists: Maximum number of models that the last rung leaves.
        epochs: Epochs of the first rung.
        models: Number of models of the first rung without probes; or a function that computes it
            from the seconds of one model, called once, after the first four. The rung then has as
            much work as that many models like these four, and from 8 to 64 models; no model may
            use work that the first eight need.
        probes: Candidates that are trained to the end anyway. They are trained first, and help to
            correct the scores of the others; they continue only if no other model is left.
        work: The work that an interrupted climb has planned (`Climb.work`); then `models` is not
            called.
        row_weights: Of the rows of `Trained.row_losses`, `[rows]`, or None where each counts once.
        on_change: Called whenever a model is trained, or models are promoted.
        ahead: Called with all models and epochs that `train` will be called with next, if they are
            known together; it may train them at the same time.

    Returns:
        The climb; `rungs[-1].promoted` are the finalists, two of three for their accuracy and one
        along the front.

    Raises:
        StudyError: There is no candidate, or no training succeeded.
    """
    if not candidates:
        raise StudyError("ladder: expected candidates, got none")
    weights = None if row_weights is None else np.asarray(row_weights, np.float64)
    state = Climb(candidates, finalists, tuple(probes), work=work, row_weights=weights)
    tell = on_change or (lambda _: None)
    size = max(0, FIRST_MODELS - len(probes)) if callable(models) else models
    rung = Rung(epochs, min(len(probes) + size, len(candidates)))
    state.rungs.append(rung)
    while (number := _next(state, rung)) is not None:
        _train(state, rung, number, train)
        truths = _truths(rung)
        state.correction = Correction.fit(
            state.features, list(truths), [truths[i] - state.prior[i] for i in truths]
        )
        if callable(models):
            _plan(state, rung, models)
        tell(state)
    rung.size = len(rung.trained)
    state.tau = corrected_tau(state.features, list(truths), list(truths.values()))
    state.tau_of_score = kendall_tau([candidates[i].score for i in truths], list(truths.values()))
    for place, size in enumerate(rung_sizes(len(state.climbers), finalists)[1:], start=1):
        going_on = _promote(state, size)
        tell(state)
        rung = Rung(rung_epochs(place, epochs), len(going_on))
        state.rungs.append(rung)
        if ahead:
            ahead([candidates[i].genotype for i in going_on], rung.epochs)
        for i in going_on:
            _train(state, rung, i, train)
            tell(state)
    _promote(state, finalists)
    tell(state)
    return state


def _plan(state: Climb, rung: Rung, models: Callable[[float], int]) -> None:
    """Plan the first rung's work after its first models, and the maximum number of models."""
    trained = len(rung.trained)
    if trained < min(FIRST_MODELS, len(state.candidates)):
        return
    mean = state.work_of(rung.trained) / trained
    if state.work is None:
        state.work = models(rung.seconds) * mean
    climbers = state.climbers
    more = int(max(0.0, state.work - state.work_of(climbers)) / mean)
    size = min(max(len(climbers) + more, LEAST_MODELS), MOST_MODELS)
    rung.size = min(len(state.probes) + size, len(state.candidates))


def _truths(rung: Rung) -> dict[int, float]:
    """Log losses of a rung's models, by the candidate's number."""
    return {i: result.log_loss for i, result in rung.trained.items() if result is not None}


def _train(state: Climb, rung: Rung, number: int, train: Train) -> None:
    try:
        result: Trained | None = train(state.candidates[number].genotype, rung.epochs)
    except StudyError as error:
        logger.warning("trial %d failed: %s", state.candidates[number].trial, error)
        state.failures[number] = str(error)
        result = None
    rung.trained[number] = result


def _promote(state: Climb, count: int) -> list[int]:
    """Fill and return the last rung's `promoted`; errors are over the validation rows."""
    rung = state.rungs[-1]
    results = {i: result for i, result in rung.trained.items() if result is not None}
    results = {i: results[i] for i in results if i not in state.probes} or results
    if not results:
        reason = next(iter(state.failures.values()))
        raise StudyError(f"ladder: no training succeeded; the first: {reason}")
    numbers = sorted(results)
    rows = np.array([results[i].row_losses for i in numbers])
    if state.row_weights is not None:
        rows = influences(rows, state.row_weights)
    chosen = promote(
        np.array([results[i].log_loss for i in numbers]),
        state.costs[numbers],
        count,
        errors=_errors_of_differences(rows),
    )
    rung.promoted = [numbers[i] for i in chosen]
    return rung.promoted


def _errors_of_differences(rows: FloatArray) -> FloatArray:
    """Standard errors of the mean paired differences, `[models, models]`."""
    count = rows.shape[1]
    if count < 2:
        return np.zeros((len(rows),) * 2)
    covariance = np.atleast_2d(np.cov(rows))
    variance = np.diag(covariance)
    of_difference = variance[:, None] + variance[None, :] - 2 * covariance
    errors: FloatArray = np.sqrt(np.maximum(of_difference, 0.0) / count)
    return errors


def _next(state: Climb, rung: Rung) -> int | None:
    """The next model of the first rung; None if the rung is complete."""
    trained = len(rung.trained)
    if trained >= rung.size:
        return None
    waiting = [number for number in state.probes if number not in rung.trained]
    if waiting:
        return waiting[0]
    eligible = _payable(state, rung)
    if not eligible:
        return None
    estimates, doubt = _estimates(state, rung)
    [chosen] = promote(
        estimates,
        state.costs,
        1,
        errors=np.hypot(doubt[:, None], doubt[None, :]),
        eligible=eligible,
        place=trained,
        promises=_promises(state, rung, estimates, doubt),
        work=np.array([candidate.work for candidate in state.candidates]),
    )
    return chosen


def _payable(state: Climb, rung: Rung) -> set[int]:
    """Candidates for the next model of the first rung that leave enough work for eight models."""
    waiting = set(range(len(state.candidates))) - rung.trained.keys()
    if state.work is None or len(rung.trained) < FIRST_MODELS:  # as when it was not yet known
        return waiting
    climbers = state.climbers
    missing = max(1, LEAST_MODELS - len(climbers))
    most = (state.work - state.work_of(climbers)) / missing
    payable = {i for i in waiting if state.candidates[i].work <= most}
    if payable or len(climbers) >= LEAST_MODELS:
        return payable
    return {min(waiting, key=lambda i: state.candidates[i].work)}


def _estimates(state: Climb, rung: Rung) -> tuple[FloatArray, FloatArray]:
    """Estimated log losses after the first rung, and their standard errors."""
    if state.correction is None:
        # The accuracy of a score is not known yet: differences within its own spread may be noise.
        scores = np.array([candidate.score for candidate in state.candidates])
        return scores + state.prior, np.full(len(scores), scores.std() / math.sqrt(2))
    estimates, error = state.correction.predict(state.features)
    estimates = estimates + state.prior
    doubt = np.hypot(error, state.correction.residual)
    for i, result in rung.trained.items():
        estimates[i] = math.inf if result is None else result.log_loss
        doubt[i] = 0.0
    return estimates, doubt


def _promises(state: Climb, rung: Rung, estimates: FloatArray, doubt: FloatArray) -> FloatArray:
    """Expected improvement of each candidate on the best trained model."""
    truths = _truths(rung)
    if state.correction is None or not truths:
        return expected_improvement(estimates, doubt, float(np.min(estimates)))
    return expected_improvement(estimates, doubt, min(truths.values()))
