"""What samplers share whose draws follow from the seed, the trial's number and a name alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from nasrec_opt.samplers._draw import check_seed, draw, stream


class StreamSampler(BaseSampler):
    """Draws uniformly what it is asked one by one, and has no random state to lose.

    Args:
        seed: Of all draws; nothing for one that differs every time.

    Raises:
        StudyError: The seed is negative, or no integer.
    """

    def __init__(self, seed: int | None) -> None:
        check_seed(seed)
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A uniform draw, for parameters that were not proposed together."""
        return draw(param_distribution, stream(self._seed, trial.number, param_name))

    def reseed_rng(self) -> None:
        """Nothing to do: streams differ by trial number, in whatever thread or process."""
