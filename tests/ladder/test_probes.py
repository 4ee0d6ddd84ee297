"""Models that are trained before anything is known."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nasrec_opt.features import FeatureSpec
from nasrec_opt.ladder import feature_names, features_of, probe_genotypes, training_work
from nasrec_opt.space import SearchSpace

SPACES = {
    "small": SearchSpace.nasrec_small(num_blocks=3),
    "wide": SearchSpace.nasrec_small(num_blocks=3, wide=(False, True)),
    "full": SearchSpace.nasrec_full(num_blocks=2),
    "codesign": SearchSpace.nasrec_small(num_blocks=2, codesign=True),
}
FEATURES = FeatureSpec(13, (100,) * 26)


@settings(max_examples=8, deadline=None)
@given(name=st.sampled_from(sorted(SPACES)), count=st.integers(1, 6), seed=st.integers(0, 99))
def test_probes_are_distinct_models_of_the_space(name, count, seed):
    space = SPACES[name]
    probes = probe_genotypes(space, FEATURES, count, seed)
    assert len({probe.canonical() for probe in probes}) == len(probes) == count
    assert all(space.decode(space.encode(probe)) == probe for probe in probes)
    assert probes == probe_genotypes(space, FEATURES, count, seed)


def test_probes_are_likely_and_cheap():
    """Beside random genotypes: a dot product each, and less work; a first-order term by turns."""
    space, names = SPACES["wide"], feature_names()
    rng = np.random.default_rng(0)
    usual = np.mean([training_work(space.sample(rng), FEATURES) for _ in range(200)])
    works = []
    for seed in range(5):
        for place, probe in enumerate(probe_genotypes(space, FEATURES, 4, seed)):
            known = dict(zip(names, features_of(probe, FEATURES), strict=True))
            assert known["dot"] > 0
            assert known["wide"] == (place % 2 == 0)
            works.append(training_work(probe, FEATURES))
    assert np.mean(works) < usual / 2
