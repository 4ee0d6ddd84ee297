"""The winner of a run: the best model, ensemble or baseline on validation rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nasrec_opt.report._averaged import averaged_in_words
from nasrec_opt.report._differences import (
    BASELINES,
    amount,
    differences_of,
    figures_of,
    is_noise,
)

MODEL, ENSEMBLE = "model", "ensemble"  # names of our own among the competitors
BEST_MODEL = "the best retrained model"
DECIDES = "validation_log_loss"
EQUAL = 5e-10  # differences below this are shown as 0


def winner(results: Mapping[str, Any]) -> dict[str, Any] | None:
    """Choose the winner of a run: the best on validation rows of its models and baselines.

    The best model, the ensemble if there is one, and each baseline compete. A tie goes to the
    simpler one: a baseline before a model, a model before an ensemble, and the constant click rate
    before logistic regression. Test rows decide nothing.

    Args:
        results: Contents of `retrained/results.json`, of this version or an older one.

    Returns:
        `name`, which is `model`, `ensemble`, `logistic_regression` or `constant`,
        `validation_log_loss` and `test_log_loss`; None without models, and for an old file that
        lacks the baselines' log losses on validation rows.
    """
    models, baselines = results.get("models") or [], results.get("baselines") or {}
    if not models:
        return None
    known = [name for name in reversed(BASELINES) if name in baselines]  # the simplest first
    competing = {name: figures_of(baselines[name]) for name in known} | {MODEL: models[0]}
    if results.get(ENSEMBLE):
        competing[ENSEMBLE] = results[ENSEMBLE]
    if any(figures.get(DECIDES) is None for figures in competing.values()):
        return None
    name = min(competing, key=lambda name: float(competing[name][DECIDES]))
    return {"name": name, **{key: competing[name][key] for key in (DECIDES, "test_log_loss")}}


def winner_in_words(results: Mapping[str, Any]) -> list[str]:
    """State the winner in a sentence, with the differences on validation and on test rows.

    A model or an ensemble is compared with the better baseline, a baseline with the best model.

    Args:
        results: What `retrained/results.json` holds, of this version or an older one.

    Returns:
        One sentence, or an empty text if the winner is not known.
    """
    found, rival = winner(results), rival_of(results)
    if found is None or rival is None:
        return []
    own = _own(results, found["name"])
    on_validation = differences_of(own, results, "validation")[rival]
    on_test = differences_of(own, results)[rival]
    is_ours = found["name"] in (MODEL, ENSEMBLE)
    our_name = in_words(own) if is_ours else BEST_MODEL
    names = (our_name, BASELINES[rival]) if is_ours else (BASELINES[rival], our_name)
    sign = 1 if is_ours else -1
    return [
        f"The winner is {names[0]}, test log loss {found['test_log_loss']:.4f}: on "
        f"{_rows(on_validation)}validation rows its log loss is "
        f"{_side(on_validation, sign, names[1])}, and on {_rows(on_test)}test rows "
        f"{_side(on_test, sign)}."
    ]


def name_of_winner(results: Mapping[str, Any]) -> str:
    """The winner in a few words, for a table; `-` if it is not known."""
    found = winner(results)
    if found is None:
        return "-"
    if found["name"] == MODEL:
        return f"model 1 (trial {results['models'][0].get('trial', '-')})"
    if found["name"] == ENSEMBLE:
        return f"ensemble of {averaged_in_words(results[ENSEMBLE])}"
    return BASELINES[found["name"]].removeprefix("the ")


def in_words(entry: Mapping[str, Any]) -> str:
    """`the best retrained model`, or how many models are averaged."""
    if "members" not in entry:
        return BEST_MODEL
    return f"the mean of {averaged_in_words(entry, 'retrained model')}"


def rival_of(results: Mapping[str, Any]) -> str | None:
    """The baseline in the sentence on the winner: the one that wins, or the best on validation."""
    found = winner(results)
    if found is None:
        return None
    if found["name"] not in (MODEL, ENSEMBLE):
        return str(found["name"])
    behind = differences_of(_own(results, found["name"]), results, "validation")
    return max(behind, key=lambda name: float(behind[name]["difference"]), default=None)


def _own(results: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The ensemble if it wins, else the best model."""
    entry: Mapping[str, Any] = results[ENSEMBLE] if name == ENSEMBLE else results["models"][0]
    return entry


def _side(difference: Mapping[str, Any], sign: int, other: str = "") -> str:
    """`0.0118 ± 0.0031 lower than …`; a sign of -1 reverses a model's difference."""
    by = sign * difference["difference"]
    if abs(by) < EQUAL:
        return f"equal{other and f' to that of {other}'}"
    side = "lower" if by < 0 else "higher"
    noise = " (within noise)" if is_noise(difference) else ""
    return f"{amount(difference)} {side}{other and f' than that of {other}'}{noise}"


def _rows(difference: Mapping[str, Any]) -> str:
    return f"{difference['rows']:,} " if "rows" in difference else ""
