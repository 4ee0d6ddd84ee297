"""Generated logs: whole, the same whatever the chunks, and with the truth that they tell."""

from __future__ import annotations

import gzip
import json

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from data.test_synthetic import explained, one_hot
from sklearn.metrics import log_loss, roc_auc_score

from nasrec_opt.data import generate_log, generated_features, model_inputs, prepare
from nasrec_opt.data._criteo_like import CRITEO
from nasrec_opt.data._log_layout import Draw
from nasrec_opt.data._planted import Planted
from nasrec_opt.data._split import SPLITS, split_of
from nasrec_opt.errors import DataError

LIKES = ("criteo", "avazu", "kdd2012")
ROWS = 3000


def read(log, **options):
    separator, has_header = ("," if log.file.name == "train.csv" else "\t"), "csv" in log.file.name
    return pl.read_csv(
        log.file, separator=separator, has_header=has_header, infer_schema=False, **options
    )


@pytest.fixture(scope="module", params=LIKES)
def log(request, tmp_path_factory):
    return generate_log(
        tmp_path_factory.mktemp("generated") / "log", like=request.param, rows=ROWS, seed=3
    )


def like_of(log):
    return json.loads((log.file.parent / "truth.json").read_text())["like"]


def test_chunks_change_nothing_and_seeds_everything(log, tmp_path):
    again = generate_log(tmp_path / "a", like=like_of(log), rows=ROWS, seed=3, chunk_rows=701)
    for file in sorted(log.file.parent.iterdir()):
        assert (tmp_path / "a" / file.name).read_bytes() == file.read_bytes() or (
            file.name == "truth.json"  # sums in another order
        )
    for name, metrics in again.metrics.items():
        assert metrics == pytest.approx(log.metrics[name], rel=1e-12)
    other = generate_log(tmp_path / "b", like=like_of(log), rows=ROWS, seed=4)
    assert other.file.read_bytes() != log.file.read_bytes()


def test_a_longer_log_begins_with_the_shorter_one(log, tmp_path):
    if like_of(log) == "avazu":
        pytest.skip("its rows are spread over ten days")
    longer = generate_log(tmp_path / "a", like=like_of(log), rows=ROWS + 500, seed=3)
    assert longer.file.read_bytes().startswith(log.file.read_bytes())


@pytest.mark.parametrize("file_format", ["gz", "zst", "parquet"])
def test_every_file_format_has_the_same_rows(log, tmp_path, file_format):
    other = generate_log(
        tmp_path / "a", like=like_of(log), rows=ROWS, seed=3, file_format=file_format
    )
    if file_format == "parquet":
        prepare(other.file, tmp_path / "set", format=like_of(log), users=other.users)
        frame = pl.read_parquet(other.file)
        assert frame.cast(pl.String).rows() == read(log).rows()
        return
    assert other.file.name == f"{log.file.name}.{file_format}"
    data = other.file.read_bytes()
    text = (
        gzip.decompress(data)
        if file_format == "gz"
        else pa.CompressedInputStream(pa.py_buffer(data), "zstd").read()
    )
    assert text == log.file.read_bytes()


def test_metrics_are_those_of_the_stored_probabilities(log):
    if like_of(log) == "kdd2012":
        pytest.skip("a line counts several shows, below")
    probabilities = np.load(log.probabilities)
    frame = read(log)
    labels = frame["click" if "click" in frame.columns else frame.columns[0]].cast(pl.Int64)
    split = split_of(0, ROWS, 0)
    for name in ("all", *SPLITS):
        rows = slice(None) if name == "all" else split == SPLITS.index(name)
        own, truth = labels.to_numpy()[rows], probabilities[rows]
        found = log.metrics[name]
        assert found["shows"] == len(own)
        assert found["clicks"] == own.sum()
        assert found["bayes_log_loss"] == pytest.approx(log_loss(own, truth), rel=1e-9)
        assert found["bayes_auc"] == pytest.approx(roc_auc_score(own, truth), abs=1e-4)
        constant = log_loss(own, np.full(len(own), own.mean()))
        assert found["constant_log_loss"] == pytest.approx(constant, rel=1e-9)
        assert found["bayes_log_loss"] < constant


