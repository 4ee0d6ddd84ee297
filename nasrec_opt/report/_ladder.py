"""The ladder in words and as a table: trained models, their epochs, and the rank correlation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nasrec_opt.report._html import Row, Table, number


def ladder_in_words(ladder: Mapping[str, Any]) -> str:
    """Summarise a climb in one or two sentences.

    Args:
        ladder: The summary of the climb, as `results.json` has it.

    Returns:
        The sentences.
    """
    trained = ", ".join(
        f"{rung['models']:,} trained to {_epochs(rung['epochs'])}" for rung in ladder["rungs"]
    )
    left = len(ladder["finalists"])
    said = f"{ladder['candidates']:,} candidates, {trained}, {left} finalist{'s' * (left != 1)}."
    failed = ladder.get("failures") or {}
    if failed:
        said += f" {_models(len(failed))} failed ({next(iter(failed.values()))})."
    return " ".join([said, *_ranking(ladder)])


def ladder_table(ladder: Mapping[str, Any]) -> Table:
    """Tabulate the models that were trained on the way from the search to the finalists.

    Args:
        ladder: The summary of the climb, as `results.json` has it.

    Returns:
        A table with an entry for each model.
    """
    heads = ["", "searched log loss", *(_after(rung["epochs"]) for rung in ladder["rungs"])]
    rows = []
    for model in sorted(ladder["models"], key=_rank):
        losses = [number(value) for value in model["log_losses"]]
        losses += [""] * (len(ladder["rungs"]) - len(losses))
        is_finalist = model["trial"] in ladder["finalists"]
        cells = [f"trial {model['trial']}", number(model["score"]), *losses]
        rows.append(Row(cells, "best" if is_finalist else ""))
    return Table(heads, rows)


def expectation_in_words(results: Mapping[str, Any]) -> list[str]:
    """State what to expect of the best model, if several seeds of it were trained.

    Args:
        results: Contents of `retrained/results.json`, of this version or an older one.

    Returns:
        One sentence, or an empty text if fewer than two seeds were trained.
    """
    models = results.get("models") or []
    expected = models[0].get("expected_test_log_loss") if models else None
    if not expected or expected["seeds"] < 2:
        return []
    return [
        f"With another seed, it can be expected to reach {expected['mean']:.4f} on such rows "
        f"({expected['low']:.4f} to {expected['high']:.4f} at 95 %, {expected['seeds']} seeds)."
    ]


def _ranking(ladder: Mapping[str, Any]) -> list[str]:
    """How well scores and corrected scores ranked."""
    tau, alone = ladder.get("tau"), ladder.get("tau_of_score")
    if tau is None or alone is None:
        return []
    return [
        f"The search's scores rank the trained models with Kendall's tau {alone:.2f}, scores "
        f"corrected by the other models with {tau:.2f}."
    ]


def _rank(model: Mapping[str, Any]) -> tuple[int, float]:
    """The farthest first, then the most accurate."""
    last = model["log_losses"][-1]
    return -len(model["log_losses"]), float("inf") if last is None else last


def _after(epochs: float) -> str:
    return f"validation log loss after {_epochs(epochs)}"


def _epochs(count: float) -> str:
    return f"{count:g} epoch{'' if count == 1 else 's'}"


def _models(count: int) -> str:
    return f"{count:,} model{'' if count == 1 else 's'}"
