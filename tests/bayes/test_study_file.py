"""`sampler = "pool_bayes"` in a study file."""

from __future__ import annotations

import pytest
from conftest import TINY_STUDY

from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline import StudyConfig

TABLE = "[search.pool_bayes]\nnum_startup = 6\npool_size = 16\nbatch_size = 4\n"


def test_a_study_file_searches_by_that_sampler(cli, tmp_path):
    pytest.importorskip("botorch", reason="the extra 'bayes' is not installed")
    path = tmp_path / "tiny.toml"
    text = TINY_STUDY.replace("n_trials = 12", "n_trials = 9") + TABLE
    path.write_text(text.replace('"evolution"', '"pool_bayes"'))
    result = cli("search", path, "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    assert "9 trials by pool_bayes" in result.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("batch_size = 0", "batch_size: expected a positive integer, got 0"),
        ("pool_size = 8\nbatch_size = 9", "batch_size: expected at most the pool of 8, got 9"),
        ("pool = 3", "pool"),
    ],
)
def test_a_wrong_option_is_one_sentence(tmp_path, line, message):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY_STUDY + f"[search.pool_bayes]\n{line}\n")
    with pytest.raises(StudyError, match=message):
        StudyConfig.from_toml(path)
