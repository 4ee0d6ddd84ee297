"""The study of worth end to end, on logs of some hundred rows and budgets of a second."""

from __future__ import annotations

import json
import re
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from patience import PATIENCE_S
from scipy import stats

from nasrec_opt.data import Dataset
from nasrec_opt.pipeline import StudyConfig, run_study
from nasrec_opt.retrain import logistic_regression, retrain
from studies import _workers
from studies._anytime import OutOfTime, Race
from studies._statistics import paired_difference
from studies._worth_contenders import Bench, contenders
from studies._worth_plan import Plan
from studies._worth_report import write_report
from studies.worth import alone, main, read_seeds

STUDY = """
name = "tiny"
[data]
min_count = 4
binned_dense = true
[space]
num_blocks = 1
[supernet]
batch_size = 64
epochs = 1
[oracle]
fidelity = "last_layer"
[search]
n_trials = 4
[search.ladder]
models = 3
[retrain]
top = 2
[retrain.model]
batch_size = 64
epochs = 2
least_steps = 0
"""
PLAN = """
study = "study.toml"
[logs]
tiny = { rows = 600, budget_s = 1e6 }
brief = { rows = 600, budget_s = 1 }
table = { source = "shop", budget_s = 1 }
[schemas]
shop = { label = "label" }
[without]
last-layer = { oracle.fidelity = "supernet" }
[paper]
study = "study.toml"
tables = ["search"]
"""


@pytest.fixture(scope="module", autouse=True)
def forked_workers():
    """Fresh workers load all libraries, which takes seconds: one killed test does with them."""
    own = _workers._context

    def forked(is_fresh: bool) -> object:
        assert is_fresh  # CPU seconds of a contender are those of its own process
        return own(False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_workers, "_context", forked)
        yield


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    (folder / "study.toml").write_text(STUDY)
    (folder / "plan.toml").write_text(PLAN)
    return folder / "plan.toml"


def arguments(folder: Path, plan_file: Path, **options) -> list[str]:
    options = {"out": folder, "plan": plan_file, "logs": "tiny", "seeds": "0,1"} | options
    return [f"--{name}={value}" for name, value in options.items()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, plan):
    """Contenders that end by themselves, long before their time is over."""
    folder = tmp_path_factory.mktemp("worth") / "run"
    assert main(arguments(folder, plan, contenders="default,logistic")) == 0
    return folder


def results(folder: Path) -> dict[tuple[str, int], dict]:
    rows = pl.read_parquet(folder / "results.parquet").to_dicts()
    return {(row["contender"], row["seed"]): row for row in rows}


def test_a_result_is_what_the_chain_comes_to(finished, tmp_path):
    row = results(finished)["default", 1]
    study = finished / "studies" / "tiny" / "default.toml"
    config = StudyConfig.from_toml(study)
    data = replace(config.data, synthetic_seed=1, split_seed=1)
    run_study(replace(config, seed=1, data=data), tmp_path / "run", until="retrain")
    came = json.loads((tmp_path / "run" / "retrained" / "results.json").read_text())
    assert row["name"][:2] == ["constant", "logistic_regression"]
    assert row["name"][-1] == "final"
    assert row["is_final"] == [False, False, False, False, True]
    final = (row["validation"][-1], row["test"][-1])
    assert final == (came["winner"]["validation_log_loss"], came["winner"]["test_log_loss"])
    assert final[0] == min(row["validation"])
    expected = {
        (known["validation_log_loss"], known["test_log_loss"])
        for known in (*came["models"], *came["baselines"].values())
    }
    assert set(zip(row["validation"], row["test"], strict=True)) == expected
    assert row["seconds"] == sorted(row["seconds"])
    assert row["spent_s"] >= row["seconds"][-1] > 0


def test_a_seed_is_another_log(finished):
    rows = results(finished)
    assert rows["default", 0]["constant"] != rows["default", 1]["constant"]
    assert rows["default", 0]["constant"] == rows["logistic", 0]["constant"]
    for seed in (0, 1):
        log = Dataset.open(finished / "logs" / f"tiny-{seed}" / "dataset")
        assert rows["logistic", seed]["test"] == [logistic_regression(log).test_log_loss]


