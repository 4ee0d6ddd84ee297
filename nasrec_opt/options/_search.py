"""Options of the search: `[search]` of a study file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from nasrec_opt._metrics import METRICS
from nasrec_opt._settings import check_at_least
from nasrec_opt.errors import StudyError
from nasrec_opt.options._bayes import AxConfig, PoolBayesConfig
from nasrec_opt.options._evolution import EvolutionConfig
from nasrec_opt.options._ladder import LadderConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchConfig:
    """The search: `[search]` of a study file.

    Args:
        engine: What proposes trials: `optuna`, one of the samplers; or `ax`, Ax
            (docs/howto/search_with_ax.md).
        sampler: Sampler of `engine = "optuna"`: `evolution`, `pool_bayes`, `nsga2`, `nsga3`, `tpe`,
            `gp` or `random`.
        n_trials: Trials of the finished study; raise it and run again to continue.
        objectives: What is minimised, in order: `log_loss` and the costs `latency_us`, `energy_uj`,
            `area_mm2`, `mflops`, `mflops_paper`, `parameters` (docs/reference/files.md#metrics).
        constraints: Table of largest values, for example `area_mm2 = 1.0`; a trial above one is
            infeasible. A trial whose accelerator cannot be built is also infeasible: it is pruned,
            and its attribute `infeasible` states the reason.
        pruner: `none`, `median` or `hyperband`: what stops trials by their intermediate log losses;
            needs `objectives = ["log_loss"]` and a fidelity that trains. Pruned trials count as
            trials.
        initial: Genotypes to enqueue as the first trials, once each: JSON files beside the study
            file, or `published:criteo-small` for a published model or `like:deepfm` for a hand-made
            one, at the bits of the space if it has one choice of them; each must be in the space
            (docs/reference/genotype.md#the-published-models).
        workers: Processes that evaluate trials, each with one thread. The proposals of several ones
            depend on their number, not on which of them ends first; 1 proposes each trial from all
            the trials before (docs/howto/several_workers.md). Several are fewer if half of the
            memory does not hold them, and one with a GPU. A study that continues keeps what it
            began with. None means as many as there are cores, at most 4, with the proposals of 4 on
            every machine; or 1 with a pruner or below 50,000 training rows.
        evolution: Options of `sampler = "evolution"`.
        pool_bayes: Options of `sampler = "pool_bayes"`.
        ax: Options of `engine = "ax"`.
        ladder: How searched models are trained for a while before some are retrained, or None for
            winners by the search's scores alone.

    Raises:
        StudyError: An option is out of range, or two options contradict each other.
    """

    engine: Literal["optuna", "ax"] = "optuna"
    sampler: Literal["evolution", "pool_bayes", "nsga2", "nsga3", "tpe", "gp", "random"] = (
        "evolution"
    )
    n_trials: int = 256
    objectives: tuple[str, ...] = ("log_loss", "latency_us", "energy_uj")
    constraints: Mapping[str, float] = field(default_factory=dict)
    pruner: Literal["none", "median", "hyperband"] = "none"
    initial: tuple[str, ...] = ()
    workers: int | None = None
    evolution: EvolutionConfig = field(default_factory=EvolutionConfig)
    pool_bayes: PoolBayesConfig = field(default_factory=PoolBayesConfig)
    ax: AxConfig = field(default_factory=AxConfig)
    ladder: LadderConfig | None = None

    def __post_init__(self) -> None:
        check_at_least("n_trials", self.n_trials, 1)
        if self.workers is not None:
            check_at_least("workers", self.workers, 1)
        if self.engine == "ax" and self.sampler != "evolution":
            raise StudyError(
                'sampler: expected none with engine = "ax", which proposes trials itself, got '
                f"{self.sampler!r}"
            )
        for key in ("objectives", "constraints"):
            for name in getattr(self, key):
                if name not in METRICS:
                    known = ", ".join(METRICS)
                    raise StudyError(f"{key}: expected metrics of {known}, got {name!r}")
        for name, largest in self.constraints.items():
            if not math.isfinite(largest):
                raise StudyError(f"constraints: {name}: expected a finite number, got {largest}")
        if len(set(self.objectives)) != len(self.objectives) or not self.objectives:
            raise StudyError(f"objectives: expected distinct metrics, got {self.objectives}")
        if len(set(self.initial)) > self.n_trials:
            raise StudyError(
                f"initial: expected at most as many genotypes as n_trials = {self.n_trials}, got "
                f"{len(set(self.initial))}"
            )
        probes = self.ladder.probes + len(set(self.ladder.known)) if self.ladder else 0
        if probes + len(set(self.initial)) > self.n_trials:
            raise StudyError(
                f"probes: expected at most n_trials = {self.n_trials} genotypes together with "
                f"those of initial, got {probes}"
            )
        if self.pruner != "none" and self.objectives != ("log_loss",):
            raise StudyError(
                "pruner: expected log_loss as the only objective, since trials are pruned by it, "
                f"got {', '.join(self.objectives)}"
            )

        if self.pruner != "none" and (self.workers or 1) > 1:
            raise StudyError(
                "workers: expected 1 with a pruner, which compares a trial on its way with the "
                f"trials before, got {self.workers}"
            )

    def unread(self) -> set[str]:
        """List the options that change no proposal of this study.

        Returns:
            Their names.
        """
        if self.engine == "ax":
            return {"evolution", "pool_bayes", "sampler"}
        return {"evolution", "pool_bayes", "ax"} - {self.sampler}
