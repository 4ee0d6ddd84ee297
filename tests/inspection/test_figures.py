"""The figures of an inspection against pandas, scipy and scikit-learn on the rows of the log."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, entropy
from sklearn.metrics import log_loss

from nasrec_opt.data import Column, Dataset, Schema, prepare
from nasrec_opt.data._split import SPLITS, split_of
from nasrec_opt.inspection import _copies as copies
from nasrec_opt.inspection import _tally as tally
from nasrec_opt.inspection import inspect_dataset
from nasrec_opt.inspection._signal import shrunk_rates

ROWS = 6000
SCHEMA = Schema(label="click", dense=("price", "age"), sparse=("city", "shop"))


def log(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """Skewed and missing values, negative numbers, and clicks that follow from city and price."""
    rng = np.random.default_rng(seed)
    city = rng.zipf(1.5, rows) % 300
    price = np.round(rng.lognormal(3, 1.5, rows), 2)
    age = rng.integers(-5, 60, rows).astype(float)
    odds = -1.5 + 2.0 * np.sin(city) + 0.3 * np.log(price)
    return pd.DataFrame(
        {
            "click": (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(int),
            "price": np.where(rng.random(rows) < 0.2, np.nan, price),
            "age": age,
            "city": np.where(rng.random(rows) < 0.1, "", np.char.add("c", city.astype(str))),
            "shop": np.char.add("s", rng.integers(0, 4000, rows).astype(str)),
        }
    )


@pytest.fixture(scope="module")
def frame():
    return log()


@pytest.fixture(scope="module")
def dataset(frame, tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    frame.to_csv(folder / "log.csv", index=False)
    return prepare(folder / "log.csv", folder / "dataset", format=SCHEMA)


@pytest.fixture(scope="module")
def parts(frame) -> dict[str, pd.DataFrame]:
    """The rows of each split."""
    split = split_of(0, len(frame), 0)
    return {name: frame[split == place] for place, name in enumerate(SPLITS)}


@pytest.fixture(scope="module")
def found(dataset):
    return inspect_dataset(dataset)


def test_rows_and_clicks_are_those_of_the_log(found, parts):
    for split in found.splits:
        assert split.rows == len(parts[split.name])
        assert split.clicks == parts[split.name]["click"].sum()
    assert found.click_rate == pytest.approx(pd.concat(parts.values())["click"].mean())


def test_counts_of_a_sparse_column_are_those_of_pandas(found, parts):
    train = parts["train"]
    for column in found.sparse:
        values = train[column.name].replace("", np.nan)
        counts = values.value_counts()
        assert column.num_values == len(counts)
        assert column.missing_share == pytest.approx(values.isna().mean())
        assert column.missing.clicks == train["click"][values.isna()].sum()
        assert column.rare_share == pytest.approx(counts[counts < 10].sum() / len(train))
        assert column.top_share == pytest.approx(counts.iloc[0] / len(train))
        every = [*counts, values.isna().sum()]
        assert column.effective_values == pytest.approx(np.exp(entropy(every)))
        for value in column.top:
            assert value.rows == counts[value.value]
            rate = train["click"][values == value.value].mean()
            assert value.click_rate == pytest.approx(rate)
        ordered = counts.to_numpy()
        assert [rows for _, rows in column.count_curve] == [
            ordered[rank - 1] for rank, _ in column.count_curve
        ]


def test_new_values_are_those_of_pandas(found, parts):
    for column in found.sparse:
        known = set(parts["train"][column.name])
        for split, unseen in column.unseen.items():
            values = parts[split][column.name]
            assert unseen.share == pytest.approx((~values.isin(known | {""})).mean())


def test_numbers_of_a_dense_column_are_those_of_pandas(found, parts):
    for column in found.dense:
        values = parts["train"][column.name]
        assert column.missing_share == pytest.approx(values.isna().mean())
        assert column.minimum == pytest.approx(values.min(), rel=1e-5)
        assert column.maximum == pytest.approx(values.max(), rel=1e-5)
        for name, value in column.quantiles.items():
            share = float(name.strip("%")) / 100
            expected = np.quantile(values.dropna(), share, method="inverted_cdf")
            assert value == pytest.approx(expected, rel=1e-5, abs=1e-5)
        there = values.notna()
        assert sum(bar.rows for bar in column.groups) == there.sum()
        assert sum(bar.rows for bar in column.histogram) == there.sum()
        for bar in column.groups:
            inside = values.between(bar.low - 1e-3, bar.high + 1e-3)
            assert bar.rows == inside.sum()
            assert bar.clicks == parts["train"]["click"][inside].sum()


def test_integers_come_back_as_integers(found):
    column = found.dense[1]
    assert (column.minimum, column.maximum) == (-5.0, 59.0)
    assert all(value == round(value) for value in column.quantiles.values())


@pytest.mark.parametrize("transform", ["log", "standard", "none", "published"])
def test_numbers_come_back_from_every_transform(transform, frame, parts, tmp_path):
    frame.to_csv(tmp_path / "log.csv", index=False)
    options = (Column(name="price", transform=transform),)
    schema = Schema(label="click", sparse=("city",), dropped=("shop", "age"), options=options)
    column = inspect_dataset(prepare(tmp_path / "log.csv", tmp_path / "set", format=schema)).dense[
        0
    ]
    values = parts["train"]["price"]
    assert column.maximum == pytest.approx(values.max(), rel=1e-5)
    assert column.quantiles["50%"] == pytest.approx(
        np.quantile(values.dropna(), 0.5, method="inverted_cdf"), rel=1e-4
    )


@pytest.mark.parametrize("transform", ["log", "standard", "none", "published"])
@pytest.mark.parametrize("value", [0, 3])
def test_a_constant_comes_back_from_every_transform(value, transform, frame, tmp_path):
    frame.assign(price=value).to_csv(tmp_path / "log.csv", index=False)
    options = (Column(name="price", transform=transform),)
    schema = Schema(label="click", sparse=("city",), dropped=("shop", "age"), options=options)
    found = inspect_dataset(prepare(tmp_path / "log.csv", tmp_path / "set", format=schema))
    assert found.dense[0].minimum == found.dense[0].maximum == pytest.approx(value, rel=1e-6)


def test_the_signal_of_a_column_is_the_log_loss_of_its_rates(found, parts):
    train, validation = parts["train"], parts["validation"]
    column = found.sparse[0]
    groups = train.groupby("city")["click"].agg(["size", "sum"])
    rates = shrunk_rates(groups["size"].to_numpy(), groups["sum"].to_numpy())
    overall = (train["click"].sum() + 0.5) / (len(train) + 1)
    predicted = validation["city"].map(dict(zip(groups.index, rates, strict=True)))
    predicted = predicted.astype(float).fillna(overall)
    assert column.signal.log_loss == pytest.approx(
        log_loss(validation["click"], predicted), rel=1e-5
    )
    constant = log_loss(validation["click"], np.full(len(validation), overall))
    assert column.signal.constant_log_loss == pytest.approx(constant, rel=1e-5)
    assert column.signal.share == pytest.approx(1 - column.signal.log_loss / constant, rel=1e-4)
    assert column.signal.share > 3 * column.signal.standard_error  # city matters
    assert found.sparse[1].signal.share < 2 * found.sparse[1].signal.standard_error + 1e-4


def test_rates_of_few_rows_are_drawn_to_the_overall_rate():
    """Rates drawn from a beta law: the estimated prior is near the true one."""
    rng = np.random.default_rng(0)
    rows = rng.integers(1, 60, 4000)
    clicks = rng.binomial(rows, beta.rvs(3, 9, size=4000, random_state=rng))
    best = (clicks + 3) / (rows + 12)
    assert np.abs(shrunk_rates(rows, clicks) - best).max() < 0.03
    alike = shrunk_rates(rows, rng.binomial(rows, 0.25))
    assert np.ptp(alike) < 0.02


def test_drift_is_the_population_stability_index(found, parts):
    """City has more values than groups: the most frequent ones, missing, and the rest."""
    column = found.sparse[0]
    assert 10 < column.drift["test"].groups < 66
    train, test = (parts[name]["city"].value_counts() for name in ("train", "test"))
    both = train.add(test, fill_value=0)
    kept = both[both * len(parts["test"]) / both.sum() >= 5].index
    shares = [
        [*(part.get(value, 0) for value in kept), part[~part.index.isin(kept)].sum()]
        for part in (train, test)
    ]
    p, q = (np.maximum(part, 0.5) / np.sum(part) for part in shares)
    expected = ((p - q) * np.log(p / q)).sum()
    assert column.drift["test"].psi == pytest.approx(expected, rel=0.2)


def test_values_that_are_rare_for_the_reader_count_as_one(dataset, parts):
    column = inspect_dataset(Dataset.open(dataset.path, min_count=5)).sparse[1]
    counts = parts["train"]["shop"].value_counts()
    frequent = set(counts[counts >= 5].index)
    assert column.num_values == len(frequent)
    assert column.unseen["test"].share == pytest.approx(
        1 - parts["test"]["shop"].isin(frequent).mean()
    )


def test_pieces_do_not_change_anything(dataset, found, monkeypatch):
    monkeypatch.setattr(tally, "PIECE_ROWS", 97)
    again = inspect_dataset(dataset)
    for one, other in zip(again.columns, found.columns, strict=True):
        assert one.drift == other.drift
        assert one.missing == other.missing
        assert one.signal.share == pytest.approx(other.signal.share, abs=1e-6)
    assert again.splits == found.splits


def test_many_numbers_are_sampled(dataset, found, monkeypatch):
    monkeypatch.setattr(tally, "SAMPLE_ROWS", 1000)
    again = inspect_dataset(dataset)
    for one, other in zip(again.dense, found.dense, strict=True):
        assert (one.minimum, one.maximum) == (other.minimum, other.maximum)
        assert one.quantiles["50%"] == pytest.approx(other.quantiles["50%"], rel=0.2)
        assert sum(bar.rows for bar in one.groups) == sum(bar.rows for bar in other.groups)


def repeated(seed: int = 0) -> pd.DataFrame:
    """Each row about five times, as an old sample of Avazu had them."""
    rng = np.random.default_rng(seed)
    frame = log(600, seed)
    return frame.iloc[np.repeat(np.arange(600), rng.integers(3, 8, 600))].sample(
        frac=1, random_state=seed
    )


@pytest.mark.parametrize("most_rows", [1 << 25, 500])
def test_copies_are_those_of_pandas(most_rows, tmp_path, monkeypatch):
    monkeypatch.setattr(copies, "MOST_ROWS", most_rows)
    frame = repeated()
    frame.to_csv(tmp_path / "log.csv", index=False)
    found = inspect_dataset(prepare(tmp_path / "log.csv", tmp_path / "set", format=SCHEMA))
    split = split_of(0, len(frame), 0)
    texts = frame.fillna(-1).astype(str).agg("|".join, axis=1).to_numpy()
    inputs = frame.drop(columns="click").fillna(-1).astype(str).agg("|".join, axis=1).to_numpy()
    error = 1e-12 if found.hashed_share == 1 else 0.08
    assert (found.hashed_share == 1) == (most_rows > len(frame))
    for place, figures in enumerate(found.splits[1:], start=1):
        assert figures.copies == pytest.approx(
            np.isin(texts[split == place], texts[split == 0]).mean(), abs=error
        )
        assert figures.known_inputs == pytest.approx(
            np.isin(inputs[split == place], inputs[split == 0]).mean(), abs=error
        )
        assert figures.copies > 0.9
    train = texts[split == 0]
    assert found.splits[0].copies == pytest.approx(1 - len(set(train)) / len(train), abs=error)


def test_json_has_every_figure(found):
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["splits"][0]["rows"] == found.splits[0].rows
    assert values["sparse"][0]["drift"]["test"]["psi"] == found.sparse[0].drift["test"].psi
    assert values["dense"][0]["quantiles"]["99%"] == found.dense[0].quantiles["99%"]


def test_click_rates_count_weights(frame, parts, tmp_path):
    """All other figures are those of the log without weights."""
    weight = np.random.default_rng(4).integers(0, 6, len(frame)) * 0.5
    frame.assign(weight=weight).to_csv(tmp_path / "log.csv", index=False)
    schema = Schema(label="click", dense=("price", "age"), sparse=("city", "shop"), weight="weight")
    found = inspect_dataset(prepare(tmp_path / "log.csv", tmp_path / "dataset", format=schema))

    def rate(rows: pd.DataFrame) -> float:
        return float(np.average(rows["click"], weights=weight[rows.index]))

    assert found.click_rate == pytest.approx(rate(frame))
    assert found.rows == len(frame)
    assert found.clicks == frame["click"].sum()
    for split in found.splits:
        assert split.click_rate == pytest.approx(rate(parts[split.name]))
        assert split.weights[0] == pytest.approx(weight[parts[split.name].index].sum())
    train = parts["train"]
    city, price = found.sparse[0], found.dense[0]
    for value in city.top[:5]:
        assert value.click_rate == pytest.approx(rate(train[train["city"] == value.value]))
    assert city.missing.click_rate == pytest.approx(rate(train[train["city"] == ""]))
    assert price.missing.click_rate == pytest.approx(rate(train[train["price"].isna()]))
    bar = price.groups[3]
    inside = train[train["price"].between(bar.low - 1e-4, bar.high + 1e-4)]
    assert len(inside) == bar.rows
    assert bar.click_rate == pytest.approx(rate(inside))
    assert [finding.kind for finding in found.findings].count("weights") == 1
    values = json.loads(json.dumps(found.to_dict()))
    assert values["splits"][0]["weights"] == list(found.splits[0].weights)


def test_without_weights_nothing_is_said_of_them(dataset):
    assert '"weights"' not in json.dumps(inspect_dataset(dataset).to_dict())
