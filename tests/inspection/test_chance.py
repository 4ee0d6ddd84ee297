"""What chance alone does: random splits are within what an inspection calls chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from nasrec_opt.inspection._drift import common_groups, drift, unseen

TRIALS = 300
VALUES = {
    "one in a thousand is frequent": 1 / np.arange(1, 5001) ** 1.2,
    "all alike": np.ones(5000),
    "few": np.array([0.5, 0.3, 0.15, 0.04, 0.01]),
}


@pytest.mark.parametrize("shares", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("rows", [(8000, 1000), (800, 100)])
def test_random_splits_do_not_drift(shares, rows):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(TRIALS):
        train, test = (rng.multinomial(count, shares / shares.sum()) for count in rows)
        order = np.argsort(-train, kind="stable")  # ids are in this order
        train, test = train[order], test[order]
        known = int((train > 0).sum())
        few = min(known, 1000)
        rest = int(train[few:].sum()), int(test[few:].sum())
        most = int(train[few:].max(initial=0))
        found.append(drift(*common_groups(train[:few], test[:few], (0, 0), rest, most)))
    assert sum(one.is_beyond_chance for one in found) <= 3  # 0.3 are expected
    several = [one for one in found if one.groups > 1]
    if several:
        ratio = np.mean([one.psi / one.expected for one in several])
        assert 0.85 < ratio < 1.15


def test_the_limit_is_that_of_the_chi_squared_law():
    first, second = np.full(11, 400), np.full(11, 40)
    found = drift(first, second, num_comparisons=10)
    assert found.psi == 0
    assert found.limit == pytest.approx(chi2.isf(1e-4, 10) * (1 / 4400 + 1 / 440))
    assert found.expected == pytest.approx(10 * (1 / 4400 + 1 / 440))


def test_a_split_of_other_values_drifts():
    found = drift(np.array([900, 100]), np.array([60, 40]))
    assert found.is_beyond_chance
    p, q = np.array([0.9, 0.1]), np.array([0.6, 0.4])
    assert found.psi == pytest.approx(((p - q) * np.log(p / q)).sum())


@pytest.mark.parametrize(
    "counts", [([0, 0], [0, 0]), ([5, 5], [0, 0]), ([7], [3]), ([3, 0], [2, 0])]
)
def test_nothing_to_compare_is_no_drift(counts):
    found = drift(*map(np.array, counts))
    assert found.psi == 0
    assert not found.is_beyond_chance


@pytest.mark.parametrize("shares", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("min_count", [1, 3])
def test_new_values_of_random_splits_are_as_expected(shares, min_count):
    rng = np.random.default_rng(1)
    found = []
    for _ in range(TRIALS):
        train, test = (rng.multinomial(count, shares / shares.sum()) for count in (8000, 1000))
        has_id = train >= min_count
        found.append(
            unseen(
                1000,
                int(test[~has_id].sum()),
                train_rows=8000,
                train_rare=int(train[~has_id].sum()),
                counts=train[has_id],
                min_count=min_count,
            )
        )
    assert not any(one.is_beyond_chance for one in found)
    shared = np.mean([one.share for one in found])
    assert shared == pytest.approx(np.mean([one.expected for one in found]), rel=0.03, abs=1e-4)
