"""What samplers share whose draws follow from the seed, the trial's number and a name alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from nasrec_opt.samplers._draw import check_seed, draw, stream
from nasrec_opt.samplers._values import is_plain, spellings

PROPOSAL = "nasrec:proposal"  # system attribute: all parameters that a running trial will have


class StreamSampler(BaseSampler):
    """Draws uniformly what it is asked one by one, and has no random state to lose.

    Samplers that propose all parameters of a trial together hand them out with `hand_out`.

    Args:
        seed: Seed of all draws; None for one that differs every time.

    Raises:
        StudyError: The seed is negative, or no integer.
    """

    def __init__(self, seed: int | None) -> None:
        drawn = np.random.SeedSequence().generate_state(1)[0] if seed is None else seed
        self._seed = check_seed(drawn)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """What `known_at_once` left of the trial's proposal, or else a uniform draw."""
        if not is_plain(param_distribution):
            proposed = trial.system_attrs.get(PROPOSAL, {})
            if param_name in proposed:
                for value in spellings(param_distribution, proposed[param_name]):
                    return value
        return draw(param_distribution, stream(self._seed, trial.number, param_name))

    def reseed_rng(self) -> None:
        """Nothing to do: streams differ by trial number, in whatever thread or process."""


def hand_out(
    study: Study,
    trial: FrozenTrial,
    params: dict[str, Any],
    search_space: Mapping[str, BaseDistribution],
) -> dict[str, Any]:
    """Write down what is proposed to a trial; returns what `sample_relative` may answer with."""
    # Parameters reach the storage one by one, while other workers look for what is taken.
    study._storage.set_trial_system_attr(trial._trial_id, PROPOSAL, params)
    return known_at_once(params, search_space)


def known_at_once(
    params: dict[str, Any], search_space: Mapping[str, BaseDistribution]
) -> dict[str, Any]:
    """Parameters of a proposal without choices that storages change.

    A tuple comes back as a list, which Optuna takes for another choice and an error. These wait
    until the trial asks for them, and says which choices it has.
    """
    return {name: value for name, value in params.items() if is_plain(search_space[name])}
