"""Samplers by name, as a study file names them."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable
from typing import Any

import optuna
from optuna.samplers import (
    BaseSampler,
    GPSampler,
    NSGAIIISampler,
    NSGAIISampler,
    TPESampler,
)

from nasrec_opt.errors import StudyError
from nasrec_opt.samplers._evolution import RegularizedEvolutionSampler
from nasrec_opt.samplers._seeded import PerTrialSeededSampler, SeededRandomSampler
from nasrec_opt.space import SearchSpace

_OF_OPTUNA: dict[str, Callable[..., BaseSampler]] = {
    "nsga2": NSGAIISampler,
    "nsga3": NSGAIIISampler,
    "tpe": TPESampler,
    "gp": GPSampler,
}
SAMPLERS = ("evolution", *_OF_OPTUNA, "random")


def make_sampler(name: str, space: SearchSpace | None, *, seed: int, **options: Any) -> BaseSampler:
    """Create a sampler by its name; each of them continues a stopped study exactly.

    Args:
        name: `evolution`, `random`, or one of Optuna's: `nsga2`, `nsga3`, `tpe` or `gp`.
        space: Space whose genotypes the trials ask for; Optuna's samplers learn it from the trials.
        seed: Seed of all draws.
        options: Arguments of the sampler, for example `population_size`.

    Returns:
        The sampler.

    Raises:
        StudyError: No sampler has that name, or it has no such option.

    Example:
        >>> from nasrec_opt import SearchSpace
        >>> sampler = make_sampler("nsga2", SearchSpace.nasrec_small(), seed=0, population_size=64)
    """
    if name not in SAMPLERS:
        near = difflib.get_close_matches(name, SAMPLERS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise StudyError(f"sampler: expected one of {', '.join(SAMPLERS)}, got {name!r}{hint}")
    try:
        if name == "evolution":
            return RegularizedEvolutionSampler(space, seed=seed, **options)
        if name == "random":
            return SeededRandomSampler(seed, **options)
        grouped = bool(options.get("group"))
        return PerTrialSeededSampler(_maker(name, options), seed, infer_per_trial=grouped)
    except (TypeError, ValueError) as error:
        raise StudyError(f"sampler {name}: {error}") from error


def _maker(name: str, options: dict[str, Any]) -> Callable[[int], BaseSampler]:
    def make(seed: int) -> BaseSampler:
        with warnings.catch_warnings():  # NSGA-III is marked experimental, which users of it know
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return _OF_OPTUNA[name](seed=seed, **options)

    return make
