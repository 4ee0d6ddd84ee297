"""Contenders for the best model in a given time: our chains, searches from scratch, hand-made.

A contender works until the clock of its `Race` ends it, and takes down every model that it has
finished. It learns from training and validation rows alone.
"""

from __future__ import annotations

import math
import shutil
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.trial import Trial, TrialState

from nasrec_opt._files import read_json
from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.ladder import early_epochs
from nasrec_opt.pipeline import Run, RunFolder, SilentReporter, run_study
from nasrec_opt.retrain import (
    RetrainConfig,
    RetrainedModel,
    answers_of,
    choose_members,
    epoch_steps,
    log_loss,
    logistic_regression,
    retrain,
    retrain_early,
    train_epochs,
)
from nasrec_opt.space import Genotype
from studies import _handmade
from studies._anytime import Race
from studies._worth_plan import DEFAULT, PAPER, WITHOUT, Plan

Report = Callable[[int, float], None]

ENSEMBLE = "ensemble"  # names a mean of models among the models of a race
POPULATION = 10  # of NSGA-II: with Optuna's 50 it would draw at random for the whole budget


@dataclass(frozen=True)
class Bench:
    """What a contender is given.

    Args:
        run: A run folder in which the log is prepared; it belongs to this contender.
        race: Its clock, and where its models go.
        folder: For its other files.
    """

    run: Run
    race: Race
    folder: Path

    @property
    def seed(self) -> int:
        """Of all draws and trainings."""
        return self.run.config.seed

    @cached_property
    def dataset(self) -> Dataset:
        """The log as our chain reads it."""
        return self.run.dataset()

    @cached_property
    def recipe(self) -> RetrainConfig:
        """How our chain trains a model from scratch."""
        return replace(self.run.config.retrain.model, seed=self.seed)

    def train(
        self,
        genotype: Genotype,
        name: str,
        report: Report | None = None,
        keep: Callable[[RetrainedModel], None] | None = None,
    ) -> float:
        """Train a genotype from scratch.

        Args:
            genotype: The architecture.
            name: Of the model.
            report: Called with (epochs, validation log loss) after every epoch; it may raise.
            keep: Called with the trained model while its folder is there.

        Returns:
            Its validation log loss, infinite where it diverged.
        """
        folder = self.folder / name
        try:
            if report:
                self._train_by_epochs(genotype, folder, report)
            train = [retrain]
            early = early_epochs(epoch_steps(self.dataset, self.recipe))
            if early and not report:  # a model of its own, as our probes are
                train.insert(0, partial(retrain_early, epochs=early))
            for trained in train:
                model = trained(
                    genotype, self.dataset, folder, self.recipe, progress=self.race.check
                )
                self.race.finished(model.validation_log_loss, model.test_log_loss, name)
                if keep:
                    keep(model)
        except StudyError:
            return math.inf
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return model.validation_log_loss

    def _train_by_epochs(self, genotype: Genotype, folder: Path, report: Report) -> None:
        """Train to the end, with a report on the way; `retrain` reads what is there."""
        for epochs in count(1):
            part = train_epochs(
                genotype,
                self.dataset,
                folder,
                self.recipe,
                epochs=epochs,
                progress=self.race.check,
            )
            report(epochs, part.log_loss)
            if part.is_over:
                break


@dataclass(frozen=True)
class Contender:
    """Somebody to compare.

    Args:
        label: For people.
        compete: Works until its time is over, or until it knows no more to do.
        reads: Tables of the default study file that it depends on, those within tables with a dot;
            None for all of a file of its own.
        read_off: The contender whose race has its models as well, so that it has none of its own.
    """

    label: str
    compete: Callable[[Bench], None]
    reads: tuple[str, ...] | None = None
    read_off: str | None = None


def contenders(plan: Plan) -> dict[str, Contender]:
    """All that a plan knows, by name, ours first."""
    labels = {DEFAULT: "ours, by default", PAPER: "the paper's protocol"}
    chains = {
        name: Contender(
            labels.get(name, f"ours, without {name.removeprefix(WITHOUT)}"), follow_chain
        )
        for name in plan.chains
    }
    own = {DEFAULT: chains.pop(DEFAULT)}
    return own | _OTHERS | {PAPER: chains.pop(PAPER)} | chains


