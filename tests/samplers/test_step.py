"""Another value is found in a bounded number of draws, whatever the distribution."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import create_trial
from samplers.distributions import NAN, distributions, quietly

from nasrec_opt.samplers._breeding import FlatBreeder
from nasrec_opt.samplers._draw import draw
from nasrec_opt.samplers._step import has_choice, other
from nasrec_opt.samplers._values import contains, key_of

TWO_VALUES = [
    IntDistribution(0, 1),
    IntDistribution(1, 2),
    IntDistribution(64, 128, step=64),
    IntDistribution(1, 2, log=True),
    FloatDistribution(0.0, 0.5, step=0.5),
    FloatDistribution(1.0, math.nextafter(1.0, 2.0)),
    CategoricalDistribution(["adam", "sgd"]),
    CategoricalDistribution([0, False, 0.0, 1]),
    quietly(lambda: CategoricalDistribution([[400, 400], [64]])),
]
ONE_VALUE = [
    IntDistribution(3, 3),
    IntDistribution(2**60, 2**60 + 1),  # a storage keeps floats, of which there is one
    FloatDistribution(0.5, 0.5),
    CategoricalDistribution(["adam", "adam"]),
    CategoricalDistribution([1, True]),
    CategoricalDistribution([0, False, 0.0]),
    CategoricalDistribution([NAN, NAN]),
    CategoricalDistribution([None, None]),
]
MOST_DRAWS = 1000  # of one change


class Counting(np.random.Generator):
    """Counts what is drawn."""

    def __init__(self, seed: int) -> None:
        super().__init__(np.random.PCG64(seed))
        self.count = 0

    def _counted(self, name: str, *args: Any, **options: Any) -> Any:
        self.count += 1
        return getattr(super(), name)(*args, **options)

    def normal(self, *args: Any, **options: Any) -> Any:
        return self._counted("normal", *args, **options)

    def integers(self, *args: Any, **options: Any) -> Any:
        return self._counted("integers", *args, **options)

    def uniform(self, *args: Any, **options: Any) -> Any:
        return self._counted("uniform", *args, **options)

    def random(self, *args: Any, **options: Any) -> Any:
        return self._counted("random", *args, **options)


@pytest.mark.parametrize("distribution", TWO_VALUES, ids=str)
@pytest.mark.parametrize("near", [True, False])
def test_of_two_values_the_other_is_found(distribution, near):
    rng = Counting(0)
    values = [draw(distribution, rng)]
    for _ in range(20):
        values.append(other(distribution, values[-1], rng, near=near))
    places = [distribution.to_internal_repr(value) for value in values]
    assert len(set(places)) == 2
    assert all(one != next_ for one, next_ in pairwise(places))
    assert rng.count < 20 * MOST_DRAWS / 10


@pytest.mark.parametrize("distribution", ONE_VALUE, ids=str)
def test_one_value_is_not_changed_nor_waited_for(distribution):
    rng = Counting(0)
    value = draw(distribution, rng)
    parent = create_trial(value=0.0, params={"x": value}, distributions={"x": distribution})
    child = FlatBreeder().mutate(parent, {"x": distribution}, rng, 6)
    assert not has_choice(distribution)
    assert distribution.to_internal_repr(child.params["x"]) == distribution.to_internal_repr(value)
    assert rng.count <= 1


def is_on_grid(distribution: BaseDistribution, value: Any) -> bool:
    """Of steps that a float cannot tell apart, Optuna refuses its own values."""
    step = getattr(distribution, "step", None)
    if not step or not distribution.low <= value <= distribution.high:
        return False
    resolution = abs(math.ulp(max(abs(value), abs(distribution.low), abs(distribution.high))))
    return resolution / step > 1e-9


@given(distribution=distributions(), seed=st.integers(0, 2**32 - 1), near=st.booleans())
@example(distribution=IntDistribution(0, 1), seed=0, near=True)
@example(distribution=IntDistribution(1, 3, log=True), seed=0, near=True)
@example(distribution=FloatDistribution(5e-324, 1e308, log=True), seed=0, near=True)
@example(distribution=FloatDistribution(-1.7e308, 1.7e308), seed=0, near=True)
@example(distribution=IntDistribution(-(2**70), 2**70), seed=0, near=True)
@example(distribution=IntDistribution(0, 3 * 2**60, step=3), seed=0, near=False)
@example(distribution=FloatDistribution(0.0, 1.0, step=1e-25), seed=0, near=True)
def test_another_value_is_in_the_distribution_and_soon_found(distribution, seed, near):
    rng = Counting(seed)
    value = draw(distribution, rng)
    found = other(distribution, value, rng, near=near)
    assert rng.count <= MOST_DRAWS + 2
    for drawn in (value, found):
        assert contains(distribution, drawn) or is_on_grid(distribution, drawn)
    if not has_choice(distribution):
        assert key_of(found) == key_of(value)


@given(distribution=distributions(), seed=st.integers(0, 2**32 - 1))
@example(distribution=FloatDistribution(2.0**53, 2.0**53 + 2, step=0.5), seed=0)
@example(distribution=IntDistribution(2**60 + 1, 2**60 + 1001, step=1000), seed=0)
def test_where_there_is_another_value_it_is_found(distribution, seed):
    rng = np.random.default_rng(seed)
    value = draw(distribution, rng)
    drawn = {distribution.to_internal_repr(draw(distribution, rng)) for _ in range(50)}
    found = distribution.to_internal_repr(other(distribution, value, rng, near=True))
    if found == distribution.to_internal_repr(value):
        assert drawn == {found}


@example(
    space={
        "a": IntDistribution(1, 1, log=True),
        "b": IntDistribution(0, 0),
        "c": IntDistribution(0, 1),
        "d": IntDistribution(1152921504606846977, 1152921504606846978),
    },
    seed=1,
    count=1,
)
@given(
    space=st.dictionaries(st.sampled_from("abcd"), distributions(), min_size=1),
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 6),
)
def test_a_child_has_the_parents_parameters_and_a_bounded_price(space, seed, count):
    rng = Counting(seed)
    breeder = FlatBreeder()
    params = breeder.random(space, rng).params
    parent = create_trial(value=0.0, params={}, distributions={})
    parent.params, parent.distributions = params, space  # Optuna refuses what floats cannot hold
    rng.count = 0
    child = breeder.mutate(parent, space, rng, count)
    assert child.params.keys() == params.keys()
    assert rng.count <= len(space) + count * (MOST_DRAWS + 3)
    assert breeder.identify(child.params) == child.identity
    hash(child.identity)
    # A range of large integers may have no float in it; its values are drawn anew, not inherited.
    held = [name for name in params if contains(space[name], params[name])]
    changed = sum(key_of(child.params[name]) != key_of(params[name]) for name in held)
    assert changed <= count


@given(
    space=st.dictionaries(st.sampled_from("abcd"), distributions(), min_size=1),
    seed=st.integers(0, 2**32 - 1),
)
def test_points_have_a_number_for_each_value(space, seed):
    rng = np.random.default_rng(seed)
    breeder = FlatBreeder()
    identities = [breeder.random(space, rng).identity for _ in range(5)]
    points = breeder.points(identities, space)
    assert points.shape[0] == 5
    assert np.isfinite(points).all()
    asked = breeder.points([breeder.identify({"unknown": 1})], space)
    assert set(asked.ravel()) <= {0.0, 0.5}  # no choice, and the middle of every range


def test_three_values_are_stepped_through_as_before():
    distribution = IntDistribution(0, 2)
    rng, naive = np.random.default_rng(7), np.random.default_rng(7)
    value = 0
    for _ in range(50):
        found = other(distribution, value, rng, near=True)
        expected = value
        while expected == value:
            moved = value + naive.normal(scale=0.1 * 2)
            expected = min(max(round(moved), 0), 2)
        assert found == expected
        value = found


def test_keys_are_equal_where_a_storage_changes_values():
    assert key_of((1, [2, NAN])) == key_of([1.0, (2, NAN)])
    assert key_of({1: "a", None: "b"}) == key_of({"1": "a", "null": "b"})
    assert key_of([1]) != key_of(["1"])
    assert key_of(NAN) != key_of("nan")
    assert key_of([]) != key_of({})