def test_a_line_of_kdd_counts_its_shows_and_its_label_whether_any_was_clicked(tmp_path):
    log = generate_log(tmp_path / "a", like="kdd2012", rows=20_000)
    frame = read(log)
    clicks, shows = (frame.to_series(place).cast(pl.Int64).to_numpy() for place in (0, 1))
    p = np.load(log.probabilities)
    assert (clicks <= shows).all()
    assert shows.mean() == pytest.approx(1.574, abs=0.05)
    loss = -(clicks * np.log(p) + (shows - clicks) * np.log1p(-p)).sum() / shows.sum()
    assert log.metrics["all"]["bayes_log_loss"] == pytest.approx(loss, rel=1e-9)
    assert log.metrics["all"]["shows"] == shows.sum()
    # Clicks are as often as their probabilities say, few shows or many.
    for own in (shows == 1, (shows > 1) & (shows <= 32), shows > 32):
        expected = shows[own] @ p[own]
        spread = np.sqrt((shows[own] * p[own] * (1 - p[own])).sum())
        assert abs(clicks[own].sum() - expected) < 4 * spread
    labels, of_line = clicks > 0, -np.expm1(shows * np.log1p(-p))
    lines = log.line_metrics["all"]
    assert lines["bayes_log_loss"] == pytest.approx(log_loss(labels, of_line), rel=1e-9)
    assert lines["bayes_auc"] == pytest.approx(roc_auc_score(labels, of_line), abs=1e-4)


def test_planted_interactions_are_what_single_values_do_not_explain():
    draw = Draw(CRITEO, seed=5, rows=60_000, drift=0.0, is_small=True)
    rows = draw.rows(np.arange(60_000))
    odds = Planted(CRITEO, draw, seed=5, drift=0.0)(rows)
    odds -= np.linalg.lstsq(rows.standard.T, odds, rcond=None)[0] @ rows.standard
    sizes = [p.num_values for p in draw.popularity]
    singles = [one_hot(rows.sparse[[i]].T, [size]) for i, size in enumerate(sizes)]

    def groups(of_names):
        places = [[CRITEO.index[name] for name in names] for names in of_names]
        return [one_hot(rows.sparse[own].T, [sizes[i] for i in own]) for own in places]

    small = {"C6", "C14", "C17", "C23"}
    pairs = groups([names for names in CRITEO.pairs if small.issuperset(names)])
    triples = groups([names for names in CRITEO.triples if small.issuperset(names)])
    others = groups([("C22", "C20"), ("C9", "C22"), ("C9", "C20")])
    linear, with_others, with_pairs, with_all = (
        explained(odds, [*singles, *extra]) for extra in ([], others, pairs, [*pairs, *triples])
    )
    assert with_others - linear < 0.01
    assert with_pairs - linear > 0.1
    assert with_all - with_pairs > 0.01
    assert with_all > 0.8


def test_a_drift_moves_popularity_and_effects_and_0_does_not():
    rows, count = 1_000_000, 20_000
    begin, end = np.arange(count), np.arange(rows - count, rows)

    def of(drift):
        draw = Draw(CRITEO, seed=0, rows=rows, drift=drift, is_small=False)
        planted = Planted(CRITEO, draw, seed=0, drift=drift)
        first, last = draw.rows(begin), draw.rows(end)
        column = CRITEO.index["C15"]  # 14,992 values
        heads = [(own.sparse[column] < 200).mean() for own in (first, last)]
        aged = first._replace(time=first.time * 0 + 1)
        return heads, np.corrcoef(planted(first), planted(aged))[0, 1]

    heads, same = of(0.0)
    assert heads[0] == pytest.approx(heads[1], abs=0.02)
    assert same == pytest.approx(1.0)
    heads, same = of(0.5)
    assert heads[1] == pytest.approx(heads[0] * 0.5, abs=0.03)
    assert 0.6 < same < 0.95


def test_clicks_may_depend_on_a_function_of_the_rows(tmp_path):
    def depends_on_c9(rows):
        return 3.0 * (rows.sparse[CRITEO.index["C9"]] == 0)

    log = generate_log(
        tmp_path / "a", like="criteo", rows=20_000, log_odds=depends_on_c9, signal=0.7
    )
    p = np.load(log.probabilities)
    odds = np.log(p / (1 - p))
    assert len(np.unique(odds.round(6))) == 2
    assert odds.std() == pytest.approx(0.7, abs=0.02)
    assert p.mean() == pytest.approx(0.256, abs=0.005)


