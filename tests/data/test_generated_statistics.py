"""Generated logs have the statistics of the public ones that they stand for."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import scipy.sparse
from conftest import DATA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from nasrec_opt.data import generate_log
from nasrec_opt.data._avazu_like import AVAZU
from nasrec_opt.data._criteo_like import CRITEO, DENSE, ROWS, SAMPLE_ROWS
from nasrec_opt.data._kdd2012_like import KDD2012
from nasrec_opt.data._log_layout import Draw
from nasrec_opt.data._popularity import Popularity

# Of the public sample of 109,854 rows: missing, median, 99th percentile.
NUMBERS = {
    "I1": (0.451, 1, 39), "I2": (0, 3, 2228), "I3": (0.214, 6, 216), "I4": (0.215, 4, 41),
    "I5": (0.027, 2800, 345947), "I6": (0.224, 32, 1318), "I7": (0.043, 3, 218),
    "I8": (0.001, 7, 48), "I9": (0.043, 39, 1010), "I10": (0.451, 1, 3), "I11": (0.043, 1, 26),
    "I12": (0.765, 0, 20), "I13": (0.215, 4, 49),
}  # fmt: skip
# Missing, distinct values (the missing one is one), share of the most frequent one.
CATEGORIES = {
    "C1": (0, 557, 0.5), "C2": (0, 518, 0.113), "C3": (0.034, 50597, 0.034),
    "C4": (0.034, 27296, 0.036), "C5": (0, 148, 0.674), "C6": (0.121, 12, 0.396),
    "C7": (0, 8217, 0.021), "C8": (0, 258, 0.594), "C9": (0, 3, 0.899), "C10": (0, 12587, 0.223),
    "C11": (0, 3994, 0.032), "C12": (0.034, 46360, 0.034), "C13": (0, 2905, 0.032),
    "C14": (0, 26, 0.349), "C15": (0, 5513, 0.016), "C16": (0.034, 38487, 0.034),
    "C17": (0, 10, 0.46), "C18": (0, 2668, 0.032), "C19": (0.442, 1279, 0.442),
    "C20": (0.442, 4, 0.442), "C21": (0.034, 43098, 0.034), "C22": (0.761, 12, 0.761),
    "C23": (0, 14, 0.437), "C24": (0.034, 12776, 0.053), "C25": (0.442, 53, 0.442),
    "C26": (0.442, 9763, 0.442),
}  # fmt: skip
NAMES = ["label", *NUMBERS, *CATEGORIES]
TOGETHER = (
    ("I1", "I10"), ("I7", "I9", "I11"), ("I4", "I13"), ("C3", "C4", "C12", "C16", "C21", "C24"),
    ("C19", "C20", "C25", "C26"),
)  # fmt: skip
FULL = (  # distinct values of the whole log, the missing and a rare one included
    1461, 584, 10131227, 2202609, 306, 25, 12518, 634, 4, 93146, 5684, 8351593, 3195, 28, 14993,
    5461307, 11, 5653, 2174, 5, 7046548, 19, 16, 286182, 106, 142573,
)  # fmt: skip


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    return generate_log(
        tmp_path_factory.mktemp("generated") / "log",
        like="criteo",
        rows=SAMPLE_ROWS,
        file_format="parquet",
    )


@pytest.fixture(scope="module", params=["generated", "real"])
def sample(request, generated):
    """The generated log, and the public sample that the figures are of."""
    if request.param == "generated":
        return pl.read_parquet(generated.file)
    file = DATA / "criteo" / "criteo_sample.txt"
    if not file.exists():
        pytest.skip("the public sample is not there")
    frame = pl.read_csv(
        file, separator="\t", has_header=False, new_columns=NAMES, infer_schema=False
    )
    return frame.with_columns(pl.col("label", *NUMBERS).cast(pl.Int64))


def test_numbers_are_like_those_of_criteo(sample):
    assert sample["label"].mean() == pytest.approx(0.256, abs=0.005)
    for name, (missing, median, high) in NUMBERS.items():
        column = sample[name]
        assert column.null_count() / len(sample) == pytest.approx(missing, abs=0.006), name
        values = column.drop_nulls().to_numpy()
        assert np.median(values) == pytest.approx(median, rel=0.03), name
        assert np.quantile(values, 0.99) == pytest.approx(high, rel=0.08, abs=0.5), name
    assert (sample["I2"] < 0).mean() == pytest.approx(0.1, abs=0.006)
    assert sample["I2"].min() in (-3, -2)
    for names in TOGETHER:
        missing = sample.select(pl.col(name).is_null() for name in names)
        assert missing.n_unique() == 2, names


def test_categories_are_like_those_of_criteo(sample):
    for name, (missing, distinct, top) in CATEGORIES.items():
        column = sample[name]
        assert column.null_count() / len(sample) == pytest.approx(missing, abs=0.006), name
        assert column.n_unique() == pytest.approx(distinct, rel=0.06, abs=12), name
        counts = column.value_counts()["count"]
        assert counts.max() / len(sample) == pytest.approx(top, abs=0.006), name
        assert column.drop_nulls().str.contains("^[0-9a-f]{8}$").all()


def test_c3_determines_others(sample):
    for name in ("C4", "C12", "C16", "C21", "C24"):
        pairs = sample.select("C3", name).unique()
        assert len(pairs) <= sample["C3"].n_unique() + 3


def test_distinct_values_grow_as_in_the_whole_log():
    for column, full in zip(CRITEO.columns, FULL, strict=True):
        popularity = Popularity.fit(column.shares, *column.distinct)
        (rows, values), (sample_rows, sample_values) = column.distinct
        assert full - 2 <= values <= full
        assert rows <= ROWS
        assert popularity.distinct(rows) == pytest.approx(values, rel=0.06), column.name
        found = popularity.distinct(sample_rows)
        assert found == pytest.approx(sample_values, rel=0.02, abs=12), column.name


def test_distinct_values_of_all_columns_are_those_of_the_page():
    """docs/howto/generate.md has these sums."""
    sums = dict.fromkeys((0, 1), 0.0)
    for column in CRITEO.columns:
        popularity = Popularity.fit(column.shares, *column.distinct)
        for place, (rows, _) in enumerate(column.distinct):
            sums[place] += popularity.distinct(rows)
    assert sums[0] == pytest.approx(33.3e6, rel=0.002)
    assert round(sums[1]) == 267_153


@pytest.mark.parametrize("layout", [AVAZU, KDD2012], ids=lambda layout: layout.name)
def test_vocabularies_of_the_other_logs_are_those_of_the_reference(layout):
    draw = Draw(layout, seed=0, rows=1, drift=0.0, is_small=False)
    for column, popularity in zip(layout.columns, draw.popularity, strict=True):
        ((rows, values),) = column.distinct
        assert popularity.distinct(rows) == pytest.approx(values, rel=0.01), column.name
        assert sum(column.shares.values()) < 1.001


def test_logistic_regression_is_between_the_truth_and_the_click_rate(generated):
    frame = pl.read_parquet(generated.file)
    split = len(frame) * 4 // 5
    values = [
        (pl.col(name).cast(pl.Float64) + 1).clip(1).log().pow(2).floor().cast(pl.String)
        for name in DENSE
    ]
    texts = frame.select(*values, *CATEGORIES).fill_null("")
    bits = [texts[name].hash(place).to_numpy() % 2**18 for place, name in enumerate(texts.columns)]
    places = np.stack(bits, axis=1).astype(np.int64)
    inputs = scipy.sparse.csr_matrix(
        (np.ones(places.size), places.ravel(), np.arange(0, places.size + 1, len(bits))),
        shape=(len(frame), 2**18),
    )
    labels, truth = frame["label"].to_numpy(), np.load(generated.probabilities)
    model = LogisticRegression(C=0.03, solver="liblinear")
    predicted = model.fit(inputs[:split], labels[:split]).predict_proba(inputs[split:])[:, 1]
    bayes = log_loss(labels[split:], truth[split:])
    linear = log_loss(labels[split:], predicted)
    constant = log_loss(labels[split:], np.full(len(frame) - split, labels[:split].mean()))
    assert bayes + 0.03 < linear < constant - 0.05


def test_an_avazu_like_log_has_its_columns_and_its_days(tmp_path):
    log = generate_log(tmp_path / "a", like="avazu", rows=50_000)
    frame = pl.read_csv(log.file, schema_overrides={"id": pl.UInt64})
    assert ",".join(frame.columns) == (
        "id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,"
        "app_category,device_id,device_ip,device_model,device_type,device_conn_type,C14,C15,C16,"
        "C17,C18,C19,C20,C21"
    )
    assert frame["id"].n_unique() == len(frame)
    assert frame["click"].mean() == pytest.approx(0.17, abs=0.01)
    hours = frame["hour"]
    assert hours.is_sorted()
    assert (hours.min(), hours.max(), hours.n_unique()) == (14102100, 14103023, 240)
    assert frame["device_id"].value_counts()["count"].max() / len(frame) == pytest.approx(
        0.825, abs=0.01
    )
    determined = (("site_id", "site_domain"), ("site_id", "site_category"), ("C14", "C15"))
    for leader, follower in (*determined, ("app_id", "app_domain"), ("C14", "C21")):
        assert len(frame.select(leader, follower).unique()) == frame[leader].n_unique()
    # Either the site or the app is the value that says that there is none.
    none = [frame[name] == frame[name].mode()[0] for name in ("site_id", "app_id")]
    assert (none[0] ^ none[1]).mean() > 0.999


def test_a_kdd_like_log_has_its_columns_and_its_users(tmp_path):
    log = generate_log(tmp_path / "a", like="kdd2012", rows=50_000)
    frame = pl.read_csv(
        log.file,
        separator="\t",
        has_header=False,
        new_columns=[f"field {i}" for i in range(1, 13)],
        schema_overrides={"field 3": pl.UInt64},
    )
    assert frame.width == 12
    clicks, shows, depth, position = (frame.to_series(i) for i in (0, 1, 5, 6))
    assert clicks.sum() / shows.sum() == pytest.approx(0.04, abs=0.004)
    assert set(depth) == {1, 2, 3}
    assert ((position >= 1) & (position <= depth)).all()
    assert len(frame.select("field 4", "field 5").unique()) == frame["field 4"].n_unique()
    users = frame.to_series(11)
    assert (users == 0).mean() == pytest.approx(0.2, abs=0.01)
    profiles = pl.read_csv(
        log.users, separator="\t", has_header=False, new_columns=["user", "gender", "age"]
    )
    assert profiles["user"].n_unique() == len(profiles)
    known = set(users) - {0}
    assert set(profiles["user"]) < known
    assert len(profiles) / len(known) == pytest.approx(0.97, abs=0.01)
    assert set(profiles["gender"]) == {0, 1, 2}
    assert set(profiles["age"]) == {1, 2, 3, 4, 5, 6}
    assert position.filter(clicks > 0).mean() < position.mean()  # higher places are clicked more
