"""Differences of the best retrained model from the baselines, with their standard errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

BASELINES = {  # the harder to beat first
    "logistic_regression": "logistic regression",
    "constant": "the constant click rate",
}
NOISE = 2.0  # standard errors below which a difference may well be chance


def differences(
    results: Mapping[str, Any], split: Literal["validation", "test"] = "test"
) -> dict[str, dict[str, Any]]:
    """Differences of the best retrained model from the baselines, by the baseline's name.

    Args:
        results: Contents of `retrained/results.json`. An older file has no paired differences; then
            they are differences of the means, without a standard error.
        split: The rows.
    """
    models = results.get("models") or []
    return differences_of(models[0], results, split) if models else {}


def differences_of(
    entry: Mapping[str, Any],
    results: Mapping[str, Any],
    split: Literal["validation", "test"] = "test",
) -> dict[str, dict[str, Any]]:
    """Differences of one model, or of the ensemble, from the baselines, by the baseline's name.

    Args:
        entry: The model's or the ensemble's entry in `results`.
        results: Contents of `retrained/results.json`.
        split: The rows.
    """
    baselines = results.get("baselines") or {}
    paired = entry.get("against" if split == "test" else "against_on_validation") or {}
    own = entry.get(f"{split}_log_loss")
    found: dict[str, dict[str, Any]] = {}
    for name in BASELINES:
        other = figures_of(baselines[name]).get(f"{split}_log_loss") if name in baselines else None
        if name in paired:
            found[name] = paired[name]
        elif own is not None and other is not None:
            found[name] = {"difference": own - other}
    return found


def figures_of(baseline: Any) -> dict[str, Any]:
    """Figures of a baseline: a `Baseline`, or an entry of `results.json`, new or old."""
    if isinstance(baseline, Mapping):
        return dict(baseline)
    if hasattr(baseline, "to_dict"):
        return dict(baseline.to_dict())
    return {"test_log_loss": baseline}


def is_noise(difference: Mapping[str, Any]) -> bool:
    """Whether a difference is within its known standard errors."""
    error = difference.get("standard_error")
    return error is not None and abs(difference["difference"]) < NOISE * error


def short_difference(difference: Mapping[str, Any]) -> str:
    """`+0.0118 ± 0.0031`, for a table."""
    by = difference["difference"]
    return f"{'+' if by > 0 else '-' if by < 0 else ''}{amount(difference)}"


def amount(difference: Mapping[str, Any]) -> str:
    """`0.0118 ± 0.0031`: the absolute value, with the decimals of two digits of the error."""
    value, error = abs(difference["difference"]), difference.get("standard_error")
    least = min((x for x in (value, error) if x), default=1.0)
    decimals = min(9, max(4, 1 - math.floor(math.log10(least)) if least < 1 else 4))
    if error is None:
        return f"{value:.{decimals}f}"
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"
