"""What an oracle is, and what it answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from nasrec_opt.space import BlockGene, Genotype

Architecture = tuple[tuple[BlockGene, ...], bool]  # canonical blocks, and `wide`
Report = Callable[[int, float], None]  # (step, log loss) on the way; may raise to stop


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better or worse one model is than another on the same rows.

    Losses of two models on one row go together, so the error of their difference is much smaller
    than that of either mean.

    Args:
        log_loss: Mean over the rows of the first model's log loss minus the other's, nats; below 0,
            the first is better.
        log_loss_se: Standard error of that mean, or None where there is but one row.
        num_rows: Number of rows scored.
    """

    log_loss: float
    log_loss_se: float | None
    num_rows: int

    def __neg__(self) -> Difference:
        """The same seen from the other model."""
        return Difference(-self.log_loss, self.log_loss_se, self.num_rows)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well one architecture predicts clicks.

    Args:
        log_loss: Mean log loss, nats; lower is better.
        auc: Area under the ROC curve, or None where it is not known.
        log_loss_se: Standard error of `log_loss` over the rows. It tells how far other rows would
            move the scores of all candidates; `Difference` tells how well two of them can be told
            apart.
        num_rows: Number of rows scored.
        intermediate: Intermediate `(step, log loss)`, of oracles that train.
        difference: Difference from a reference model, of oracles that were given one.
    """

    log_loss: float
    auc: float | None = None
    log_loss_se: float | None = None
    num_rows: int | None = None
    intermediate: tuple[tuple[int, float], ...] = ()
    difference: Difference | None = None


class Oracle(Protocol):
    """Scores genotypes: a supernet, a table of answers, a user's own object.

    An oracle whose `evaluate` has a keyword `report` calls it with intermediate log losses, and
    does not catch what it raises. Trials can then be pruned.
    """

    def evaluate(self, genotype: Genotype) -> Evaluation:
        """Score a genotype.

        Args:
            genotype: The architecture, with its accelerator genes where the space has some.

        Returns:
            Log loss in nats, and what else is known.
        """


def can_report(oracle: Oracle | Callable[..., Any]) -> bool:
    """Check whether an oracle, or a function in place of one, takes the keyword `report`.

    Args:
        oracle: The oracle or function.

    Returns:
        True where `report` is one of its parameters; False for callables without a signature.
    """
    evaluate: Callable[..., Any] = getattr(oracle, "evaluate", oracle)
    try:
        return "report" in inspect.signature(evaluate).parameters
    except (TypeError, ValueError):  # of what is written in C
        return False


def architecture(genotype: Genotype) -> Architecture:
    """Reduce a genotype to what an evaluation depends on: equal for equal models.

    Accelerator genes and the name of the space change no prediction.

    Args:
        genotype: Any genotype.

    Returns:
        The canonical blocks, and whether there is a first-order term; hashable.
    """
    return genotype.canonical().blocks, genotype.wide
