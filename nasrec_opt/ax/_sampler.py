"""Ax behind an Optuna study: an Optuna sampler that asks an Ax client for each trial.

The study is the only record. The client lives in memory and is told every trial of the study,
including those of an earlier process. So nothing can be lost between two storages, and everything
that reads a study (MLflow, dashboard, report, resume) needs to know nothing of Ax
(docs/decisions/ax_engine.md).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nasrec_opt._foreign.optuna import enqueued_params
from nasrec_opt.ax._client import check_goals, encoding_of, search_client
from nasrec_opt.ax._parameters import genotype_of, parameters_of
from nasrec_opt.ax._quiet import check_ax, quiet
from nasrec_opt.errors import GenotypeError
from nasrec_opt.options import AxConfig, Strategy
from nasrec_opt.samplers._streams import StreamSampler
from nasrec_opt.space import SearchSpace

if TYPE_CHECKING:
    from ax.api.client import Client

# Threads of `optimize(n_jobs=...)` share the client, and `quiet` changes the whole process.
_ALONE = threading.Lock()


class AxSampler(StreamSampler):
    """Asks an Ax client for the genotype of each trial.

    With `pool_bayes` and one worker, a stopped study continues as if it had not been stopped. Ax's
    own strategy keeps a random state, and continues with other draws. Enqueued trials are
    evaluated as they are, and Ax learns from them. Failed trials are not proposed again.

    Args:
        space: Space whose genotypes `space.suggest(trial)` asks for.
        metric_names: The study's objectives in order, all minimised.
        constraints: Largest value allowed, by metric. Trials state their violation with
            `trial.set_constraint`, as `Objective` does.
        strategy: `pool_bayes` is ours, `PoolNode`; `ax` is Ax's own default.
        seed: Seed of all draws, 0 or more.

    Raises:
        MissingExtraError: Ax is not installed.
        StudyError: There is no such strategy, the seed is negative, or the only objective has a
            constraint.

    Example:
        >>> import optuna
        >>> from hw import ReRAM
        >>> from nasrec_opt import Objective, OracleOptions, SupernetOracle
        >>> options = OracleOptions(rows=500)
        >>> oracle = SupernetOracle.load("runs/quickstart/supernet", options=options)
        >>> objective = Objective(oracle.supernet.space, oracle, ReRAM())
        >>> sampler = AxSampler(objective.space, metric_names=objective.metric_names, seed=0)
        >>> study = optuna.create_study(directions=["minimize"] * 3, sampler=sampler)
        >>> study.optimize(objective, n_trials=4)
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        metric_names: Sequence[str],
        constraints: Mapping[str, float] | None = None,
        strategy: Strategy = AxConfig.strategy,
        seed: int = 0,
    ) -> None:
        check_ax()
        super().__init__(seed)
        check_goals(metric_names, constraints or {})
        self._encoding = encoding_of(strategy)
        self._space = space
        self._metric_names = tuple(metric_names)
        self._constraints = dict(constraints or {})
        self._strategy: Strategy = strategy
        self._mirrors: dict[str, _Mirror] = {}  # by name of the study

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters that `sample_relative` may answer with."""
        return dict(self._space.distributions())

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The parameters of Ax's next trial; inactive ones are left out."""
        if enqueued_params(trial):  # enqueued: Ax is told of it afterwards
            return {}
        with _ALONE, quiet():
            mirror = self._mirror(study, trial.number)
            mirror.follow(study, trial.number)
            parameters = mirror.ask(trial.number)
        genotype = genotype_of(self._space, parameters, self._encoding)
        return self._space.encode(genotype)

    def _mirror(self, study: Study, number: int) -> _Mirror:
        if study.study_name not in self._mirrors:
            # Ax's Sobol sequence restarts in each client, so the same seed would repeat it.
            shift = number if self._strategy == "ax" else 0
            client = search_client(
                self._space,
                metric_names=self._metric_names,
                constraints=self._constraints,
                name=study.study_name,
                strategy=self._strategy,
                seed=self._seed + shift,
            )
            self._mirrors[study.study_name] = _Mirror(self, client)
        return self._mirrors[study.study_name]

    def _parameters(self, trial: FrozenTrial) -> dict[str, Any]:
        return dict(parameters_of(self._space, self._space.decode(trial.params), self._encoding))

    def _outcome(self, trial: FrozenTrial) -> dict[str, float]:
        """The trial's values of the metrics that Ax needs."""
        found = {
            name: trial.constraints[name] + largest
            for name, largest in self._constraints.items()
            if name in trial.constraints
        }
        return found | dict(zip(self._metric_names, trial.values, strict=True))


class _Mirror:
    """An Ax client that holds the trials of one Optuna study.

    Args:
        sampler: Translates trials.
        client: A client without trials.
    """

    def __init__(self, sampler: AxSampler, client: Client) -> None:
        self._sampler = sampler
        self._client = client
        self._index_of: dict[int, int] = {}  # Ax's trial, by Optuna's
        self._asked: dict[int, Mapping[str, Any]] = {}  # what Ax proposed, by Optuna's number
        self._settled: set[int] = set()

    def follow(self, study: Study, before: int) -> None:
        """Tell the client everything new about the trials before that number."""
        for trial in study.get_trials(deepcopy=False):
            if trial.number >= before or trial.number in self._settled:
                continue
            if trial.number not in self._index_of:
                try:
                    parameters = self._sampler._parameters(trial)
                except GenotypeError:
                    continue  # some of its parameters are missing, and may stay so
                self._index_of[trial.number] = self._client.attach_trial(parameters)
            if trial.state.is_finished():
                self._settle(trial)

    def ask(self, number: int) -> Mapping[str, Any]:
        """Parameters of a trial; the same again if it was asked before."""
        if number not in self._index_of:
            [(index, parameters)] = self._client.get_next_trials(max_trials=1).items()
            self._index_of[number] = index
            self._asked[number] = parameters
        return self._asked[number]

    def _settle(self, trial: FrozenTrial) -> None:
        index = self._index_of[trial.number]
        if trial.state == TrialState.COMPLETE:
            self._client.complete_trial(index, raw_data=self._sampler._outcome(trial))
        elif trial.state == TrialState.PRUNED:
            self._client.mark_trial_abandoned(index)
        else:
            self._client.mark_trial_failed(index)
        self._settled.add(trial.number)
