"""Where any parameters stand in the space that a surrogate model works in, by hand."""

from __future__ import annotations

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from nasrec_opt.samplers._breeding import FlatBreeder

SPACE = {
    "kind": CategoricalDistribution(["a", "b", "c"]),
    "layers": IntDistribution(0, 4),
    "rate": FloatDistribution(0.0, 2.0),
}


def test_points_by_hand():
    breeder = FlatBreeder()
    identities = [
        breeder.identify({"kind": "b", "layers": 1, "rate": 2.0}),
        breeder.identify({"kind": "a", "layers": 4, "rate": 0.5}),
        breeder.identify({"rate": 0.0}),  # neither a kind nor layers
    ]
    assert breeder.points(identities, SPACE).tolist() == [
        [0, 1, 0, 0.25, 1],
        [1, 0, 0, 1, 0.25],
        [0, 0, 0, 0.5, 0],
    ]


def test_points_without_parameters_have_no_dimension():
    breeder = FlatBreeder()
    identities = [breeder.identify({"rate": rate}) for rate in (0.0, 1.0)]
    assert breeder.points(identities, {}).shape == (2, 0)
