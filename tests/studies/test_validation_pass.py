"""The study of the validation pass end to end on tiny logs, held against models of `retrain`."""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl
import pytest

from nasrec_opt._recipe import min_count
from nasrec_opt.data import Dataset
from nasrec_opt.retrain import RetrainConfig, answers_of, retrain
from studies import validation_pass
from studies.recipe import Log, models

LOG = Log("synthetic", 3, 600)
Config = partial(RetrainConfig, epochs=2)  # or a model takes seconds


@pytest.fixture(scope="module", autouse=True)
def small_study():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation_pass, "LOGS", (LOG,))
        patch.setattr(validation_pass, "RetrainConfig", Config)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pass")
    assert validation_pass.main(["--out", str(folder), "--models", "1"]) == 0
    first = pl.read_parquet(folder / "models.parquet")
    page = folder / "page.md"
    page.write_text("# Page\n\n<!-- gains -->\n<!-- end -->\n")
    arguments = ["--out", str(folder), "--models", "2", "--write", str(page)]
    assert validation_pass.main(arguments) == 0
    return folder, first


def test_the_table_has_the_log_losses_of_models_that_are_trained_with_and_without(
    finished, tmp_path
):
    folder, _ = finished
    path = folder / "logs" / "synthetic-3-600"
    dataset = Dataset.open(path, min_count=min_count(480), binned_dense=True)
    chance = np.load(path / "test" / "probabilities.npy").astype(float)
    means = []
    for is_on in (False, True):
        losses = []
        for number, genotype in enumerate(models(2)):
            config = Config(seed=number, validation_pass=is_on)
            model = retrain(genotype, dataset, tmp_path / f"{number}-{is_on}", config)
            logits = answers_of(model.weights()[0], dataset, "test").astype(float)
            losses.append(np.mean(np.logaddexp(0, logits) - chance * logits))
        means.append(f"{np.mean(losses):.4f}")
    page = (folder / "page.md").read_text()
    cells = [cell.strip() for cell in page.splitlines()[-2].split("|")[1:-1]]
    assert cells[0] == LOG.name
    assert cells[1:3] == means
    assert means[0] != means[1]


def test_a_second_start_trains_only_what_is_missing(finished):
    folder, first = finished
    second = pl.read_parquet(folder / "models.parquet")
    assert second.filter(pl.col("model") == 0).equals(first)
    assert len(second) == 2


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--models", "0"], "models: expected 1 or more, got 0"),
        (["--write", "none.md"], "write: expected a page that exists, got none.md"),
    ],
)
def test_bad_options_are_refused(option, message, tmp_path, capsys):
    assert validation_pass.main(["--out", str(tmp_path), *option]) == 2
    assert message in capsys.readouterr().err