def test_the_table_holds_pairs_of_a_seed_against_each_other(finished):
    text = (finished / "worth.md").read_text()
    rows = results(finished)
    others, ours = (
        [rows[name, seed]["test"][-1] for seed in (0, 1)] for name in ("logistic", "default")
    )
    assert f"| ours, by default | {np.mean(ours):.4f} |" in text
    found = paired_difference(others, ours)
    cell = f"{np.mean(others):.4f}; {found.in_words()}"
    assert text.count(cell) == 3
    svg = (finished / "worth.svg").read_text()
    assert svg.count("logistic regression") == 1
    assert "<svg" in svg


def test_seeds_are_added_and_nothing_is_done_twice(finished, plan):
    before = pl.read_parquet(finished / "results.parquet")
    assert main(arguments(finished, plan, contenders="logistic", seeds="0..2")) == 0
    after = pl.read_parquet(finished / "results.parquet")
    assert after.head(len(before)).equals(before)
    assert after.tail(1)["seed"].to_list() == [2]
    assert len(after) == len(before) + 1
    text = (finished / "worth.md").read_text()
    assert re.search(r"\| ours, by default .* \| 2 \|\n", text)  # it is still there
    assert re.search(r"\| logistic regression .* \| 3 \|\n", text)


def test_a_longer_run_serves_for_a_shorter_budget(finished, plan):
    before = pl.read_parquet(finished / "results.parquet")
    end = results(finished)["default", 0]["seconds"][0]
    options = {"contenders": "default,logistic", "seeds": "0", "budget": end}
    assert main(arguments(finished, plan, **options)) == 0
    assert pl.read_parquet(finished / "results.parquet").equals(before)
    text = (finished / "worth.md").read_text()
    assert f"test log loss after | {end / 4:g} s | {end / 2:g} s | {end:g} s" in text
    ours = next(line for line in text.splitlines() if "ours, by default" in line)
    assert ours.count("no model yet") >= 2  # seed 0 has its first model at the end, not before


def test_changed_settings_are_measured_anew(finished, plan, tmp_path):
    changed = tmp_path / "plan.toml"
    changed.write_text(PLAN)
    (tmp_path / "study.toml").write_text(STUDY.replace("top = 2", "top = 1"))
    before = results(finished)["default", 0]
    assert main(arguments(finished, changed, contenders="default", seeds="0")) == 0
    after = results(finished)["default", 0]  # the later one
    assert after["settings"] != before["settings"]
    assert len(after["seconds"]) == 4  # two baselines, one model, and the final answer
    assert len(re.findall(r"\| ours, by default .* \| 1 \|\n", (finished / "worth.md").read_text()))


class ShortRace(Race):
    """Time is over with the second model, however fast the machine is."""

    def finished(self, *model, **options) -> None:
        super().finished(*model, **options)
        if len(self.events) == 2:
            raise OutOfTime


@pytest.fixture
def bench(finished, tmp_path):
    """A contender's place, with the log of seed 0."""
    folder = tmp_path / "run"
    config = StudyConfig.from_toml(finished / "studies" / "tiny" / "default.toml")
    run = run_study(config, folder, until="prepare")
    return Bench(run, ShortRace(1e6, "cpu"), tmp_path / "models")


@pytest.mark.parametrize("name", ["random", "tpe-hyperband", "nsga2"])
def test_searches_from_scratch_train_until_their_time_is_over(name, bench, plan):
    with pytest.raises(OutOfTime):
        contenders(Plan.from_toml(plan))[name].compete(bench)
    assert len(bench.race.events) == 2
    assert not list(bench.folder.glob("*"))  # weights do not pile up
    assert [e.seconds for e in bench.race.events] == sorted(e.seconds for e in bench.race.events)


def test_random_models_alone_are_read_off_the_race_that_averages_them(tmp_path, plan):
    given = arguments(tmp_path, plan, logs="brief", seeds="0", contenders="random", budget="3")
    ledger = tmp_path / "results.parquet"
    assert main(given) == 0
    [row] = pl.read_parquet(ledger).to_dicts()
    assert row["contender"] == "random-averaged"
    told = alone(row)
    assert [name for name in row["name"] if name != "ensemble"] == told["name"] != []
    assert len({len(told[field]) for field in ("seconds", "validation", "test", "is_final")}) == 1
    before = ledger.read_bytes()
    assert main(given) == 0  # nothing to do again
    assert ledger.read_bytes() == before
    page = (tmp_path / "worth.md").read_text()
    assert "| random, from scratch |" in page
    assert "| random, from scratch, averaged |" in page


