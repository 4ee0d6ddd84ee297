"""What `study.optimize` takes: a trial becomes a genotype, the genotype its metrics.

Log loss comes from an oracle, cost from an accelerator.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from functools import partial
from numbers import Real
from typing import Any, Literal, NoReturn, TypeAlias

import optuna
from optuna import Study, TrialPruned
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import BaseTrial

from hw import CostModel, DescriptionError
from nasrec_opt._foreign.optuna_rdb import shared_storage
from nasrec_opt._metrics import COST_METRICS, METRICS, SHAPE_METRICS
from nasrec_opt.distributed import Executor
from nasrec_opt.errors import GenotypeError, StudyError, TrialError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.objective._answers import (
    AnyOracle,
    as_oracle,
    check_parts,
    evaluation_of,
    name_of,
)
from nasrec_opt.objective._failures import FAILED, Failures, blamed, one_line
from nasrec_opt.objective._metrics import (
    DEFAULT_WITH_ACCELERATOR,
    Answer,
    Figures,
    figures_of,
)
from nasrec_opt.objective._rivals import rivals_of
from nasrec_opt.objective._study import describe_study, note_models
from nasrec_opt.objective._trial import ToTrial, set_constraint, timed
from nasrec_opt.oracle import Evaluation, Report, architecture
from nasrec_opt.space import Genotype, SearchSpace

ACCELERATOR = "accelerator"  # the constraint of genotypes whose accelerator cannot be built

Values: TypeAlias = float | tuple[float, ...]

logger = logging.getLogger(__name__)


class Objective:
    """Scores Optuna trials; all metrics are minimised.

    A trial gets the user attributes `genotype` (JSON) and `seconds` (of `oracle` and `cost`); `auc`
    if the oracle computes it; `mflops`, `mflops_paper` and `parameters` if the input is known;
    `area_mm2` and `breakdown` (latency and energy by operator) with an accelerator; and all metrics
    that are not objectives. A genotype that was scored before is answered from memory.

    With an oracle that races (`OracleOptions(rows=Racing())`), a trial sees as many rows as show
    that it is worse than the trials before it: see `Racing`. It gets the attributes `log_loss_se`,
    the standard error of its log loss as an estimate of that on all rows, and `num_rows`, the rows
    seen.

    If log loss is the only objective, intermediate log losses that the oracle reports go to the
    trial, and the study's pruner may end it. A pruned trial has the attributes of its last log
    loss. Optuna only prunes studies with one objective.

    A genotype that the accelerator refuses (`hw.DescriptionError`), such as converters that cannot
    read one cell, is infeasible, which is not an error. The trial is pruned before the oracle is
    asked, its attribute `infeasible` states the reason, and it violates the constraint
    `accelerator`. Samplers learn to avoid such genotypes, and never use them as parents.

    Any other problem fails only that trial: an error of the oracle or the cost model, an answer
    that is not a finite number, an enqueued trial outside the space. Its values are NaN, which
    Optuna records as failed; its attribute `failed` states the reason, and a warning is logged. If
    all trials fail, the study ends: see `StudyError` of `__call__`.

    Args:
        space: The space that is searched.
        oracle: Scores genotypes: an `Oracle`, or a function from a genotype to an `Evaluation` or a
            log loss, which is wrapped in a `FunctionOracle` with its defaults.
        accelerator: Cost model; accelerator genes configure it. None means no costs.
        features: Shape of the input, or None for the oracle's.
        objectives: Metrics out of `METRICS`, in order. None means log loss, and with an accelerator
            also latency and energy.
        constraints: Largest value allowed, by metric; a trial above it is infeasible.

    Raises:
        StudyError: A metric is unknown, repeated, or cannot be computed with these arguments; or
            the oracle is neither an `Oracle` nor a function; or it races and log loss is no
            objective; or the accelerator is not a cost model.

    Example:
        >>> from hw import ReRAM
        >>> from nasrec_opt import OracleOptions, SupernetOracle
        >>> options = OracleOptions(rows=500)
        >>> oracle = SupernetOracle.load("runs/quickstart/supernet", options=options)
        >>> space = oracle.supernet.space
        >>> objective = Objective(space, oracle, ReRAM(), constraints={"area_mm2": 30.0})
        >>> objective.metric_names
        ('log_loss', 'latency_us', 'energy_uj')
        >>> study = objective.create_study()
        >>> study.optimize(objective, n_trials=8)
    """

    def __init__(
        self,
        space: SearchSpace,
        oracle: AnyOracle,
        accelerator: CostModel | None = None,
        *,
        features: FeatureSpec | None = None,
        objectives: Sequence[str] | None = None,
        constraints: Mapping[str, float] | None = None,
    ) -> None:
        if objectives is None:
            objectives = ("log_loss",) if accelerator is None else DEFAULT_WITH_ACCELERATOR
        if isinstance(objectives, str):
            raise StudyError(f"objectives: expected a list of metrics, got {objectives!r}")
        check_parts(space, accelerator)
        self.space = space
        self.oracle = as_oracle(oracle)
        self.accelerator = accelerator
        self.features = features or self.oracle.features
        self.balance = self.oracle.balance
        self.metric_names = tuple(objectives)
        self.constraints = dict(constraints or {})
        self._check()
        self._rivals = rivals_of(self.oracle, self.metric_names, self.constraints)
        self._is_prunable = self.metric_names == ("log_loss",)
        self._evaluations: dict[Hashable, Evaluation] = {}
        self._known_figures: dict[Genotype, Figures] = {}
        self._failures = Failures()

    @property
    def models(self) -> dict[str, Any]:
        """What it takes to build the model of a trial again beside its genotype, as JSON values."""
        return {
            "features": self.features.to_dict() if self.features else None,
            "data_fingerprint": self.oracle.data_fingerprint,
            "balance": self.balance,
            "max_table_rows": self.oracle.max_table_rows,
            "scored_bits": self.oracle.scored_bits,
        }

    @property
    def directions(self) -> tuple[Literal["minimize"], ...]:
        """`minimize` for each objective, as `optuna.create_study` takes it."""
        return tuple("minimize" for _ in self.metric_names)

    def create_study(
        self,
        *,
        study_name: str | None = None,
        storage: str | BaseStorage | None = None,
        sampler: BaseSampler | None = None,
        pruner: BasePruner | None = None,
        load_if_exists: bool | None = None,
    ) -> Study:
        """Create the Optuna study of this objective, or load it where it is there already.

        The study has the objective's directions and metric names. It notes the search space, and
        what it takes to build its models again, for MLflow. The URL of a SQLite file is opened as a
        `SQLiteStorage`, which several workers can share.

        Args:
            study_name: Name of the study in the storage, or None for a new one.
            storage: Database URL, or any storage of Optuna's; None keeps the study in memory.
            sampler: Proposes trials; None for Optuna's default.
            pruner: Stops trials on the way; None for Optuna's default.
            load_if_exists: Whether a study of that name is loaded rather than refused; None means
                that it is, where a name is given.

        Returns:
            The study.

        Raises:
            StudyError: The study that is loaded belongs to another search space, has other
                objectives or models, or has trials that are not of this library.
            DuplicatedStudyError: There is one of that name, and `load_if_exists` is false.

        Example:
            >>> from nasrec_opt import SearchSpace
            >>> objective = Objective(SearchSpace.nasrec_small(2), lambda genotype: 0.5)
            >>> study = objective.create_study(study_name="mine", storage="sqlite:///mine.db")
            >>> study.metric_names
            ['log_loss']
        """
        study = optuna.create_study(
            study_name=study_name,
            storage=shared_storage(storage),
            sampler=sampler,
            pruner=pruner,
            directions=list(self.directions),
            load_if_exists=study_name is not None if load_if_exists is None else load_if_exists,
        )
        describe_study(study, self.space, self.metric_names)
        note_models(study, self.models)
        return study

    def __call__(self, trial: BaseTrial) -> Values:
        """Score a trial.

        Args:
            trial: Asked for a genotype of the space; gets its metrics as user attributes.

        Returns:
            The value of the only objective, or the values in the order of `metric_names`; NaN for
            each where the trial fails.

        Raises:
            TrialPruned: The study's pruner ends it, or the accelerator refuses the genotype.
            StudyError: The first 16 trials all failed, or later on 128 one after another; or the
                sampler or the study belongs to another search space.
        """
        return self._ended(trial, lambda: self._score_here(trial))

    def submit(self, trial: BaseTrial, executor: Executor, lag: int = 1) -> Callable[[], Values]:
        """Begin to score a trial in another process.

        Args:
            trial: Asked for a genotype of the space now; gets its metrics in the end.
            executor: Calls `answer` of this objective with its tasks: tuples of its arguments.
            lag: The trials up to the number of this one less `lag` have their results, as
                `search` has it; only a race reads them.

        Returns:
            What waits for the answer, and then returns and raises what calling the objective does.
            The study's pruner is asked after the evaluation, not during it.
        """
        try:
            genotype = self.space.suggest(trial)
        except GenotypeError as error:
            return partial(self._ended, trial, partial(_raised, error))
        below = self._below(trial, genotype, lag)
        is_known = self._known(genotype, below) is not None
        answer = None if is_known else executor.submit((genotype, below))
        return partial(self._ended, trial, lambda: self._score(trial, genotype, below, answer))

    def answer(self, genotype: Genotype, below: float = math.inf) -> Answer:
        """Find out all that a trial of a genotype needs to know.

        Args:
            genotype: A genotype of the space.
            below: What its log loss has to be below for more rows to count, where the oracle races.

        Returns:
            The figures, the oracle's answer, and how long both took.

        Raises:
            DescriptionError: The accelerator refuses the genotype.
            TrialError: The oracle or the accelerator fails, or does not return a finite number.
        """
        seconds: dict[str, float] = {}
        with timed(seconds, "cost"):
            figures = self._figures(genotype)
        with timed(seconds, "oracle"):
            evaluation = self._evaluate(genotype, below)
        return Answer(figures, evaluation, seconds)

    def _ended(self, trial: BaseTrial, score: Callable[[], tuple[float, ...]]) -> Values:
        """Score a trial; what fails it alone makes its values NaN."""
        try:
            values = score()
        except TrialPruned:
            self._failures.succeeded()
            raise
        except GenotypeError as error:  # enqueued; their number is limited
            self._fail(trial, error)
            values = (math.nan,) * len(self.metric_names)
        except TrialError as error:
            self._failures.failed(self._fail(trial, error))
            values = (math.nan,) * len(self.metric_names)
        else:
            self._failures.succeeded()
        return values[0] if len(values) == 1 else values

    def _fail(self, trial: BaseTrial, error: Exception) -> str:
        """Store and log why a trial fails."""
        reason = one_line(str(error))
        trial.set_user_attr(FAILED, reason)
        logger.warning("trial %d failed: %s", trial.number, reason)
        logger.debug("trial %d failed", trial.number, exc_info=error)
        return reason

    def _score_here(self, trial: BaseTrial) -> tuple[float, ...]:
        genotype = self.space.suggest(trial)
        return self._score(trial, genotype, self._below(trial, genotype, 1))

    def _below(self, trial: BaseTrial, genotype: Genotype, lag: int) -> float:
        """What the log loss has to be below for more rows to count, where the oracle races."""
        if self._rivals is None:
            return math.inf
        try:
            metrics = self._figures(genotype).metrics
        except (DescriptionError, TrialError):
            return math.inf  # whoever scores the trial ends it
        return self._rivals.level_to_beat(trial, lag, metrics)

    def _score(
        self,
        trial: BaseTrial,
        genotype: Genotype,
        below: float,
        answer: Future[Answer] | None = None,
    ) -> tuple[float, ...]:
        """Score a trial here, or with the answer of another process."""
        seconds: dict[str, float] = {}
        try:
            with timed(seconds, "cost"):
                figures = self._feasible_figures(trial, genotype, answer)
            on_the_way = ToTrial(trial) if self._is_prunable else None
            try:
                with timed(seconds, "oracle"):
                    evaluation = self._evaluate(genotype, below, on_the_way)
            except TrialPruned:
                last = on_the_way.log_loss if on_the_way else None
                if last is not None and math.isfinite(last):
                    self._write(trial, genotype, Evaluation(last), figures, seconds, answer)
                raise
        except TrialError:
            trial.set_user_attr("genotype", genotype.to_json())
            raise
        metrics = self._write(trial, genotype, evaluation, figures, seconds, answer)
        return tuple(metrics[name] for name in self.metric_names)

    def _feasible_figures(
        self, trial: BaseTrial, genotype: Genotype, answer: Future[Answer] | None
    ) -> Figures:
        """The figures of a genotype; if the accelerator refuses it, the trial is pruned."""
        try:
            if answer is not None:
                self._remember(genotype, answer)
            return self._figures(genotype)
        except DescriptionError as error:
            trial.set_user_attr("genotype", genotype.to_json())
            trial.set_user_attr("infeasible", str(error))
            # Without values a trial must be pruned; the constraint tells samplers which side of a
            # study it belongs to (TPE cannot rank pruned trials of several objectives).
            set_constraint(trial, ACCELERATOR, 1.0)
            raise TrialPruned(str(error)) from error

    def _write(
        self,
        trial: BaseTrial,
        genotype: Genotype,
        evaluation: Evaluation,
        figures: Figures,
        seconds: dict[str, float],
        answer: Future[Answer] | None,
    ) -> dict[str, float]:
        """Store a trial's attributes and constraints; returns its metrics."""
        metrics = {"log_loss": evaluation.log_loss, **figures.metrics}
        attributes: dict[str, Any] = {"genotype": genotype.to_json()}
        if evaluation.auc is not None:
            attributes["auc"] = evaluation.auc
        always = (*SHAPE_METRICS, "area_mm2")
        for name, value in metrics.items():
            if name in always or name not in self.metric_names:
                attributes[name] = value
        if self._rivals is not None:
            attributes |= self._rivals.attributes(evaluation)
        if evaluation.difference is not None:
            attributes["difference"] = asdict(evaluation.difference)
        if figures.breakdown is not None:
            attributes["breakdown"] = figures.breakdown
        taken = seconds if answer is None else answer.result().seconds
        attributes["seconds"] = {name: taken[name] for name in ("oracle", "cost")}
        # Each attribute is a transaction of the storage: only what cannot be derived is set.
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
        for name, largest in self.constraints.items():
            set_constraint(trial, name, metrics[name] - largest)
        return metrics

    def metrics(self, genotype: Genotype) -> dict[str, float]:
        """Compute all metrics of a genotype that can be computed.

        Args:
            genotype: A genotype of the space.

        Returns:
            Values by name (`METRICS`), the unit in the name.

        Raises:
            DescriptionError: The accelerator refuses the genotype.
            TrialError: The oracle or the accelerator fails, or does not return a finite number.
        """
        figures = self._figures(genotype)
        return {"log_loss": self._evaluate(genotype).log_loss, **figures.metrics}

    def _known(self, genotype: Genotype, below: float) -> Evaluation | None:
        """The answer that is remembered, if it is the one to this question."""
        known = self._evaluations.get(self._key(genotype))
        if known is None or self._rivals is None:
            return known
        return self._rivals.settled(known, below)

    def _evaluate(
        self, genotype: Genotype, below: float = math.inf, report: Report | None = None
    ) -> Evaluation:
        known = self._known(genotype, below)
        what = f"oracle {name_of(self.oracle)}"
        with blamed(what):
            if known is not None:
                if report:
                    for step, value in known.intermediate:
                        report(step, value)
                return known
            if self._rivals is None:
                found = self.oracle.evaluate(genotype, report=report)
            else:
                found = self._rivals.race(genotype, below)
            evaluation = evaluation_of(found, what)
        self._evaluations[self._key(genotype)] = evaluation
        return evaluation

    def _remember(self, genotype: Genotype, answer: Future[Answer]) -> None:
        """Wait for the answer of another process, and keep it as one of this process.

        Raises:
            DescriptionError: The accelerator refuses the genotype.
            TrialError: The trial fails.
        """
        with blamed("worker", DescriptionError):
            found = answer.result()
        self._known_figures[genotype.canonical()] = found.figures
        self._evaluations[self._key(genotype)] = found.evaluation

    def _key(self, genotype: Genotype) -> Hashable:
        """What genotypes with the same evaluation share."""
        canonical = self.oracle.reads_accelerator
        return genotype.canonical() if canonical else architecture(genotype)

    def _figures(self, genotype: Genotype) -> Figures:
        key = genotype.canonical()
        if key not in self._known_figures:
            self._known_figures[key] = figures_of(
                genotype, self.features, self.accelerator, balance=self.balance
            )
        return self._known_figures[key]

    def _check(self) -> None:
        asked = [("objectives", name) for name in self.metric_names]
        for where, name in (*asked, *(("constraints", name) for name in self.constraints)):
            if name not in METRICS:
                raise StudyError(f"{where}: expected metrics of {', '.join(METRICS)}, got {name!r}")
            if name in COST_METRICS and self.accelerator is None:
                raise StudyError(f"{where}: {name} needs an accelerator, got none")
            if name != "log_loss" and self.features is None:
                raise StudyError(
                    f"{where}: {name} needs the shape of the input: expected features, or an "
                    "oracle that has them, got neither"
                )
        if not self.metric_names or len(set(self.metric_names)) < len(self.metric_names):
            raise StudyError(f"objectives: expected distinct metrics, got {self.metric_names}")
        for name, largest in self.constraints.items():
            if not isinstance(largest, Real) or math.isnan(largest):
                raise StudyError(f"constraints: {name}: expected a number, got {largest!r}")


def _raised(error: Exception) -> NoReturn:
    raise error
