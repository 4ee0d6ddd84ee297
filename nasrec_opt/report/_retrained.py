"""The retrained models and the baselines as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nasrec_opt._metrics import COST, SHAPE, definitions
from nasrec_opt.report._averaged import averaged_in_words
from nasrec_opt.report._differences import (
    BASELINES,
    differences,
    differences_of,
    figures_of,
    short_difference,
)
from nasrec_opt.report._html import Row, Table, number
from nasrec_opt.report._winner import winner

RETRAINED = "test rows, trained from scratch"
NAMES = {name: words.removeprefix("the ") for name, words in BASELINES.items()}
QUALITY = ("test_log_loss", "test_auc", "validation_log_loss")
COSTS = (*SHAPE, *COST)
HEADS = ("", "test log loss", "test AUC", "validation log loss")


def searched_as(facts: Mapping[str, str]) -> str:
    """The rows and the weights with which the search scored its models.

    Args:
        facts: Facts of the run; `fidelity` begins with the name in the study file.
    """
    fidelity = (facts.get("fidelity") or "").split(",")[0]
    if fidelity == "scratch":
        return "validation rows, each model trained briefly from scratch"
    if fidelity == "fine_tune":
        return "validation rows, weights of the supernet trained for some more steps"
    return "validation rows, weights shared in the supernet"


@dataclass(frozen=True, slots=True)
class Retrained:
    """The part of a page on the retrained models.

    Args:
        table: The models, the ensemble if there is one, and the baselines.
        notes: Sentences on bits, on seeds, and on members of the ensemble.
    """

    table: Table
    notes: Sequence[str]


def retrained(results: Mapping[str, Any]) -> Retrained | None:
    """Test log loss of the retrained models beside the baselines, and the differences.

    Args:
        results: What `retrained/results.json` holds, of this version or an older one.

    Returns:
        None where no model was retrained.
    """
    models = results.get("models") or []
    if not models:
        return None
    known = [name for name in BASELINES if name in differences(results)]
    best = (winner(results) or {}).get("name")
    rows = _baseline_rows(results, len(known), best)
    for place, model in enumerate(models):
        against = differences({**results, "models": [model]})
        cells = [f"model {place + 1} (trial {model.get('trial', '-')})"]
        cells += [number(model.get(key)) for key in QUALITY]
        cells += [short_difference(against[name]) for name in known]
        cells += [number(model.get(metric.name)) for metric in COSTS]
        rows.append(Row(cells, "best" if place == 0 and best == "model" else ""))
    together = results.get("ensemble")
    if together:
        rows.append(_ensemble_row(together, results, known, best))
    heads = [*HEADS, *(f"difference from {NAMES[name]}" for name in known)]
    heads += [metric.label for metric in COSTS]
    notes = (_at_bits(models), _over_seeds(models), _members(together, models))
    return Retrained(Table(heads, rows), [note for note in notes if note])


def _ensemble_row(
    ensemble: Mapping[str, Any],
    results: Mapping[str, Any],
    baselines: Sequence[str],
    best: str | None,
) -> Row:
    against = differences_of(ensemble, results)
    cells = [f"ensemble of {averaged_in_words(ensemble)}"]
    cells += [number(ensemble.get(key)) for key in QUALITY]
    cells += [short_difference(against[name]) for name in baselines]
    cells += [number(ensemble.get(metric.name)) for metric in COSTS]
    return Row(cells, "best" if best == "ensemble" else "")


def _members(ensemble: Mapping[str, Any] | None, models: Sequence[Mapping[str, Any]]) -> str:
    """The members of the ensemble, and the gain of averaging."""
    if not ensemble:
        return ""
    places = {json.dumps(model["genotype"]): place for place, model in enumerate(models, start=1)}
    named = []
    for member in ensemble["members"]:
        place = places.get(json.dumps(member["genotype"]))
        model = "a model trained before the search" if place is None else f"model {place}"
        at = " at another of its epochs" if member.get("weights") == "other_epoch" else ""
        named.append(f"{model} of seed {member['seed']}{at}")
    gain = short_difference(ensemble["against_best"])
    return (
        "The ensemble is the mean of the logits of "
        f"{len(named)} members, each chosen because it lowers the validation log loss: "
        f"{', '.join(named)}. Its test log loss differs by {gain} from that of the first of them. "
        "Its costs are those of all its members on one accelerator; two epochs of a model are two "
        "members."
    )


def _at_bits(models: Sequence[Mapping[str, Any]]) -> str:
    """Both log losses of models that a search ranked in floating point."""
    lines = [
        f"model {place}: {number(model['search_log_loss'])} as ranked, "
        f"{number(model['search_log_loss_at_bits'])} at its bits"
        for place, model in enumerate(models, start=1)
        if "search_log_loss_at_bits" in model
    ]
    if not lines:
        return ""
    return (
        "The search ranked models in floating point. Searched validation log loss of "
        f"{'; '.join(lines)}. All figures of retrained models are at their bits."
    )


def _over_seeds(models: Sequence[Mapping[str, Any]]) -> str:
    """Log losses of several seeds of each architecture."""
    lines = []
    for place, model in enumerate(models, start=1):
        seeds, expected = model.get("seeds") or [], model.get("expected_test_log_loss")
        if expected and len(seeds) > 1:
            losses = ", ".join(number(seed["test_log_loss"]) for seed in seeds)
            lines.append(
                f"model {place}: {losses}; expected {number(expected['mean'])} "
                f"({number(expected['low'])} to {number(expected['high'])})"
            )
    if not lines:
        return ""
    return (
        "Models are ordered by their validation log loss in the mean over seeds, and have the "
        "figures of the seed that is best on validation. Test log loss of all seeds, and what to "
        "expect of another seed and other test rows of the same number, at 95 %: "
        f"{'. '.join(lines)}."
    )


def meanings() -> str:
    """Definitions of the columns of a table of models."""
    return definitions(*(metric.name for metric in SHAPE))


def _baseline_rows(results: Mapping[str, Any], num_differences: int, best: str | None) -> list[Row]:
    empty = [""] * (num_differences + len(COSTS))
    rows = []
    for name, baseline in (results.get("baselines") or {}).items():
        figures = figures_of(baseline)
        cells = [NAMES.get(name, name), *(number(figures.get(key)) for key in QUALITY), *empty]
        rows.append(Row(cells, "best" if name == best else "base"))
    if results.get("bayes") is not None:
        cells = ["Bayes (true probabilities)", number(results["bayes"]), "", "", *empty]
        rows.append(Row(cells, "base"))
    return rows