def follow_chain(bench: Bench) -> None:
    """`nasrec-opt run`, as far as its models go; its winner, baselines included, is its answer."""
    folder, config = bench.run.folder, bench.run.config
    # Its clock is that of one process.
    config = replace(config, retrain=replace(config.retrain, workers=1))
    run_study(config, folder.path, until="retrain", reporter=_Watch(bench.race, folder))
    won = read_json(folder.results)["winner"]
    bench.race.finished(won["validation_log_loss"], won["test_log_loss"], "final", is_final=True)


class _Watch(SilentReporter):
    """Takes down a run's baselines and models as they come, and ends a run out of time."""

    def __init__(self, race: Race, folder: RunFolder) -> None:
        self._race, self._folder = race, folder
        self._stage = ""
        self._seen: set[Path] = set()
        self._changed = 0  # when what the probes are worth was last read

    def begin(self, stage: str, detail: str = "") -> None:
        self._stage = stage

    def advance(self, done: int, total: int | None) -> None:
        if self._stage in ("probe", "retrain"):
            self._look()
        self._race.check()

    def end(self, sentence: str) -> None:
        if self._stage == "baselines":
            for name, baseline in read_json(self._folder.baselines)["baselines"].items():
                self._race.finished(
                    baseline["validation_log_loss"], baseline["test_log_loss"], name
                )
        if self._stage in ("probe", "retrain"):
            self._look()

    def _look(self) -> None:
        for file in sorted(self._folder.retrained.rglob("result.json")):
            if file not in self._seen:
                self._seen.add(file)
                model = read_json(file)["figures"]
                name = str(file.parent.relative_to(self._folder.retrained))
                self._race.finished(model["validation_log_loss"], model["test_log_loss"], name)
        file = self._folder.probes_of("")
        with suppress(FileNotFoundError):  # no probe is trained yet, or a study has none
            changed = file.stat().st_mtime_ns
            together = None if changed == self._changed else read_json(file).get("ensemble")
            self._changed = changed
            if together:
                self._race.finished(
                    together["validation_log_loss"], together["test_log_loss"], ENSEMBLE
                )


def draw_at_random(bench: Bench) -> None:
    """Random genotypes, each trained from scratch, and averaged as our chain averages."""
    most = bench.run.config.retrain.ensemble
    splits = {name: bench.dataset.split(name) for name in ("validation", "test")}
    logits: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in splits}

    def average(model: RetrainedModel) -> None:
        for weights in model.weights():
            for name in splits:
                logits[name].append(answers_of(weights, bench.dataset, name))
        places = choose_members(logits["validation"], splits["validation"].labels, most)
        if len(places) > 1:
            losses = {
                name: log_loss(np.mean([logits[name][place] for place in places], axis=0), s.labels)
                for name, s in splits.items()
            }
            bench.race.finished(losses["validation"], losses["test"], ENSEMBLE)

    space = bench.run.config.space.build()
    rng = np.random.default_rng([bench.seed, 2])
    for number in count():
        bench.train(space.sample(rng), str(number), keep=average)
        bench.race.check()


def search_from_scratch(
    bench: Bench,
    *,
    sampler: Callable[[int], BaseSampler],
    pruner: Callable[[], BasePruner] | None = None,
) -> None:
    """An Optuna study over the space whose trials are trained from scratch."""
    space = bench.run.config.space.build()

    def train(trial: Trial, report: Report) -> float:
        return bench.train(space.suggest(trial), str(trial.number), report if pruner else None)

    _optimize(bench.race, sampler(bench.seed), pruner() if pruner else NopPruner(), train)