def test_random_models_are_averaged_as_ours_are(bench, plan):
    config = bench.run.config
    model = replace(config.retrain.model, learning_rates=(0.006,), epochs=6, batch_size=32)
    bench.run.config = replace(config, retrain=replace(config.retrain, ensemble=3, model=model))

    class LongerRace(Race):
        def check(self, *_):
            if any(event.name == "ensemble" for event in self.events) or len(self.events) > 12:
                raise OutOfTime

    longer = replace(bench, race=LongerRace(1e6, "cpu"))
    with pytest.raises(OutOfTime):
        contenders(Plan.from_toml(plan))["random-averaged"].compete(longer)
    models = [event for event in longer.race.events if event.name != "ensemble"]
    averaged = [event for event in longer.race.events if event.name == "ensemble"]
    [event] = averaged  # better on validation rows than any model that there was
    assert event.validation < min(model.validation for model in models)
    assert len(models) >= 2
    assert not list(bench.folder.glob("*"))


def test_a_model_from_scratch_has_the_recipe_of_the_chain(bench, tmp_path):
    genotype = bench.run.config.space.build().sample(np.random.default_rng(0))
    bench.train(genotype, "one")
    reported: list[float] = []
    with pytest.raises(OutOfTime):  # after the second model
        bench.train(genotype, "two", lambda _, value: reported.append(value))
    model = retrain(genotype, bench.dataset, tmp_path / "model", bench.run.config.retrain.model)
    for event in bench.race.events:
        assert (event.validation, event.test) == (model.validation_log_loss, model.test_log_loss)
    assert reported == sorted(reported, reverse=True)  # of the best weights so far
    assert reported[-1] == pytest.approx(model.validation_log_loss)


@pytest.mark.parametrize("name", ["handmade", "deepfm"])
def test_hand_made_models_are_tuned_until_their_time_is_over(name, bench, plan):
    pytest.importorskip("deepctr_torch")
    with pytest.raises(OutOfTime):
        contenders(Plan.from_toml(plan))[name].compete(bench)
    assert {e.name for e in bench.race.events} <= {"DeepFM", "WDL", "DCN", "xDeepFM", "AutoInt"}


def test_a_chain_out_of_time_has_no_model_and_a_log_without_a_file_is_skipped(
    plan, tmp_path, capsys
):
    options = {"logs": "table,brief", "budget": "1e-3", "contenders": "default", "seeds": "0"}
    assert main(arguments(tmp_path / "run", plan, **options)) == 0
    assert "table: skipped, name its file: --data shop=FILE" in capsys.readouterr().err
    assert (tmp_path / "run" / "worth.md").read_text().count("(no model yet)") == 3
    row = pl.read_parquet(tmp_path / "run" / "results.parquet").row(-1, named=True)
    assert (row["log"], row["seconds"]) == ("brief", [])


def test_the_constant_counts_before_the_first_model(tmp_path):
    row = {
        "log": "a", "seed": 0, "contender": "default", "budget_s": 8.0, "clock": "cpu",
        "commit": "abc", "constant": 0.6, "seconds": [3.0, 5.0], "validation": [0.4, 0.3],
        "test": [0.45, 0.35], "name": ["", ""], "is_final": [False, False],
    }  # fmt: skip
    other = row | {"contender": "other", "seconds": [1.0, 9.0]}
    rows = [r | {"seed": seed} for seed in (0, 1) for r in (row, other)]
    write_report(tmp_path, rows, {"default": "ours", "other": "theirs"})
    text = (tmp_path / "worth.md").read_text()
    assert "| ours | 0.6000 (no model yet) | 0.4500 | 0.3500 | 2 | 2 |" in text
    better, same, worse = "-0.1500 ± 0.0000 better", "+0.0000 ± 0.0000", "+0.1000 ± 0.0000 worse"
    assert f"| theirs | 0.4500; {better} | 0.4500; {same} | 0.4500; {worse} | 1 | 2 |" in text