def test_model_inputs_are_those_of_the_prepared_log(tmp_path):
    seen = []

    def remember(rows):
        seen.append(rows)
        return rows.sparse[13].astype(float)

    log = generate_log(
        tmp_path / "a", like="criteo", rows=ROWS, vocabulary="small", log_odds=remember
    )
    rows = max(seen, key=lambda rows: (len(rows.numbers) == ROWS, 0))
    dense, sparse = model_inputs("criteo", rows)
    features = generated_features("criteo", "small")
    assert (sparse >= 0).all()
    assert (sparse < features.cardinalities).all()
    dataset = prepare(log.file, tmp_path / "out")
    train = dataset.split("train").rows(slice(None))
    own = split_of(0, ROWS, 0) == 0
    np.testing.assert_allclose(dense[own], train.dense, rtol=1e-6)
    for i in range(26):  # the same values, by other numbers
        pairs = {*zip(sparse[own, i].tolist(), train.sparse[:, i].tolist(), strict=True)}
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"like": "movielens"}, "like: expected one of criteo, avazu, kdd2012, got 'movielens'"),
        ({"rows": 0}, "rows: expected 1 or more, got 0"),
        ({"seed": -1}, "seed: expected 0 or more, got -1"),
        ({"drift": 1.5}, "drift: expected 0 to 1, got 1.5"),
        ({"signal": 0.0}, "signal: expected more than 0"),
        ({"vocabulary": "huge"}, "vocabulary: expected one of realistic, small"),
        ({"file_format": "csv"}, "file_format: expected one of text, gz, zst, parquet"),
        ({"log_odds": lambda rows: np.zeros(3)}, r"log_odds: expected 65536 finite numbers"),
        ({"log_odds": lambda rows: np.zeros(len(rows.time))}, "numbers that differ"),
        ({"log_odds": lambda rows: rows.dense[0]}, "finite numbers"),
    ],
)
def test_bad_options_are_refused_and_leave_nothing(tmp_path, options, sentence):
    with pytest.raises(DataError, match=sentence):
        generate_log(tmp_path / "out", **({"like": "criteo", "rows": 10} | options))
    assert not list(tmp_path.iterdir())


def test_a_place_that_is_taken_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "file"):
        with pytest.raises(DataError, match="expected a new folder"):
            generate_log(place, like="criteo", rows=10)


def test_an_error_on_the_way_leaves_nothing(tmp_path):
    def fails_later(rows):
        if rows.numbers[0] == 600:
            raise RuntimeError("later")
        return rows.standard[0]

    with pytest.raises(RuntimeError, match="later"):
        generate_log(
            tmp_path / "out", like="criteo", rows=5000, log_odds=fails_later, chunk_rows=200
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("count", ["line", "impression", "weight"])
def test_a_dataset_keeps_what_the_best_model_reaches(tmp_path, count):
    log = generate_log(tmp_path / "log", like="kdd2012", rows=2000, vocabulary="small")
    metrics = log.line_metrics if count == "line" else log.metrics
    options = {"format": "kdd2012", "count": count}
    dataset = prepare(log.file, tmp_path / "out", **options)
    assert dataset.bayes_log_loss == {
        name: metrics[name]["bayes_log_loss"] for name in ("train", "validation", "test")
    }
    assert prepare(log.file, tmp_path / "out", seed=1, **options).bayes_log_loss is None


def test_a_dataset_of_other_rows_has_no_truth(tmp_path):
    log = generate_log(tmp_path / "log", like="criteo", rows=1000, vocabulary="small")
    known = prepare(log.file, tmp_path / "out").bayes_log_loss
    assert known is not None
    assert 0 < known["test"] < 1
    lines = log.file.read_text().splitlines()
    log.file.write_text("\n".join(lines[::-1]) + "\n")  # the same rows in other splits
    assert prepare(log.file, tmp_path / "out").bayes_log_loss is None
    log.file.write_text("\n".join(lines) + "\n")
    assert prepare(log.file, tmp_path / "out").bayes_log_loss == known
    (tmp_path / "log" / "truth.json").write_text("[]")
    assert prepare(log.file, tmp_path / "again").bayes_log_loss is None
