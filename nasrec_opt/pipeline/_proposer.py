"""The proposer of a search's trials: one of Optuna's samplers or of ours, or Ax."""

from __future__ import annotations

from optuna.samplers import BaseSampler

from nasrec_opt.options import SearchConfig
from nasrec_opt.pipeline._schema import as_json
from nasrec_opt.samplers import make_sampler
from nasrec_opt.space import SearchSpace


def make_proposer(search: SearchConfig, space: SearchSpace, seed: int) -> BaseSampler:
    """The sampler of the study.

    Args:
        search: Names the sampler, with its options.
        space: The space that is searched.
        seed: Seed of all draws.

    Raises:
        MissingExtraError: A package that it needs is not installed.
        StudyError: Its options are wrong.
    """
    if search.engine == "ax":
        from nasrec_opt.ax import AxSampler

        return AxSampler(
            space,
            metric_names=search.objectives,
            constraints=search.constraints,
            strategy=search.ax.strategy,
            seed=seed,
        )
    if search.sampler == "pool_bayes":
        from nasrec_opt.bayes import PoolBayesSampler

        return PoolBayesSampler(space, seed=seed, **as_json(search.pool_bayes))
    options = as_json(search.evolution) if search.sampler == "evolution" else {}
    return make_sampler(search.sampler, space, seed=seed, **options)


def name_of_proposer(search: SearchConfig) -> str:
    """Its name, for people and in the study's name."""
    return f"ax-{search.ax.strategy}" if search.engine == "ax" else search.sampler
