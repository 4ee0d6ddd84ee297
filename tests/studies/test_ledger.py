import polars as pl
import pytest

from nasrec_opt.errors import StudyError
from studies._ledger import Ledger


def test_results_are_there_after_a_kill(tmp_path):
    path = tmp_path / "results.parquet"
    tasks = [{"subnet": i, "folder": "x"} for i in range(3)]
    first = Ledger(path, ["subnet"])
    first.add({"subnet": 1, "log_loss": 0.5})
    again = Ledger(path, ["subnet"])  # what another process reads
    assert again.rows == [{"subnet": 1, "log_loss": 0.5}]
    assert again.missing(tasks) == [tasks[0], tasks[2]]
    again.add({"subnet": 0, "log_loss": None})
    assert pl.read_parquet(path)["subnet"].to_list() == [1, 0]


@pytest.mark.parametrize("content", [b"", b"no table", None])
def test_what_is_no_ledger_is_named(tmp_path, content):
    path = tmp_path / "results.parquet"
    if content is None:
        pl.DataFrame({"other": [1]}).write_parquet(path)
    else:
        path.write_bytes(content)
    with pytest.raises(StudyError, match=r"results\.parquet: expected results of this study"):
        Ledger(path, ["subnet"])


def test_a_column_that_came_later_counts_as_it_was_before(tmp_path):
    path = tmp_path / "results.parquet"
    Ledger(path, ["subnet"]).add({"subnet": 1, "log_loss": 0.5})
    ledger = Ledger(path, ["subnet", "repeat"], later={"repeat": 0})
    tasks = [{"subnet": 1, "repeat": repeat} for repeat in (0, 1)]
    assert ledger.missing(tasks) == [tasks[1]]
    ledger.add(tasks[1] | {"log_loss": 0.4})
    again = Ledger(path, ["subnet", "repeat"], later={"repeat": 7})  # there now: it stays
    assert again.missing(tasks) == []


def test_a_row_that_is_not_the_last_word_is_replaced(tmp_path):
    path, tasks = tmp_path / "results.parquet", [{"subnet": 0}, {"subnet": 1}]

    def opened() -> Ledger:
        return Ledger(path, ["subnet"], is_done=lambda row: row["is_over"])

    opened().add({"subnet": 0, "is_over": False})
    ledger = opened()
    ledger.add({"subnet": 1, "is_over": True})
    assert ledger.missing(tasks) == opened().missing(tasks) == [tasks[0]]
    ledger.add({"subnet": 0, "is_over": True})
    assert ledger.missing(tasks) == []
    assert opened().rows == [{"subnet": 1, "is_over": True}, {"subnet": 0, "is_over": True}]