def tune_handmade(bench: Bench, *, families: tuple[str, ...]) -> None:
    """Hand-made models and their hyperparameters, by TPE with Hyperband; the defaults first."""

    def train(trial: Trial, report: Report) -> float:
        options = _handmade.Options.suggest(trial, families)
        try:
            validation, test = _handmade.train(
                options, bench.dataset, bench.seed, progress=bench.race.check, report=report
            )
        except StudyError:
            return math.inf
        bench.race.finished(validation, test, options.family)
        return validation

    _optimize(bench.race, _tpe(bench.seed), HyperbandPruner(), train, first=_usual(families))


def fit_logistic_regression(bench: Bench) -> None:
    """Logistic regression, its penalty chosen on validation rows, as our runs report it."""
    fitted = logistic_regression(bench.dataset, bench.race.check)
    bench.race.finished(fitted.validation_log_loss, fitted.test_log_loss, "logistic regression")


def _optimize(
    race: Race,
    sampler: BaseSampler,
    pruner: BasePruner,
    train: Callable[[Trial, Report], float],
    first: list[dict[str, Any]] | None = None,
) -> None:
    """Ask, train, tell until the time is over."""
    study = optuna.create_study(sampler=sampler, pruner=pruner)
    for parameters in first or ():
        study.enqueue_trial(parameters)
    while True:
        race.check()
        trial = study.ask()
        try:
            value = train(trial, _reporting(trial))
        except optuna.TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
            continue
        if math.isfinite(value):
            study.tell(trial, value)
        else:
            study.tell(trial, state=TrialState.FAIL)


def _reporting(trial: Trial) -> Report:
    """Tells a trial of validation log losses; the resource is how many there have been."""
    numbers = count(1)

    def report(_step: int, value: float) -> None:
        trial.report(value, next(numbers))
        if trial.should_prune():
            raise optuna.TrialPruned

    return report


def _usual(families: tuple[str, ...]) -> list[dict[str, Any]]:
    """The package's hyperparameters, for each family."""
    usual = asdict(_handmade.Options())
    del usual["family"]
    if len(families) == 1:
        return [usual]
    return [usual | {"family": family} for family in families]


def _tpe(seed: int) -> TPESampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, group=True)


def _nsga2(seed: int) -> NSGAIISampler:
    return NSGAIISampler(seed=seed, population_size=POPULATION)


_SCRATCH = ("data", "space", "retrain.model")
_OTHERS = {
    "random": Contender(
        "random, from scratch", draw_at_random, _SCRATCH, read_off="random-averaged"
    ),
    "random-averaged": Contender(
        "random, from scratch, averaged", draw_at_random, (*_SCRATCH, "retrain.ensemble")
    ),
    "tpe-hyperband": Contender(
        "TPE with Hyperband, from scratch",
        partial(search_from_scratch, sampler=_tpe, pruner=HyperbandPruner),
        _SCRATCH,
    ),
    "tpe": Contender("TPE, from scratch", partial(search_from_scratch, sampler=_tpe), _SCRATCH),
    "nsga2": Contender(
        "NSGA-II, from scratch", partial(search_from_scratch, sampler=_nsga2), _SCRATCH
    ),
    "handmade": Contender(
        "hand-made, tuned", partial(tune_handmade, families=tuple(_handmade.FAMILIES)), ()
    ),
    **{
        name: Contender(f"{family}, tuned", partial(tune_handmade, families=(family,)), ())
        for name, family in zip(
            ("deepfm", "wide-deep", "dcn", "xdeepfm", "autoint"), _handmade.FAMILIES, strict=True
        )
    },
    "logistic": Contender("logistic regression", fit_logistic_regression, ()),
}
HANDMADE = tuple(n for n, c in _OTHERS.items() if getattr(c.compete, "func", 0) is tune_handmade)


def load_libraries(name: str, contender: Contender) -> None:
    """Import what a contender needs before its clock runs, and keep Optuna quiet."""
    import sklearn.linear_model  # noqa: F401
    import torch  # noqa: F401

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if contender.reads is None:
        with suppress(ImportError):
            import mlflow  # noqa: F401
    if name in HANDMADE:
        _handmade.load_package()
