"""Each warning on a log that deserves it, and none on logs that do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import DATA

from nasrec_opt.data import Column, Dataset, Schema, generate_synthetic, prepare
from nasrec_opt.errors import DataError
from nasrec_opt.inspection import Inspection, dataset_warnings, inspect_dataset

ROWS = 4000


def plain(rows: int = ROWS, seed: int = 0, rate: float = 0.3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "click": (rng.random(rows) < rate).astype(int),
            "price": rng.lognormal(2, 1, rows),
            "city": rng.zipf(1.5, rows) % 200,
            "device": rng.integers(0, 5, rows),
        }
    )


def inspected(frame: pd.DataFrame, folder, **options) -> Inspection:
    frame.to_csv(folder / "log.csv", index=False)
    dense = tuple(name for name in ("price", "seconds") if name in frame)
    schema = Schema(label="click", dense=dense, **options)
    return inspect_dataset(prepare(folder / "log.csv", folder / "dataset", format=schema))


def warned(found: Inspection) -> list[tuple[str, tuple[str, ...]]]:
    return [(finding.kind, finding.columns) for finding in found.warnings]


def test_an_ordinary_log_has_no_warning(tmp_path):
    assert not inspected(plain(), tmp_path).warnings


def test_the_synthetic_log_has_no_finding_at_all(tmp_path):
    assert not inspect_dataset(generate_synthetic(tmp_path / "log", rows=20_000)).findings


def test_a_part_of_the_rows_tells_what_all_of_them_tell(tmp_path):
    frame = plain(20_000, rate=0.05)
    frame["seen"] = np.where(frame["click"] == 1, "yes", "no")
    frame["country"] = "NL"
    frame["row"] = np.arange(len(frame))
    frame["shop"] = np.random.default_rng(3).integers(0, 8000, len(frame))  # many values, no ids
    found = inspected(frame, tmp_path)
    dataset = Dataset.open(tmp_path / "dataset")
    told = dataset_warnings(dataset, most_rows=4000)
    kinds = [("few_rows", ()), ("leak", ("seen",)), ("constant", ("country",)), ("id", ("row",))]
    assert sorted(warned(found)) == sorted((t.kind, t.columns) for t in told) == sorted(kinds)
    [few] = [finding.text for finding in found.warnings if finding.kind == "few_rows"]
    assert few in [finding.text for finding in told]  # clicks of all rows, not of some
    assert any("16,000 values in 16,000 training rows" in finding.text for finding in told)
    assert dataset_warnings(dataset) == found.warnings


def test_a_part_of_the_rows_tells_of_drift(tmp_path):
    frame = plain(20_000)
    frame["hour"] = np.arange(len(frame))
    frame["city"] = np.where(frame["hour"] > 16_500, 7, frame["city"])
    hour = Column(name="hour", format="seconds", parts=("hour",))
    inspected(frame, tmp_path, time="hour", options=(hour,))
    told = dataset_warnings(Dataset.open(tmp_path / "dataset"), most_rows=1000)
    assert ("drift", ("city",)) in [(t.kind, t.columns) for t in told]


@pytest.mark.parametrize("kind", ["sparse", "dense"])
def test_a_column_that_gives_the_label_away_is_a_leak(kind, tmp_path):
    frame = plain()
    rng = np.random.default_rng(1)
    if kind == "dense":  # time on the page, which only a click begins
        frame["seconds"] = frame["click"] * rng.lognormal(3, 1, ROWS)
    else:
        frame["seen"] = np.where(frame["click"] == 1, "yes", "no")
    found = inspected(frame, tmp_path)
    name = "seconds" if kind == "dense" else "seen"
    assert warned(found) == [("leak", (name,))]
    assert "seems to give the label away" in found.warnings[0].text
    [column] = [column for column in found.columns if column.name == name]
    assert column.signal.share > 0.98


def test_repeated_rows_are_found(tmp_path):
    """As in an old sample of Avazu, which had each row about five times."""
    rng = np.random.default_rng(0)
    frame = plain(800).iloc[np.repeat(np.arange(800), rng.integers(3, 8, 800))]
    found = inspected(frame.sample(frac=1, random_state=0), tmp_path)
    assert [kind for kind, _ in warned(found)] == ["copies", "copies"]
    assert all(split.agreement == 1 and split.copies > 0.95 for split in found.splits[1:])
    assert "label included" in found.warnings[0].text


def test_impressions_that_look_alike_are_no_warning(tmp_path):
    """Two columns of few values: rows are equal, and their labels differ."""
    found = inspected(plain()[["click", "device"]].assign(day=1 + np.arange(ROWS) % 7), tmp_path)
    assert found.splits[2].copies == 1
    assert not found.warnings
    assert [finding.kind for finding in found.findings] == ["copies", "copies"]


def test_a_column_of_one_value_and_missing_columns_are_found(tmp_path):
    frame = plain()
    frame["country"] = "de"
    frame["referrer"] = np.where(np.arange(ROWS) % 50 == 0, "x", None)
    frame["empty"] = None
    frame["seconds"] = 7
    found = inspected(frame, tmp_path)
    assert set(warned(found)) == {
        ("constant", ("country",)), ("missing", ("referrer",)), ("missing", ("empty",)),
        ("constant", ("seconds",)),
    }  # fmt: skip


@pytest.mark.parametrize("min_count", [1, 5])
def test_an_id_is_found(min_count, tmp_path):
    frame = plain().assign(request=[f"r{i}" for i in range(ROWS)])
    found = inspected(frame, tmp_path, min_count=min_count)
    assert warned(found) == [("id", ("request",))]


@pytest.mark.parametrize(("rate", "words"), [(0.001, "Only 0."), (0.999, "wrong way round")])
def test_a_click_rate_near_0_or_1_is_found(rate, words, tmp_path):
    found = inspected(plain(20_000, rate=rate), tmp_path)
    assert [kind for kind, _ in warned(found)] == ["click_rate", "few_rows"]
    assert words in found.warnings[0].text


def test_drift_of_values_numbers_clicks_and_new_values_is_found(tmp_path):
    """A split by time of a log that changes: prices rise, cities come, clicks become fewer."""
    frame = plain(10_000).assign(day=np.arange(10_000))
    late = frame["day"] > 8500
    rng = np.random.default_rng(3)
    frame["price"] *= np.where(late, 4, 1)
    frame["device"] = np.where(late & (rng.random(10_000) < 0.5), 4, frame["device"])
    frame["city"] = np.where(late, 1000 + frame["city"], frame["city"])
    frame["click"] = np.where(late & (rng.random(10_000) < 0.5), 0, frame["click"])
    options = (Column(name="day", format="seconds"),)
    found = inspected(frame, tmp_path, sparse=("city", "device"), time="day", options=options)
    of_test = {(f.kind, f.columns) for f in found.warnings if "test" in f.text}
    assert of_test == {
        ("drift", ()), ("drift", ("price",)), ("drift", ("device",)), ("drift", ("city",)),
        ("new_values", ("city",)),
    }  # fmt: skip


def test_users_are_told_apart_by_name_or_as_asked(tmp_path):
    frame = plain().assign(user_id=np.arange(ROWS) % 700)
    found = inspected(frame, tmp_path)
    assert [(f.kind, f.columns) for f in found.findings if f.kind == "users"] == [
        ("users", ("user_id",))
    ]
    dataset = Dataset.open(tmp_path / "dataset")
    asked = inspect_dataset(dataset, users=["device"])
    [finding] = [f for f in asked.findings if f.kind == "users"]
    assert finding.text.startswith("100 % of the validation rows")
    with pytest.raises(DataError, match="users: expected a categorical column, got 'price'"):
        inspect_dataset(dataset, users=["price"])


@pytest.mark.parametrize(
    ("array", "value", "words"),
    [
        ("sparse", 10**6, "an id that no vocabulary has"),
        ("sparse", -1, "an id that no vocabulary has"),
        ("dense", np.nan, "no finite number"),
        ("labels", 2, "neither 0 nor 1"),
    ],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_damaged_rows_are_refused(array, value, words, split, tmp_path):
    inspected(plain(400), tmp_path)
    rows = np.load(tmp_path / "dataset" / split / f"{array}.npy", mmap_mode="r+")
    rows.reshape(-1)[3] = value
    rows.flush()
    with pytest.raises(DataError, match=words):
        inspect_dataset(Dataset.open(tmp_path / "dataset"))


@pytest.mark.skipif(not DATA.exists(), reason="the real logs are not here")
def test_the_criteo_sample_has_no_warning_and_that_of_frappe_says_that_its_item_tells_much(
    tmp_path,
):
    criteo = prepare(DATA / "criteo" / "criteo_sample.txt", tmp_path / "criteo")
    assert not inspect_dataset(criteo).warnings
    schema = Schema(label="label")
    frappe = prepare(DATA / "frappe" / "frappe.csv", tmp_path / "frappe", format=schema)
    found = inspect_dataset(frappe)
    assert not found.warnings
    assert [(f.kind, f.columns) for f in found.findings] == [
        ("leak", ("item",)), ("users", ("user",))
    ]  # fmt: skip
