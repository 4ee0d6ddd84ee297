"""Makes any Optuna sampler resumable: its randomness depends on the study and trial only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseGASampler, BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nasrec_opt._foreign.optuna import identity
from nasrec_opt.samplers._draw import check_seed, stream
from nasrec_opt.samplers._streams import StreamSampler


class PerTrialSeededSampler(BaseSampler):
    """Wraps an Optuna sampler so that a stopped study continues exactly.

    A fresh sampler is made for every trial, seeded from `(seed, trial number)`. Optuna's samplers
    keep their random state in the object, so a stopped study continues differently unless the
    object is pickled. Here the random stream of a trial follows from its number, and that of a
    parameter that is sampled independently follows from the number and its name. So parameters that
    a resumed trial had already stored do not change the others.

    Args:
        make: Builds the sampler from a seed, for example `lambda seed: TPESampler(seed=seed)`.
        seed: Seed of all draws.
        infer_per_trial: Whether the sampler made for a trial infers the search space. Otherwise one
            permanent sampler does, which reads every trial once. Samplers that remember the space
            between two calls, such as TPE with `group=True`, need `infer_per_trial`.
    """

    def __init__(
        self, make: Callable[[int], BaseSampler], seed: int, *, infer_per_trial: bool = False
    ) -> None:
        self._make = make
        self._seed = check_seed(seed)
        self._infer_per_trial = infer_per_trial
        self._lasting = make(self._seed_of(0, "search space"))
        self._of_trial: dict[tuple[object, int, int], BaseSampler] = {}

    def __str__(self) -> str:
        return f"{type(self).__name__}({self._lasting})"

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The search space of the sampler, without choices that its crossover does not support."""
        sampler = self._sampler(study, trial) if self._infer_per_trial else self._lasting
        space = sampler.infer_relative_search_space(study, trial)
        if not isinstance(sampler, BaseGASampler):
            return space
        # Optuna's crossover makes an array of the parents' choices, and lists become dimensions.
        return {name: found for name, found in space.items() if not _has_lists(found)}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The proposal of the trial's own sampler."""
        self._settle_parents(study, trial)
        return self._sampler(study, trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The value from a sampler made for this trial and parameter."""
        sampler = self._make(self._seed_of(trial.number, param_name))
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Passed on."""
        self._sampler(study, trial).before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Passed on to the trial's sampler, which is then dropped."""
        self._sampler(study, trial).after_trial(study, trial, state, values)
        self._of_trial.pop(_key(study, trial), None)

    def reseed_rng(self) -> None:
        """Nothing to do: streams differ by trial number, in whatever thread or process."""

    def _settle_parents(self, study: Study, trial: FrozenTrial) -> None:
        """Let a genetic sampler store its parents before it draws from them.

        Otherwise the trial that chooses the parents would see them in another order, and at another
        place of its random stream, than the same trial after a resume, when they are stored.
        """
        if isinstance(self._lasting, BaseGASampler):
            generation = self._lasting.get_trial_generation(study, trial)
            finder = self._make(self._seed_of(generation, "parents"))
            if isinstance(finder, BaseGASampler):
                finder.get_parent_population(study, generation)

    def _sampler(self, study: Study, trial: FrozenTrial) -> BaseSampler:
        key = _key(study, trial)
        if key not in self._of_trial:
            self._of_trial[key] = self._make(self._seed_of(trial.number, ""))
        return self._of_trial[key]

    def _seed_of(self, number: int, name: str) -> int:
        return int(stream(self._seed, number, name).integers(np.iinfo(np.int32).max))


def _key(study: Study, trial: FrozenTrial) -> tuple[object, int, int]:
    """A trial among those of all studies that share the sampler."""
    return *identity(study), trial.number


def _has_lists(distribution: BaseDistribution) -> bool:
    return isinstance(distribution, CategoricalDistribution) and any(
        isinstance(choice, list | tuple) for choice in distribution.choices
    )


class SeededRandomSampler(StreamSampler):
    """Draws uniformly, from the seed, the trial's number and the parameter's name alone.

    Args:
        seed: Seed of all draws.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Nothing: every parameter is drawn on its own."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing: every parameter is drawn on its own."""
        return {}
