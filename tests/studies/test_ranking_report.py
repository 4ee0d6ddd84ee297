"""Tables of a ranking study from ledgers whose answers are known."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from studies._bias_report import bound_table
from studies._ranking_report import as_markdown, ranking_table
from studies._ranking_results import scored_subnets

COUNT = 24
RNG = np.random.default_rng(0)
EXPECTED = RNG.normal(size=COUNT)
TRAINED = EXPECTED + 0.4 * RNG.normal(size=(2, COUNT))
BY_SEED = EXPECTED + np.array([[0.3], [1.5]]) * RNG.normal(size=(2, COUNT))


def truth():
    base = {"balance": True, "expected_log_loss": None, "seconds": 1.0}
    return [
        base | {"subnet": i, "repeat": repeat, "test_log_loss": TRAINED[repeat, i]}
        for repeat in (0, 1)
        for i in range(COUNT)
    ]


def scores(technique, repeats):
    base = {"technique": technique, "scoring": "newton", "seconds": 1.0}
    return [
        base | {"repeat": repeat, "subnet": i, "log_loss": BY_SEED[repeat, i]}
        for repeat in repeats
        for i in range(COUNT)
    ]


def supernets(*techniques):
    return [{"technique": name, "train_log_loss": 0.5, "seconds": 1.0} for name in techniques]


def table_of(rows):
    names = {row["technique"] for row in rows}
    return ranking_table(truth(), supernets(*names), rows, EXPECTED)


@pytest.mark.parametrize("repeat", [0, 1])
def test_a_technique_is_compared_with_the_default_of_the_same_seed(repeat):
    """It says what the default of that seed says: no difference, though the two seeds differ."""
    table = table_of(scores("single-any", (0, 1)) + scores("sandwich", (repeat,)))
    line = next(row for row in table if row["technique"] == "sandwich")
    assert line["tau"] == pytest.approx(kendalltau(TRAINED.mean(axis=0), BY_SEED[repeat]).statistic)
    assert line["tau_difference_low"] == line["tau_difference_high"] == 0


def test_a_technique_without_a_seed_of_the_default_is_compared_with_nothing():
    table = table_of(scores("single-any", (0,)) + scores("sandwich", (1,)))
    line = next(row for row in table if row["technique"] == "sandwich")
    assert "tau_difference" not in line
    assert "sandwich widths | last layer, Newton | 1, 24 |" in as_markdown(table)


def test_two_scorings_are_put_together_for_the_supernets_that_both_have_asked():
    raw = [row | {"scoring": "supernet"} for row in scores("single-any", (1,))]
    table = table_of(scores("single-any", (0, 1)) + raw)
    [line] = [row for row in table if row["scoring"] == "supernet+newton"]
    assert line["supernets"] == 1
    assert line["tau"] == pytest.approx(kendalltau(TRAINED.mean(axis=0), BY_SEED[1]).statistic)


def test_the_correlation_without_noise_is_that_of_the_expected_values():
    """Scores that are right but for noise: once both noises are taken out, nothing is left."""
    rng = np.random.default_rng(1)
    count, noise = 4000, 0.7
    expected = rng.normal(size=count)
    drawn = expected + noise * rng.normal(size=(4, count))
    rows = [
        {"technique": "single-any", "scoring": "newton", "repeat": repeat, "subnet": i}
        | {"log_loss": drawn[repeat, i], "seconds": 1.0}
        for repeat in (0, 1)
        for i in range(count)
    ]
    base = {"balance": True, "expected_log_loss": None, "seconds": 1.0}
    trained = [
        base | {"subnet": i, "repeat": repeat, "test_log_loss": drawn[2 + repeat, i]}
        for repeat in (0, 1)
        for i in range(count)
    ]
    cells = bound_table(scored_subnets(trained, rows), trained).splitlines()[-1].split(" | ")
    between, with_truth, without, of_both = (float(cell.strip(" |")) for cell in cells[2:])
    reliability = 1 / (1 + noise**2)
    assert between == pytest.approx(reliability, abs=0.03)
    assert with_truth == pytest.approx(1 / np.sqrt((1 + noise**2) * (1 + noise**2 / 2)), abs=0.03)
    assert without == pytest.approx(np.sqrt(reliability), abs=0.03)
    assert of_both == pytest.approx(1, abs=0.03)
