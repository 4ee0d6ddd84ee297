"""The protocol of oracles, and their answers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol, runtime_checkable

from nasrec_opt.features import FeatureSpec
from nasrec_opt.options import Racing
from nasrec_opt.space import BlockGene, Genotype

Architecture = tuple[tuple[BlockGene, ...], bool]  # canonical blocks, and `wide`
Report = Callable[[int, float], None]  # (step, log loss) on the way; may raise to stop
Progress = Callable[[int, int | None], None]  # (done, total)


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better or worse one model is than another on the same rows.

    Losses of two models on one row are correlated, so the error of their difference is much smaller
    than that of either mean.

    Args:
        log_loss: Mean over the rows of the first model's log loss minus the other's, nats; below 0,
            the first is better.
        log_loss_se: Standard error of that mean, or None for a single row.
        num_rows: Number of rows scored.
    """

    log_loss: float
    log_loss_se: float | None
    num_rows: int

    def __neg__(self) -> Difference:
        """The same difference with the models exchanged."""
        return Difference(-self.log_loss, self.log_loss_se, self.num_rows)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well one architecture predicts clicks.

    Args:
        log_loss: Mean log loss, nats; lower is better.
        auc: Area under the ROC curve, or None if it is not known.
        log_loss_se: Standard error of `log_loss` over the rows: how far other rows would move the
            scores of all candidates. The error of the difference of two models is in `Difference`.
            Of a race (`RacingOracle`), how far the log loss on all rows may be from `log_loss`; 0
            where all were seen.
        num_rows: Number of rows scored.
        intermediate: Intermediate `(step, log loss)`, from oracles that train.
        difference: Difference from a reference model, from oracles that were given one.
        looks: Of a race, the answers on fewer rows after which it went on, each without looks.
    """

    log_loss: float
    auc: float | None = None
    log_loss_se: float | None = None
    num_rows: int | None = None
    intermediate: tuple[tuple[int, float], ...] = ()
    difference: Difference | None = None
    looks: tuple[Evaluation, ...] = ()


@runtime_checkable
class Oracle(Protocol):
    """Scores genotypes: a supernet, a table of answers, a user's own object.

    A class of your own derives from this one, which makes `evaluate` all that it has to define.
    For a function there is `FunctionOracle`.

    Args:
        features: Shape of the input, which an `Objective` needs for costs, or None if it is not
            known.
        balance: Whether dot products of its models project their vectors (section 4.2); otherwise
            costs are those of dot products of all vectors.
        reads_accelerator: Whether answers depend on accelerator genes. If so, an objective asks
            again for other genes; otherwise it asks once for each model.
        data_fingerprint: Of the dataset that answers come from, or None if there is none.
        max_table_rows: Maximum rows of one column's embedding table in its models, or None for full
            tables.
        scored_bits: `float` if models are scored in floating point whatever their bits are,
            otherwise `genotype`.

    Example:
        >>> from nasrec_opt import BlockGene, Genotype
        >>> class Narrow(Oracle):
        ...     def evaluate(self, genotype, *, report=None):
        ...         return Evaluation(0.5 + genotype.blocks[-1].dense_width / 10_000)
        >>> Narrow().evaluate(Genotype((BlockGene(dense_width=64),))).log_loss
        0.5064
    """

    features: FeatureSpec | None = None
    balance: bool = True
    reads_accelerator: bool = False
    data_fingerprint: str | None = None
    max_table_rows: int | None = 500_000
    scored_bits: str = "genotype"

    def __init_subclass__(cls) -> None:
        """Refuse a class attribute that is a member misspelt: its default would hold, silently.

        Raises:
            TypeError: A public name of the class is close to a member's.
        """
        super().__init_subclass__()
        members = [name for name in vars(Oracle) if not name.startswith("_")]
        for name in (*vars(cls), *vars(cls).get("__annotations__", ())):
            near = get_close_matches(name, members, n=1, cutoff=0.85)
            if near and name not in members and not name.startswith("_"):
                raise TypeError(f"{cls.__name__}.{name}: did you mean {near[0]!r} of Oracle?")

    @abstractmethod
    def evaluate(self, genotype: Genotype, *, report: Report | None = None) -> Evaluation:
        """Score a genotype.

        Args:
            genotype: The architecture, with its accelerator genes if the space has some.
            report: Called with intermediate (step, log loss) by oracles that train; pruners need
                it. An error that it raises ends the evaluation, and must not be caught. None if
                nothing is to be reported.

        Returns:
            Log loss in nats, and other figures that are known.
        """

    def evaluate_many(
        self, genotypes: Sequence[Genotype], *, progress: Progress | None = None
    ) -> list[Evaluation]:
        """Score several genotypes, one after another; an oracle may override it with a faster way.

        Args:
            genotypes: The architectures.
            progress: Called with (done, total).

        Returns:
            An answer for each, in the given order: that of `evaluate`.
        """
        answers = []
        for done, genotype in enumerate(genotypes, start=1):
            answers.append(self.evaluate(genotype))
            if progress:
                progress(done, len(genotypes))
        return answers


@runtime_checkable
class RacingOracle(Protocol):
    """An oracle that scores a genotype on more rows as long as these may decide.

    Args:
        racing: The race, or None where all answers are on the same rows.
        num_rows: All rows.
    """

    @property
    def racing(self) -> Racing | None:
        """The race, or None where all answers are on the same rows."""

    @property
    def num_rows(self) -> int:
        """All rows."""

    def race(self, genotype: Genotype, below: float) -> Evaluation:
        """Score a genotype on as many rows as show whether its log loss is below a value.

        The answer depends on nothing but these two.

        Args:
            genotype: The architecture.
            below: The value, nats; infinite for an answer on all rows.

        Returns:
            The answer of the last look, with the earlier ones in `looks`.
        """


def architecture(genotype: Genotype) -> Architecture:
    """Reduce a genotype to the parts that an evaluation depends on: equal for equal models.

    Accelerator genes and the name of the space change no prediction.

    Args:
        genotype: Any genotype.

    Returns:
        The canonical blocks, and whether there is a first-order term; hashable.
    """
    return genotype.canonical().blocks, genotype.wide
