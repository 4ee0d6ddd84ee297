"""Ways to train a supernet and to score with it, as the studies of rankings compare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nasrec_opt.errors import StudyError
from nasrec_opt.options import OracleOptions
from nasrec_opt.space import SearchSpace
from nasrec_opt.supernet import (
    FairOperators,
    PathSampling,
    SandwichWidths,
    SingleOperatorAnyConnection,
)
from studies._loop import Loop


@dataclass(frozen=True, kw_only=True)
class Technique:
    """One way to train a supernet.

    Args:
        label: What tables and plots call it.
        balance: Whether dot products project their vectors (paper, section 4.2).
        masking: `slice`, or the paper's `zero`.
        train: Options of `TrainConfig` that differ from the study's.
        sampling: A path sampling of its own, to which warm-up is added.
        loop: What its training does that the library's does not.
        scorings: Scorings it is compared in, or None for all of them.
    """

    label: str
    balance: bool = True
    masking: Literal["slice", "zero"] = "slice"
    train: Mapping[str, Any] = field(default_factory=dict)
    sampling: Callable[[SearchSpace], PathSampling] | None = None
    loop: Loop | None = None
    scorings: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """One way to score a subnet with a supernet.

    Args:
        label: What tables and plots call it.
        oracle: How it scores.
        only: Techniques it is compared for, or None for all of them.
    """

    label: str
    oracle: OracleOptions
    only: tuple[str, ...] | None = None


def _sandwich(space: SearchSpace) -> PathSampling:
    return SandwichWidths(SingleOperatorAnyConnection(space))


# What the paper's code does in every training of a supernet, and the paper does not say.
PUBLISHED = {
    "epsilon": 1e-2,
    "clip_norm": 5.0,
    "rate_warmup_fraction": 0.1,
    "initialization": "xavier",
}
DEFAULT, DEFAULT_SCORING = "single-any", "newton"
QUICK = ("supernet", "newton")
PAPER_RATES: dict[str, Any] = {
    "learning_rate": 0.12,
    "embedding_rate": None,
    "embedding_prior": 0.0,
    "batch_size": 512,
    "epochs": 1,
}
TECHNIQUES = {
    "single-any": Technique(label="single operator, any connection"),
    "single-single": Technique(
        label="single operator, single connection", train={"path_sampling": "single-single"}
    ),
    "any-any": Technique(label="any operator, any connection", train={"path_sampling": "any-any"}),
    "unbalanced": Technique(label="no operator balancing", balance=False),
    "zero-masks": Technique(label="zero masks (Eq. 4)", masking="zero"),
    "paper-rates": Technique(
        label="the paper's rates, one pass, steps of 512",
        train=PAPER_RATES,
        scorings=QUICK,
    ),
    "published": Technique(
        label="the paper's rates, one pass, steps of 512, published settings",
        train=PAPER_RATES | PUBLISHED,
    ),
    "published-steps": Technique(
        label="single operator, any connection, with epsilon 1e-2, clip, warm-up, Xavier",
        train=PUBLISHED,
    ),
    "one-pass": Technique(label="one pass", train={"epochs": 1}, scorings=QUICK),
    "long-warm-up": Technique(
        label="warm-up over half", train={"warmup_fraction": 0.5}, scorings=QUICK
    ),
    "uniform": Technique(
        label="uniform number of inputs", train={"connections": "uniform"}, scorings=QUICK
    ),
    "fair": Technique(label="fair operators", sampling=FairOperators, scorings=QUICK),
    "sandwich": Technique(label="sandwich widths", sampling=_sandwich, scorings=QUICK),
    "six-passes": Technique(label="six passes", train={"epochs": 6}, scorings=QUICK),
    "averaged": Technique(
        label="averaged over the last quarter", loop=Loop(average=0.25), scorings=QUICK
    ),
    "constant-averaged": Technique(
        label="constant rate, averaged over the last third",
        loop=Loop(average=1 / 3, constant_rate=True),
        scorings=QUICK,
    ),
    "fresh-tables": Technique(
        label="a fresh table each pass", loop=Loop(fresh_tables=True), scorings=QUICK
    ),
    "twelve-fresh-tables": Technique(
        label="twelve passes, a fresh table each",
        train={"epochs": 12},
        loop=Loop(fresh_tables=True),
        scorings=QUICK,
    ),
    "distilled": Technique(
        label="distilled from the full supernet", loop=Loop(teacher_every=4), scorings=QUICK
    ),
}
SCORINGS = {
    "supernet": Scoring(label="weights as they are", oracle=OracleOptions(fidelity="supernet")),
    "adagrad": Scoring(
        label="last layer, Adagrad as published",
        oracle=OracleOptions(fidelity="last_layer", last_layer="adagrad"),
    ),
    "newton": Scoring(
        label="last layer, Newton", oracle=OracleOptions(fidelity="last_layer", last_layer="newton")
    ),
    "newton-16k": Scoring(
        label="last layer, Newton on 16,384 rows, asked on 4,096",
        oracle=OracleOptions(
            fidelity="last_layer", last_layer="newton", fit_rows=16_384, rows=4_096
        ),
        only=(DEFAULT,),
    ),
    "newton-32k": Scoring(
        label="last layer, Newton on 32,768 rows",
        oracle=OracleOptions(fidelity="last_layer", last_layer="newton", fit_rows=32_768),
        only=(DEFAULT,),
    ),
    "folds": Scoring(
        label="last layer, Newton by folds of validation rows",
        oracle=OracleOptions(fidelity="last_layer", last_layer="folds"),
        only=(DEFAULT,),
    ),
    "fine-tune": Scoring(
        label="all weights, 100 steps", oracle=OracleOptions(fidelity="fine_tune"), only=(DEFAULT,)
    ),
}


def chosen(what: str, text: str, known: Mapping[str, Any]) -> list[str]:
    """The names in a list like `a,b`, checked.

    Raises:
        StudyError: One of them is unknown.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise StudyError(f"{what}: expected some of {', '.join(known)}, got {name!r}")
    return names


def applies(technique: str, scoring: str) -> bool:
    """Whether a scoring is compared for a technique."""
    how, ask = TECHNIQUES[technique], SCORINGS[scoring]
    if how.masking == "zero" and ask.oracle.fidelity == "fine_tune":
        return False  # no standalone model equals a subnet that masks by zero
    return (ask.only is None or technique in ask.only) and (
        how.scorings is None or scoring in how.scorings
    )
