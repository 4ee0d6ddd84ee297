"""The winner of a run: its best model or a baseline, whichever is best on validation rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nasrec_opt.report._differences import BASELINES, amount, differences, figures_of, is_noise

MODEL = "model"  # the name of the best retrained model among the competitors
BEST_MODEL = "the best retrained model"
DECIDES = "validation_log_loss"
EQUAL = 5e-10  # what no shown decimal can tell from 0


def winner(results: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a run recommends: the best on validation rows of its best model and its baselines.

    A tie goes to the simpler one: to a baseline, and of two baselines to the constant click rate.
    Test rows have no say.

    Args:
        results: What `retrained/results.json` holds, of this version or an older one.

    Returns:
        `name`, which is `model`, `logistic_regression` or `constant`, `validation_log_loss` and
        `test_log_loss`; None without models, and for an old file that lacks the baselines' log
        losses on validation rows.
    """
    models, baselines = results.get("models") or [], results.get("baselines") or {}
    if not models:
        return None
    known = [name for name in reversed(BASELINES) if name in baselines]  # the simplest first
    competing = {name: figures_of(baselines[name]) for name in known} | {MODEL: models[0]}
    if any(figures.get(DECIDES) is None for figures in competing.values()):
        return None
    name = min(competing, key=lambda name: float(competing[name][DECIDES]))
    return {"name": name, **{key: competing[name][key] for key in (DECIDES, "test_log_loss")}}


def winner_in_words(results: Mapping[str, Any]) -> list[str]:
    """A sentence on who wins: by how much on validation rows, and what that is on test rows.

    A model is held against the better of the baselines, a baseline against the best model.

    Args:
        results: What `retrained/results.json` holds, of this version or an older one.

    Returns:
        One sentence, or none where the winner is not known.
    """
    found, rival = winner(results), rival_of(results)
    if found is None or rival is None:
        return []
    on_validation = differences(results, "validation")[rival]
    on_test = differences(results)[rival]
    is_model = found["name"] == MODEL
    names = (BEST_MODEL, BASELINES[rival]) if is_model else (BASELINES[rival], BEST_MODEL)
    sign = 1 if is_model else -1
    return [
        f"The winner is {names[0]}, test log loss {found['test_log_loss']:.4f}: on "
        f"{_rows(on_validation)}validation rows its log loss is "
        f"{_side(on_validation, sign, names[1])}, and on {_rows(on_test)}test rows "
        f"{_side(on_test, sign)}."
    ]


def name_of_winner(results: Mapping[str, Any]) -> str:
    """The winner in few words, for a table; `-` where it is not known."""
    found = winner(results)
    if found is None:
        return "-"
    if found["name"] == MODEL:
        return f"model 1 (trial {results['models'][0].get('trial', '-')})"
    return BASELINES[found["name"]].removeprefix("the ")


def rival_of(results: Mapping[str, Any]) -> str | None:
    """The baseline in the sentence on the winner: that which wins, or the best on validation."""
    found = winner(results)
    if found is None:
        return None
    if found["name"] != MODEL:
        return str(found["name"])
    behind = differences(results, "validation")
    return max(behind, key=lambda name: float(behind[name]["difference"]), default=None)


def _side(difference: Mapping[str, Any], sign: int, other: str = "") -> str:
    """`0.0118 ± 0.0031 lower than …`; a sign of -1 turns a model's difference round."""
    by = sign * difference["difference"]
    if abs(by) < EQUAL:
        return f"equal{other and f' to that of {other}'}"
    side = "lower" if by < 0 else "higher"
    noise = " (within noise)" if is_noise(difference) else ""
    return f"{amount(difference)} {side}{other and f' than that of {other}'}{noise}"


def _rows(difference: Mapping[str, Any]) -> str:
    return f"{difference['rows']:,} " if "rows" in difference else ""