def test_the_interval_is_students():
    own, others = [0.5, 0.52, 0.49, 0.55], [0.51, 0.5, 0.5, 0.5]
    found = paired_difference(own, others)
    expected = stats.ttest_rel(own, others).confidence_interval(0.95)
    assert found.mean - found.half_width == pytest.approx(expected.low)
    assert found.mean + found.half_width == pytest.approx(expected.high)
    assert paired_difference([0.5], [0.4]).in_words() == "+0.1000"


def test_a_page_gets_tables_and_picture(finished, plan, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- tiny -->\nold\n<!-- end -->\nafter\n")
    assert main(arguments(finished, plan, contenders="logistic", seeds="0", write=page)) == 0
    text = page.read_text()
    assert "| logistic regression |" in text
    assert "old" not in text
    assert text.endswith("after\n")
    assert (tmp_path / "page.svg").read_bytes() == (finished / "worth.svg").read_bytes()


def test_a_log_of_ones_own(plan, tmp_path):
    rng = np.random.default_rng(0)
    lines = [f"{rng.integers(2)},{rng.integers(3)},{rng.integers(5)}\n" for _ in range(300)]
    (tmp_path / "shop.csv").write_text("label,item,user\n" + "".join(lines))
    options = {"data": f"shop={tmp_path / 'shop.csv'}", "contenders": "logistic", "logs": "table"}
    assert main(arguments(tmp_path / "run", plan, seeds="3", **options)) == 0
    result = pl.read_parquet(tmp_path / "run" / "results.parquet")
    log = Dataset.open(tmp_path / "run" / "logs" / "table-3" / "dataset")
    assert result["test"].to_list() == [[logistic_regression(log).test_log_loss]]
    assert log.meta["sparse_columns"] == ["item", "user"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"contenders": "default,hyper"}, "contenders: expected some of .*, got 'hyper'"),
        ({"logs": "tiny,huge"}, "logs: expected some of tiny, brief, table, got 'huge'"),
        ({"seeds": "4..0"}, "seeds: expected a list such as 0..4 or 0,3,7, got '4..0'"),
        ({"seeds": "x"}, "seeds: expected a list"),
        ({"seeds": "0..99999999999"}, "seeds: expected a list"),
        ({"workers": 0}, "workers: expected above 0, got 0"),
        ({"budget": "-1"}, "budget: expected above 0, got -1"),
        ({"budget": "nan"}, "budget: expected above 0, got nan"),
        ({"write": "gone.md"}, "write: expected a page that exists, got gone.md"),
        ({"data": "kdd=x.txt"}, "data: expected a source of shop, got 'kdd'"),
        ({"plan": "gone.toml"}, "gone.toml: expected a TOML file, found nothing there"),
    ],
)
def test_bad_options_are_one_sentence(options, sentence, plan, tmp_path, capsys):
    assert main(arguments(tmp_path / "run", plan, **options)) == 2
    assert re.match(f"worth: {sentence}", capsys.readouterr().err)
    assert not (tmp_path / "run" / "results.parquet").exists()


@pytest.mark.parametrize(
    ("text", "seeds"), [("0..2", [0, 1, 2]), ("3", [3]), ("0, 5..6,0", [0, 5, 6])]
)
def test_seeds(text, seeds):
    assert read_seeds(text) == seeds


def test_a_killed_study_goes_on(plan, start_code, tmp_path):
    folder = tmp_path / "run"
    options = arguments(folder, plan, contenders="logistic", logs="brief", seeds="0..2")
    process = start_code("from studies.worth import main; main()", *options)
    deadline = time.monotonic() + PATIENCE_S
    while not (folder / "results.parquet").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.stop(signal.SIGKILL)
    before = pl.read_parquet(folder / "results.parquet")
    assert 1 <= len(before) < 3
    assert main(options) == 0
    after = pl.read_parquet(folder / "results.parquet")
    assert after.head(len(before)).equals(before)
    assert after["seed"].sort().to_list() == [0, 1, 2]
    assert not list(folder.glob(".race-*"))  # nothing is left of who was killed
