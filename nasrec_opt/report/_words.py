"""Better or worse in words, by how much, and whether that is more than noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

BASELINES = {  # the harder to beat first
    "logistic_regression": "logistic regression",
    "constant": "the constant click rate",
}
FEW = 10  # test rows of a class below which the standard error itself says little
BEHIND = 1.0  # standard errors above which a model's difference makes the baseline the winner
NOISE = 2.0  # standard errors below which a difference may well be chance


def comparisons(results: Mapping[str, Any]) -> list[str]:
    """How the best retrained model compares with each baseline, in sentences.

    Where it does not beat one of them, a sentence says what it was trained on; where the test rows
    hardly have two classes, the last one says so.

    Args:
        results: What `retrained/results.json` holds, of this version or an older one.

    Returns:
        Logistic regression first, which is the harder to beat; empty without models or baselines.
    """
    sentences = [
        f"The best retrained model is {_verdict(difference, baseline)} ({_basis(difference)})."
        for baseline, difference in differences(results).items()
    ]
    clicks = results.get("clicks") or {}
    if "train" in clicks and is_behind(results):
        sentences.append(f"It was trained on {_of_rows(*clicks['train'])}.")
    if "test" in clicks and min(clicks["test"][0], clicks["test"][1] - clicks["test"][0]) < FEW:
        sentences.append(
            f"The comparison is on {_of_rows(*clicks['test'])}, too few of one class to rely on."
        )
    return sentences


def winner(results: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a run recommends: the best on validation rows, or a baseline that is ahead of it.

    A baseline is ahead where the model's log loss on the test rows is higher by more than a
    standard error of the paired difference; of two, the better one wins. Nothing else is decided
    by test rows.

    Args:
        results: What `retrained/results.json` holds, of this version or an older one.

    Returns:
        `name`, which is `model`, `logistic_regression` or `constant`, and `test_log_loss`; None
        without models.
    """
    models, baselines = results.get("models") or [], results.get("baselines") or {}
    if not models:
        return None
    ahead = {
        name: figures_of(baselines[name])["test_log_loss"]
        for name, by in differences(results).items()
        if by["difference"] > BEHIND * (by.get("standard_error") or 0.0) and name in baselines
    }
    ahead = {name: loss for name, loss in ahead.items() if loss == min(ahead.values())}
    for name, loss in ahead.items():
        return {"name": name, "test_log_loss": loss}
    return {"name": "model", "test_log_loss": models[0]["test_log_loss"]}


def winner_in_words(results: Mapping[str, Any]) -> list[str]:
    """A sentence where a baseline is the winner, none otherwise.

    Args:
        results: What `retrained/results.json` holds, of this version or an older one.
    """
    found = winner(results)
    if found is None or found["name"] == "model":
        return []
    return [
        f"The winner is {BASELINES[found['name']]}, test log loss {found['test_log_loss']:.4f}: "
        "the best retrained model is not as good."
    ]


def is_behind(results: Mapping[str, Any]) -> bool:
    """Whether the best retrained model does not beat every baseline by more than noise."""
    return not all(map(_is_better, differences(results).values()))


def differences(results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Differences of the best retrained model from the baselines, by the baseline's name.

    Args:
        results: What `retrained/results.json` holds. An older one has no paired differences; theirs
            are those of the means, whose standard error is not known.
    """
    models, baselines = results.get("models") or [], results.get("baselines") or {}
    if not models:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for name in BASELINES:
        if name in (models[0].get("against") or {}):
            found[name] = models[0]["against"][name]
        elif name in baselines:
            loss = figures_of(baselines[name])["test_log_loss"]
            found[name] = {"difference": models[0]["test_log_loss"] - loss}
    return found


def figures_of(baseline: Any) -> dict[str, Any]:
    """Figures of a baseline: a `Baseline`, or an entry of `results.json`, new or old."""
    if isinstance(baseline, Mapping):
        return dict(baseline)
    if hasattr(baseline, "to_dict"):
        return dict(baseline.to_dict())
    return {"test_log_loss": baseline}


def _is_better(difference: Mapping[str, Any]) -> bool:
    """Whether a model is better than what it is compared with, by more than noise."""
    error = difference.get("standard_error") or 0.0
    return bool(difference["difference"] < 0 and -difference["difference"] >= NOISE * error)


def _of_rows(clicks: int, rows: int) -> str:
    return f"{rows:,} rows with {clicks:,} click{'' if clicks == 1 else 's'}"


def short_difference(difference: Mapping[str, Any]) -> str:
    """`+0.0118 ± 0.0031`, for a table."""
    by = difference["difference"]
    return f"{'+' if by > 0 else '-' if by < 0 else ''}" + _amount(
        abs(by), difference.get("standard_error")
    )


def _verdict(difference: Mapping[str, Any], baseline: str) -> str:
    """`worse than logistic regression by 0.0118 ± 0.0031`."""
    name, by = BASELINES.get(baseline, baseline), difference["difference"]
    error = difference.get("standard_error")
    amount = _amount(abs(by), error)
    if error is not None and abs(by) < NOISE * error:
        side = "lower" if by < 0 else "higher"
        return f"no better than {name}: its log loss is {amount} {side}, which is within noise"
    if by == 0:
        return f"no better than {name}: their log losses are equal"
    return f"{'better' if by < 0 else 'worse'} than {name} by {amount}"


def _basis(difference: Mapping[str, Any]) -> str:
    if difference.get("standard_error") is None:
        return "test log loss, lower is better; whether this is noise is not known"
    return f"test log loss, lower is better, {difference['rows']:,} rows"


def _amount(value: float, error: float | None) -> str:
    """A number and its standard error, with the decimals that the error's two digits need."""
    least = min((x for x in (value, error) if x), default=1.0)
    decimals = min(9, max(4, 1 - math.floor(math.log10(least)) if least < 1 else 4))
    if error is None:
        return f"{value:.{decimals}f}"
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"
