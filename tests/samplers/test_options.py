"""A sampler and the table of the study file say and do the same about an option."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasrec_opt.bayes import PoolBayesSampler
from nasrec_opt.errors import StudyError
from nasrec_opt.options import EvolutionConfig, PoolBayesConfig, TieBreak
from nasrec_opt.options._docs import option_docs
from nasrec_opt.samplers import RegularizedEvolutionSampler
from nasrec_opt.space import SearchSpace

PAIRS = [(RegularizedEvolutionSampler, EvolutionConfig), (PoolBayesSampler, PoolBayesConfig)]
COUNTS = st.integers(-2, 40) | st.none() | st.booleans() | st.just(2.5)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "population_size": COUNTS,
        "tournament_size": COUNTS,
        "children_per_round": COUNTS,
        "tie_break": st.sampled_from([*TieBreak.__args__, "age"]),
        "archive": st.booleans() | st.just(1),
        "mutations": COUNTS,
        "decay_rounds": COUNTS,
        "screening": COUNTS,
    },
)


@pytest.mark.parametrize(("sampler", "options"), PAIRS)
def test_a_sampler_has_the_defaults_of_its_options(sampler, options):
    own = inspect.signature(options).parameters
    its = inspect.signature(sampler).parameters
    assert {name: its[name].default for name in own} == {n: p.default for n, p in own.items()}


@pytest.mark.parametrize(("sampler", "options"), PAIRS)
def test_a_sampler_describes_its_options_as_they_do(sampler, options):
    assert option_docs(options).items() <= option_docs(sampler).items()


def outcome(make: Any, options: dict[str, Any]) -> str:
    try:
        made = make(**options)
    except StudyError as error:
        return str(error)
    return repr(getattr(made, "_options", made))


@given(OPTIONS)
def test_a_sampler_takes_and_refuses_what_its_options_do(options):
    found = outcome(RegularizedEvolutionSampler, options)
    assert found == outcome(EvolutionConfig, options)


@pytest.mark.parametrize("options", [{"num_startup": 0}, {"pool_size": 2, "batch_size": 3}])
def test_a_sampler_of_pools_refuses_what_its_options_do(options):
    pytest.importorskip("botorch", reason="the extra 'bayes' is not installed")
    found = outcome(lambda **given: PoolBayesSampler(SearchSpace(), **given), options)
    assert found == outcome(PoolBayesConfig, options)
    assert "expected" in found
