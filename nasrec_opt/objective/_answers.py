"""Checks of an oracle and a cost model, and of what they return."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hw import Cost
from nasrec_opt.errors import StudyError, TrialError, described
from nasrec_opt.lowering import check_cost_model
from nasrec_opt.oracle import Difference, Evaluation, FunctionOracle, Oracle
from nasrec_opt.space import Genotype, SearchSpace

AnyOracle = Oracle | Callable[[Genotype], Evaluation | float]


def check_parts(space: Any, accelerator: Any) -> None:
    """Refuse a space or an accelerator that cannot work, before the first trial.

    Raises:
        StudyError: A part is wrong; the message names it, and what was expected and given.
    """
    if not isinstance(space, SearchSpace):
        raise StudyError(f"space: expected a SearchSpace, got {described(space)}")
    if accelerator is not None:
        check_cost_model(accelerator)


def as_oracle(given: Any) -> Oracle:
    """An oracle as it is, and a function in a `FunctionOracle`.

    Raises:
        StudyError: It is neither.
    """
    if isinstance(given, Oracle) and not isinstance(given, type):
        return given
    if callable(given) and not isinstance(given, type):
        return FunctionOracle(given)
    raise StudyError(
        "oracle: expected an object of a class that derives from nasrec_opt.Oracle, or a function, "
        f"got {described(given)}"
    )


def evaluation_of(answer: Any, what: str) -> Evaluation:
    """Convert an oracle's answer to an `Evaluation` with a finite log loss.

    Args:
        answer: An `Evaluation`, or a log loss: any kind of real number.
        what: Name of the oracle, for the message.

    Raises:
        TrialError: It is anything else.
    """
    if not isinstance(answer, Evaluation):
        return Evaluation(finite(answer, f"{what}: log loss"))
    log_loss = finite(answer.log_loss, f"{what}: log loss")
    auc = answer.auc
    if auc is not None:
        auc = number(auc, f"{what}: auc")
        auc = auc if math.isfinite(auc) else None  # of rows that are all of one class
    difference = answer.difference
    if difference is not None:
        difference = _difference(difference, f"{what}: difference")
    return replace(answer, log_loss=log_loss, auc=auc, difference=difference)


def checked_cost(cost: Any, what: str) -> Cost:
    """A cost model's answer, if it is a `Cost` of finite numbers.

    Raises:
        TrialError: It is anything else.
    """
    if not isinstance(cost, Cost):
        raise TrialError(f"{what}: expected a hw.Cost, got {described(cost)}")
    for name in ("latency_ns", "energy_pj", "area_mm2"):
        finite(getattr(cost, name), f"{what}: {name}")
    return cost


def finite(value: Any, where: str) -> float:
    """A finite number, as a plain float.

    Raises:
        TrialError: It is something else.
    """
    converted = number(value, where)
    if not math.isfinite(converted):
        raise TrialError(f"{where}: expected a finite number, got {converted}")
    return converted


def number(value: Any, where: str) -> float:
    """A number of any library as a plain float; text and bools are not numbers.

    Raises:
        TrialError: It is something else.
    """
    try:
        scalar = value.item() if hasattr(value, "item") else value  # of an array or a tensor
        if hasattr(scalar, "__float__") and not isinstance(scalar, (bool, complex)):
            return float(scalar)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:  # several, or none
        raise TrialError(f"{where}: expected a number, got {described(value)}") from error
    raise TrialError(f"{where}: expected a number, got {described(value)}")


def name_of(part: Any) -> str:
    """Name of a user's object or function, for messages."""
    return part.name if isinstance(part, FunctionOracle) else type(part).__name__


def _difference(given: Any, where: str) -> Difference:
    if not isinstance(given, Difference):
        raise TrialError(f"{where}: expected a Difference, got {described(given)}")
    error = given.log_loss_se
    return Difference(
        finite(given.log_loss, f"{where}: log loss"),
        None if error is None else finite(error, f"{where}: standard error"),
        int(finite(given.num_rows, f"{where}: rows")),
    )
