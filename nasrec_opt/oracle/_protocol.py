"""What an oracle is, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nasrec_opt.space import BlockGene, Genotype


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well one architecture predicts clicks.

    Args:
        log_loss: Mean log loss, nats; lower is better.
        auc: Area under the ROC curve, where it is known.
        log_loss_se: Standard error of `log_loss` over the rows. Candidates scored on the same rows
            differ by less than two such errors suggest, since their losses go together.
        num_rows: Rows scored.
        intermediate: `(step, log loss)` on the way, of oracles that train.
    """

    log_loss: float
    auc: float | None = None
    log_loss_se: float | None = None
    num_rows: int | None = None
    intermediate: tuple[tuple[int, float], ...] = ()


class Oracle(Protocol):
    """Scores genotypes: a supernet, a table of answers, a user's own object."""

    def evaluate(self, genotype: Genotype) -> Evaluation:
        """How well the genotype's model predicts."""


def architecture(genotype: Genotype) -> tuple[BlockGene, ...]:
    """The part of a genotype that an evaluation depends on: equal for equal models.

    Accelerator genes and the name of the space change no prediction.
    """
    return genotype.canonical().blocks
