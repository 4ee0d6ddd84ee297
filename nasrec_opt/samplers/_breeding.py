"""Making proposals: from the genes of a search space, or from any flat set of parameters."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial

from nasrec_opt.errors import GenotypeError
from nasrec_opt.samplers._draw import draw
from nasrec_opt.samplers._selection import FloatArray
from nasrec_opt.samplers._step import has_choice, other
from nasrec_opt.samplers._values import key_of, spellings
from nasrec_opt.space import Genotype, GenotypeEmbedding, SearchSpace

Distributions = dict[str, BaseDistribution]
_NEAR = 0.5  # share of the mutations of numbers that are steps
_UNASKED = object()  # in place of the value of a parameter that a trial did not ask for


@dataclass(frozen=True, slots=True)
class Proposal:
    """Parameters to try, and an identity that all spellings of the same model share."""

    params: dict[str, Any]
    identity: Hashable


class Breeder(Protocol):
    """Makes proposals, at random or from a parent."""

    def identify(self, params: Mapping[str, Any]) -> Hashable:
        """What all spellings of these parameters share, or None if they are no model."""

    def distributions(self, parents: Sequence[FrozenTrial]) -> Distributions:
        """The parameters to propose, by name, as far as these trials show them."""

    def random(self, space: Distributions, rng: np.random.Generator) -> Proposal:
        """A proposal that owes nothing to any trial."""

    def mutate(
        self, parent: FrozenTrial, space: Distributions, rng: np.random.Generator, count: int
    ) -> Proposal:
        """A child of a trial, after `count` mutations."""

    def points(self, identities: Sequence[Hashable], space: Distributions) -> FloatArray:
        """Models as points for a surrogate, `[models, coordinates]`."""


class GenotypeBreeder:
    """Proposals are genotypes of a space; two are the same when they build the same model."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._distributions: Distributions = dict(space.distributions())
        self._embedding = GenotypeEmbedding(space)

    def identify(self, params: Mapping[str, Any]) -> Hashable:
        """Canonical form of the genotype, or None if the parameters are not a genotype."""
        try:
            return self._space.decode(params).canonical()
        except GenotypeError:
            return None

    def distributions(self, parents: Sequence[FrozenTrial]) -> Distributions:
        """All parameters that the space may ask; a proposal has only its active ones."""
        return self._distributions

    def random(self, space: Distributions, rng: np.random.Generator) -> Proposal:
        """Every active gene drawn uniformly."""
        return self._proposal(self._space.sample(rng), space)

    def mutate(
        self, parent: FrozenTrial, space: Distributions, rng: np.random.Generator, count: int
    ) -> Proposal:
        """Apply a number of the mutations of section 4.4."""
        child = self._space.decode(parent.params)
        for _ in range(count):
            child = self._space.mutate(child, rng)
        return self._proposal(child, space)

    def points(self, identities: Sequence[Hashable], space: Distributions) -> FloatArray:
        """See `GenotypeEmbedding`, `[identities, dimensions]`."""
        return self._embedding.embed(what for what in identities if isinstance(what, Genotype))

    def _proposal(self, genotype: Genotype, space: Distributions) -> Proposal:
        params = self._space.encode(genotype)
        kept = {name: value for name, value in params.items() if name in space}
        return Proposal(kept, genotype.canonical())


class FlatBreeder:
    """Proposals are parameters without a meaning; a mutation changes one of them."""

    def identify(self, params: Mapping[str, Any]) -> Hashable:
        """Names and keys of the values, or None if there are no values yet."""
        return tuple((name, key_of(params[name])) for name in sorted(params, key=str)) or None

    def distributions(self, parents: Sequence[FrozenTrial]) -> Distributions:
        """The parents' distributions; a first trial has none, and draws parameters when asked."""
        return {name: d for parent in parents for name, d in parent.distributions.items()}

    def random(self, space: Distributions, rng: np.random.Generator) -> Proposal:
        """Every parameter drawn from its distribution."""
        params = {name: draw(distribution, rng) for name, distribution in space.items()}
        return Proposal(params, self.identify(params))

    def mutate(
        self, parent: FrozenTrial, space: Distributions, rng: np.random.Generator, count: int
    ) -> Proposal:
        """A number of times, change one parameter that has more than one value.

        In half of the cases a number takes a step from its value. A mutation that always draws a
        new value finds the neighbourhood of the best values, but seldom the best.
        """
        params = {name: _inherited(parent, name, space[name], rng) for name in space}
        names = [name for name, distribution in space.items() if has_choice(distribution)]
        for _ in range(count if names else 0):
            name = names[rng.integers(len(names))]
            is_near = rng.random() < _NEAR
            params[name] = other(space[name], params[name], rng, near=is_near)
        return Proposal(params, self.identify(params))

    def points(self, identities: Sequence[Hashable], space: Distributions) -> FloatArray:
        """Numbers from 0 to 1, a zero or one for each choice, `[identities, dimensions]`.

        A number that was not asked for is in the middle, a choice that was not is all zeros.
        """
        rows: list[dict[str, Hashable]] = [dict(what) for what in identities]  # type: ignore[call-overload]
        columns = [
            _column(d, [row.get(name, _UNASKED) for row in rows]) for name, d in space.items()
        ]
        return np.hstack(columns) if columns else np.zeros((len(rows), 0))


def _column(distribution: BaseDistribution, keys: list[Hashable]) -> FloatArray:
    """The dimensions of one parameter, given the keys of its values, `[keys, dimensions]`."""
    if isinstance(distribution, CategoricalDistribution):
        choices = [key_of(choice) for choice in distribution.choices]
        found = [[key == choice for choice in choices] for key in keys]
        return np.array(found, dtype=np.float64).reshape(len(keys), len(choices))
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    is_asked = np.array([key is not _UNASKED for key in keys], dtype=bool)[:, None]
    low, high = float(distribution.low), float(distribution.high)
    given = np.array([low if key is _UNASKED else key for key in keys], dtype=np.float64)[:, None]
    numbers = np.clip(given, low, high)  # an enqueued value may be outside
    if distribution.log:
        numbers, low, high = np.log(numbers), math.log(low), math.log(high)
    if not math.isfinite(high - low):
        numbers, low, high = numbers / 2, low / 2, high / 2
    places = (numbers - low) / (high - low if high > low else 1.0)
    return np.where(is_asked, places, 0.5)


def _inherited(
    parent: FrozenTrial, name: str, distribution: BaseDistribution, rng: np.random.Generator
) -> Any:
    """The parent's value, or a new one if the distribution no longer has it."""
    if name in parent.params and type(parent.distributions[name]) is type(distribution):
        for value in spellings(distribution, parent.params[name]):
            return value
    return draw(distribution, rng)
