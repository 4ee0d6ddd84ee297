"""Better or worse in words, by how much, and whether that is more than noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nasrec_opt.report._differences import BASELINES, NOISE, amount, differences, is_noise
from nasrec_opt.report._winner import ENSEMBLE, MODEL, rival_of, winner

FEW = 10  # test rows of a class below which the standard error itself says little


def comparisons(results: Mapping[str, Any]) -> list[str]:
    """Compare the best retrained model with each baseline on test rows, in sentences.

    If it does not beat one of them, a sentence says what it was trained on. If the test rows hardly
    have two classes, the last sentence says so.

    Args:
        results: Contents of `retrained/results.json`, of this version or an older one.

    Returns:
        Sentences, the one on logistic regression first, which is harder to beat; without the
        baseline that `winner_in_words` already mentions. Empty without models or baselines.
    """
    said = rival_of(results)
    sentences = [
        f"The best retrained model is {_verdict(difference, baseline)} ({_basis(difference)})."
        for baseline, difference in differences(results).items()
        if baseline != said
    ]
    clicks = results.get("clicks") or {}
    if "train" in clicks and is_behind(results):
        sentences.append(f"It was trained on {_of_rows(*clicks['train'])}.")
    if "test" in clicks and min(clicks["test"][0], clicks["test"][1] - clicks["test"][0]) < FEW:
        sentences.append(
            f"The comparison is on {_of_rows(*clicks['test'])}, too few of one class to rely on."
        )
    return sentences


def is_behind(results: Mapping[str, Any]) -> bool:
    """Whether a baseline wins, or the model does not beat one by more than noise on test rows."""
    won = winner(results)
    if won is not None and won["name"] not in (MODEL, ENSEMBLE):
        return True
    return not all(map(_is_better, differences(results).values()))


def _is_better(difference: Mapping[str, Any]) -> bool:
    """Whether a model is better than what it is compared with, by more than noise."""
    error = difference.get("standard_error") or 0.0
    return bool(difference["difference"] < 0 and -difference["difference"] >= NOISE * error)


def _of_rows(clicks: int, rows: int) -> str:
    return f"{rows:,} rows with {clicks:,} click{'' if clicks == 1 else 's'}"


def _verdict(difference: Mapping[str, Any], baseline: str) -> str:
    """`worse than logistic regression by 0.0118 ± 0.0031`."""
    name, by = BASELINES.get(baseline, baseline), difference["difference"]
    if is_noise(difference):
        side = "lower" if by < 0 else "higher"
        return (
            f"no better than {name}: its log loss is {amount(difference)} {side}, which is within "
            "noise"
        )
    if by == 0:
        return f"no better than {name}: their log losses are equal"
    return f"{'better' if by < 0 else 'worse'} than {name} by {amount(difference)}"


def _basis(difference: Mapping[str, Any]) -> str:
    if difference.get("standard_error") is None:
        return "test log loss, lower is better; whether this is noise is not known"
    return f"test log loss, lower is better, {difference['rows']:,} rows"
