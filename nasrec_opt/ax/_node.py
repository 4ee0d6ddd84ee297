"""Our generation strategy for Ax: evolution proposes a pool, a Gaussian process picks from it.

Candidates come in rounds: those of trials `r * batch_size` to `(r + 1) * batch_size - 1` are chosen
together, from the values of the trials before them. No state is kept besides the experiment, and a
round draws from `(seed, number of its first trial)`. So an experiment that was saved and loaded in
the middle of a round continues as if it had not been.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ax.core.arm import Arm
from ax.core.data import Data
from ax.core.experiment import Experiment
from ax.generation_strategy.external_generation_node import ExternalGenerationNode
from ax.generation_strategy.generation_strategy import GenerationStrategy

from nasrec_opt.ax._goals import Goals
from nasrec_opt.ax._parameters import Encoding, genotype_of, parameters_of
from nasrec_opt.bayes import propose_pool, select_batch
from nasrec_opt.errors import StudyError
from nasrec_opt.options import PoolBayesConfig
from nasrec_opt.options._sizes import check_counts, pool_sizes
from nasrec_opt.samplers._draw import check_seed
from nasrec_opt.space import Genotype, GenotypeEmbedding, SearchSpace

NAME = "pool_bayes"
_ATTEMPTS = 64  # random genotypes that are drawn before a repeated one is accepted


class PoolNode(ExternalGenerationNode):
    """Breeds mutants of the best trials, and proposes those that together promise most.

    The promise is the noisy expected hypervolume improvement, by BoTorch's Gaussian process over an
    embedding of the genotypes; see `nasrec_opt.bayes`. Objectives and constraints are those of the
    experiment.

    Args:
        space: What is searched.
        encoding: How genotypes become parameters; that of the experiment's search space.
        seed: Seed of all draws.
        batch_size: Trials of a round; None for 8, or the whole of a smaller pool.
        num_startup: Trials that must have values before a round learns from them; until then
            genotypes are random.
        pool_size: Genotypes that a round chooses from; None for 256, or the batch's size where
            that is larger.

    Raises:
        StudyError: A number is not positive, the batch is larger than the pool, or the seed is
            negative.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        encoding: Encoding = "tree",
        seed: int = 0,
        batch_size: int | None = PoolBayesConfig.batch_size,
        num_startup: int = PoolBayesConfig.num_startup,
        pool_size: int | None = PoolBayesConfig.pool_size,
    ) -> None:
        super().__init__(name=NAME, should_deduplicate=False)  # the pool has nothing twice
        self.space = space
        self.encoding = encoding
        self.seed = check_seed(seed)
        (self.num_startup,) = check_counts(num_startup=num_startup)
        self.pool_size, self.batch_size = pool_sizes(pool_size, batch_size)
        self._embedding = GenotypeEmbedding(space)
        self._experiment: Experiment | None = None
        self._data: Data | None = None
        self._genotypes: list[Genotype] = []  # canonical, of the trials by number
        self._round: tuple[int, list[Genotype]] = (-1, [])

    def update_generator_state(self, experiment: Experiment, data: Data) -> None:
        """Read the current state of the experiment; a different experiment resets the node."""
        if experiment is not self._experiment:
            self._genotypes, self._round = [], (-1, [])
        self._experiment, self._data = experiment, data

    def get_next_candidate(self, pending_parameters: list[Any]) -> dict[str, Any]:
        """Parameters of the next trial.

        Args:
            pending_parameters: Parameters of the trials that are being evaluated, and of candidates
                that have no trial yet.

        Returns:
            Ax parameters of the next genotype, by name.

        Raises:
            StudyError: The node is not part of an experiment.
        """
        genotypes = [*self._genotypes_of_trials(), *self._without_trial(pending_parameters)]
        number = len(genotypes)
        first = number - number % self.batch_size
        if self._round[0] != first:
            self._round = (first, self._choose(genotypes[:first]))
        chosen, place = self._round[1], number - first
        taken = set(genotypes)
        genotype = chosen[place] if place < len(chosen) else None
        if genotype is None or genotype in taken:
            genotype = self._random(number, taken)
        return dict(parameters_of(self.space, genotype, self.encoding))

    def _choose(self, genotypes: list[Genotype]) -> list[Genotype]:
        """The genotypes of a round, given those of the trials before it."""
        goals = Goals(self._of_experiment(), self._data)
        observed = [number for number in range(len(genotypes)) if number in goals.values]
        if len(observed) < self.num_startup:
            return []
        losses = goals.losses(observed)
        excess = goals.excess(observed)
        waiting = goals.waiting(len(genotypes))
        rng = np.random.default_rng([self.seed, len(genotypes)])
        pool = propose_pool(
            self.space,
            [genotypes[number] for number in observed],
            losses,
            np.maximum(excess, 0.0).sum(axis=1),
            size=self.pool_size,
            rng=rng,
            taken=set(genotypes),
        )
        embed = self._embedding.embed
        places = select_batch(
            embed(pool),
            embed(genotypes[number] for number in observed),
            losses,
            excess if excess.shape[1] else None,
            batch_size=self.batch_size,
            pending=embed(genotypes[number] for number in waiting) if waiting else None,
            seed=int(rng.integers(np.iinfo(np.int32).max)),
        )
        return [pool[place] for place in places]

    def _random(self, number: int, taken: set[Genotype]) -> Genotype:
        """A genotype that was not evaluated, if a few draws find one."""
        rng = np.random.default_rng([self.seed, number, 1])
        for _ in range(_ATTEMPTS):
            genotype = self.space.sample(rng)
            if genotype.canonical() not in taken:
                break
        return genotype

    def _genotypes_of_trials(self) -> list[Genotype]:
        """Canonical genotypes of all trials, oldest first."""
        trials = self._of_experiment().trials
        for number in range(len(self._genotypes), len(trials)):
            [arm] = trials[number].arms
            self._genotypes.append(self._read(arm.parameters))
        return self._genotypes

    def _without_trial(self, pending: list[Any]) -> list[Genotype]:
        """Canonical genotypes of candidates that were proposed but are not trials yet."""
        signatures = self._of_experiment().arms_by_signature
        return [
            self._read(parameters)
            for parameters in pending
            if Arm(parameters=parameters).signature not in signatures
        ]

    def _read(self, parameters: Any) -> Genotype:
        return genotype_of(self.space, parameters, self.encoding).canonical()

    def _of_experiment(self) -> Experiment:
        if self._experiment is None:
            raise StudyError(f"{NAME}: expected an experiment, got none; generate with a Client")
        return self._experiment


def pool_strategy(node: PoolNode) -> GenerationStrategy:
    """The generation strategy of that node alone."""
    return GenerationStrategy(nodes=[node], name=NAME)


def node_to_dict(node: PoolNode) -> dict[str, Any]:
    """The fields of a node that Ax stores."""
    return {
        "__type": type(node).__name__,
        "space": node.space.to_dict(),
        "encoding": node.encoding,
        "seed": node.seed,
        "batch_size": node.batch_size,
        "num_startup": node.num_startup,
        "pool_size": node.pool_size,
    }


def node_from_dict(values: dict[str, Any]) -> PoolNode:
    """Inverse of `node_to_dict`."""
    given = dict(values)
    if "initial_trials" in given:  # the name in files of older versions
        given["num_startup"] = given.pop("initial_trials")
    return PoolNode(SearchSpace.from_dict(given.pop("space")), **given)
