"""A user's function as an oracle."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodType

from nasrec_opt.errors import StudyError, described
from nasrec_opt.features import FeatureSpec
from nasrec_opt.oracle._protocol import Evaluation, Oracle, Report
from nasrec_opt.space import Genotype

Answer = Evaluation | float


class FunctionOracle(Oracle):
    """Answers with what a function returns.

    Args:
        function: From a genotype to an `Evaluation`, or to a log loss in nats.
        features: Shape of the input, or None if the `Objective` is given it, or needs none.
        balance: Whether dot products project their vectors; see `Oracle`.
        reads_accelerator: Whether answers depend on accelerator genes; see `Oracle`.
        reports: Whether the function takes a second argument, a function that it calls with
            intermediate (step, log loss), so that pruners can end trials. It must not catch what
            that call raises.

    Raises:
        StudyError: `function` cannot be called, or is a class.

    Example:
        >>> import optuna
        >>> from nasrec_opt import Objective, SearchSpace
        >>> def loss(genotype, report):
        ...     for step in range(3):
        ...         report(step, 0.5 + 1 / (step + 1))
        ...     return 0.5 + 1 / 3
        >>> objective = Objective(SearchSpace.nasrec_small(2), FunctionOracle(loss, reports=True))
        >>> study = optuna.create_study()
        >>> study.optimize(objective, n_trials=2)
        >>> study.trials[0].intermediate_values
        {0: 1.5, 1: 1.0, 2: 0.8333333333333333}
    """

    def __init__(
        self,
        function: Callable[[Genotype], Answer] | Callable[[Genotype, Report], Answer],
        *,
        features: FeatureSpec | None = None,
        balance: bool = True,
        reads_accelerator: bool = False,
        reports: bool = False,
    ) -> None:
        if isinstance(function, type) or not callable(function):
            raise StudyError(f"function: expected a function, got {described(function)}")
        self.function: Callable[..., Answer] = function
        self.features = features
        self.balance = balance
        self.reads_accelerator = reads_accelerator
        self.reports = reports

    @property
    def name(self) -> str:
        """Name of the function, or of the class of a callable object."""
        if isinstance(self.function, (FunctionType, MethodType, BuiltinFunctionType)):
            return self.function.__name__
        return type(self.function).__name__

    def evaluate(self, genotype: Genotype, *, report: Report | None = None) -> Evaluation:
        """Call the function.

        Args:
            genotype: The architecture.
            report: Called with (step, log loss) if the function reports.

        Returns:
            The function's result, with the intermediate log losses.
        """
        if not self.reports:
            return _evaluation(self.function(genotype))
        reported: list[tuple[int, float]] = []

        def note(step: int, log_loss: float) -> None:
            reported.append((int(step), float(log_loss)))
            if report:
                report(step, log_loss)

        answer = _evaluation(self.function(genotype, note))
        if answer.intermediate:
            return answer
        return dataclasses.replace(answer, intermediate=tuple(reported))


def _evaluation(answer: Answer) -> Evaluation:
    """The answer as an `Evaluation`; the caller checks its numbers."""
    return answer if isinstance(answer, Evaluation) else Evaluation(answer)
