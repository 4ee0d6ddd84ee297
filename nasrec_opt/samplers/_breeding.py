"""How a proposal comes to be: from a search space's genes, or from any flat set of parameters."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from nasrec_opt.errors import GenotypeError
from nasrec_opt.samplers._draw import draw
from nasrec_opt.space import Genotype, SearchSpace

Distributions = dict[str, BaseDistribution]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Parameters to try, and what they share with every other spelling of the same model."""

    params: dict[str, Any]
    identity: Hashable


class Breeder(Protocol):
    """Makes proposals, at random or from a parent."""

    def identify(self, params: Mapping[str, Any]) -> Hashable: ...

    def distributions(self, parent: FrozenTrial | None) -> Distributions: ...

    def random(self, space: Distributions, rng: np.random.Generator) -> Proposal: ...

    def mutate(
        self, parent: FrozenTrial, space: Distributions, rng: np.random.Generator, count: int
    ) -> Proposal: ...


class GenotypeBreeder:
    """Proposals are genotypes of a space; two are the same when they build the same model."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._distributions: Distributions = dict(space.distributions())

    def identify(self, params: Mapping[str, Any]) -> Hashable:
        """Canonical form of the genotype, or nothing where the parameters are not one."""
        try:
            return self._space.decode(params).canonical()
        except GenotypeError:
            return None

    def distributions(self, parent: FrozenTrial | None) -> Distributions:
        """All parameters that the space may ask; a proposal has only its active ones."""
        return self._distributions

    def random(self, space: Distributions, rng: np.random.Generator) -> Proposal:
        """Every active gene drawn uniformly."""
        return self._proposal(self._space.sample(rng), space)

    def mutate(
        self, parent: FrozenTrial, space: Distributions, rng: np.random.Generator, count: int
    ) -> Proposal:
        """So many mutations of section 4.4."""
        child = self._space.decode(parent.params)
        for _ in range(count):
            child = self._space.mutate(child, rng)
        return self._proposal(child, space)

    def _proposal(self, genotype: Genotype, space: Distributions) -> Proposal:
        params = self._space.encode(genotype)
        kept = {name: value for name, value in params.items() if name in space}
        return Proposal(kept, genotype.canonical())


class FlatBreeder:
    """Proposals are parameters without a meaning; a mutation draws one of them anew."""

    def identify(self, params: Mapping[str, Any]) -> Hashable:
        """Names and values, or nothing where there are none yet."""
        return tuple(sorted(params.items())) if params else None

    def distributions(self, parent: FrozenTrial | None) -> Distributions:
        """Those of the parent; a first trial has none, and draws each parameter when asked."""
        return {} if parent is None else dict(parent.distributions)

    def random(self, space: Distributions, rng: np.random.Generator) -> Proposal:
        """Every parameter drawn from its distribution."""
        params = {name: draw(distribution, rng) for name, distribution in space.items()}
        return Proposal(params, self.identify(params))

    def mutate(
        self, parent: FrozenTrial, space: Distributions, rng: np.random.Generator, count: int
    ) -> Proposal:
        """So many times, one parameter that has more than one value is drawn until it differs."""
        params = {
            name: parent.params[name]
            if _has(parent, name, distribution)
            else draw(distribution, rng)
            for name, distribution in space.items()
        }
        names = [name for name, distribution in space.items() if not distribution.single()]
        for _ in range(count if names else 0):
            name = names[rng.integers(len(names))]
            before = params[name]
            while params[name] == before:
                params[name] = draw(space[name], rng)
        return Proposal(params, self.identify(params))


def _has(parent: FrozenTrial, name: str, distribution: BaseDistribution) -> bool:
    if name not in parent.params or type(parent.distributions[name]) is not type(distribution):
        return False
    try:
        return distribution._contains(distribution.to_internal_repr(parent.params[name]))
    except ValueError:  # a categorical without that choice
        return False
