"""The base of samplers whose draws follow from the seed, the trial's number and a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from nasrec_opt._foreign.optuna import add_note, note_of
from nasrec_opt.samplers._draw import check_seed, draw, stream
from nasrec_opt.samplers._values import is_plain, spellings

PROPOSAL = "nasrec:proposal"  # system attribute: all parameters that a running trial will have


class StreamSampler(BaseSampler):
    """Draws single parameters uniformly, and has no random state that could be lost.

    Samplers that propose all parameters of a trial together return them through `hand_out`.

    Args:
        seed: Seed of all draws; None for one that differs every time.

    Raises:
        StudyError: The seed is negative, or not an integer.
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
        """A parameter of the proposal that `known_at_once` left out, or a uniform draw."""
        if not is_plain(param_distribution):
            proposed = note_of(study, trial, PROPOSAL) or {}
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
    """Store what is proposed to a trial; returns what `sample_relative` may return of it."""
    # Parameters reach the storage one by one, while other workers check what is taken.
    add_note(study, trial, PROPOSAL, params)
    return known_at_once(params, search_space)


def known_at_once(
    params: dict[str, Any], search_space: Mapping[str, BaseDistribution]
) -> dict[str, Any]:
    """Parameters of a proposal without choices that storages change.

    A storage returns a tuple as a list, which Optuna would refuse as an unknown choice. Such
    parameters wait until the trial asks for them and states its choices.
    """
    return {name: value for name, value in params.items() if is_plain(search_space[name])}
