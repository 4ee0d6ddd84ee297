"""What the log loss of a trial has to be below to count, given the trials before it.

A trial counts if fewer than a number of rivals are better: feasible trials with a lower log loss
that cost no more in any other objective. So with one rival, a trial counts that may be on the
Pareto front. The other objectives are exact, so rivals are known before the trial is scored.

It is a function of the study and of the trial's number, as samplers are: the only trials considered
are those whose results are there whenever the trial is proposed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import BaseTrial, TrialState

from nasrec_opt.errors import StudyError
from nasrec_opt.options import Racing
from nasrec_opt.oracle import Evaluation, Oracle, RacingOracle, settled
from nasrec_opt.samplers import is_feasible
from nasrec_opt.space import Genotype

USUAL_RIVALS = 16  # with one objective: so many parents and winners; with more, the front has them


class Rivals:
    """Races genotypes against the trials of a study.

    Args:
        oracle: The oracle that races.
        racing: Its race.
        metric_names: The objectives, log loss among them.
        constraints: Largest value allowed, by metric.

    Raises:
        StudyError: Log loss is no objective.
    """

    def __init__(
        self,
        oracle: RacingOracle,
        racing: Racing,
        metric_names: Sequence[str],
        constraints: Mapping[str, float],
    ) -> None:
        if "log_loss" not in metric_names:
            raise StudyError(
                "objectives: expected log_loss among them, by which the oracle races, got "
                f"{', '.join(metric_names)}"
            )
        self._oracle = oracle
        self._racing = racing
        self._names = tuple(metric_names)
        self._constraints = constraints
        self._count = racing.rivals or (USUAL_RIVALS if len(metric_names) == 1 else 1)

    def level_to_beat(self, trial: BaseTrial, lag: int, metrics: Mapping[str, float]) -> float:
        """The log loss that a trial has to be below to count.

        Args:
            trial: The trial; one without a study has no rivals.
            lag: Only trials up to its number less this one are considered.
            metrics: All metrics of the trial but its log loss.

        Returns:
            Nats; infinite if there are too few rivals, and minus infinity if the trial violates a
            constraint whatever its log loss is: it is on no front then.
        """
        if any(metrics.get(name, -math.inf) > most for name, most in self._constraints.items()):
            return -math.inf
        study = getattr(trial, "study", None)
        if study is None:
            return math.inf
        place = self._names.index("log_loss")
        most = [math.inf if name == "log_loss" else metrics[name] for name in self._names]
        found = sorted(
            other.values[place]
            for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if other.number <= trial.number - lag
            and all(value <= limit for value, limit in zip(other.values, most, strict=True))
            and is_feasible(other)
        )
        return float(found[self._count - 1]) if len(found) >= self._count else math.inf

    def settled(self, known: Evaluation, below: float) -> Evaluation | None:
        """The answer to a race, if the looks of another one of the same genotype settle it."""
        return settled(known, self._racing, self._oracle.num_rows, below)

    def race(self, genotype: Genotype, below: float) -> Evaluation:
        """Score a genotype on as many rows as decide."""
        return self._oracle.race(genotype, below)

    @staticmethod
    def attributes(evaluation: Evaluation) -> dict[str, Any]:
        """What a trial says about the rows that it has seen."""
        return {"log_loss_se": evaluation.log_loss_se, "num_rows": evaluation.num_rows}


def rivals_of(
    oracle: Oracle, metric_names: Sequence[str], constraints: Mapping[str, float]
) -> Rivals | None:
    """Who genotypes race against, or None if the oracle does not race.

    Raises:
        StudyError: It races, and log loss is no objective.
    """
    if isinstance(oracle, RacingOracle) and oracle.racing is not None:
        return Rivals(oracle, oracle.racing, metric_names, constraints)
    return None
