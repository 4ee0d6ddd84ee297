"""`[retrain] recipe`: what a model begins from, and a user's own options on it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasrec_opt.errors import StudyError
from nasrec_opt.options import RetrainStageConfig
from nasrec_opt.pipeline import StudyConfig
from nasrec_opt.retrain import RetrainConfig

STUDIES = Path(__file__).parents[2] / "studies"
# Options that both recipes read.
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "batch_size": st.integers(1, 4096),
        "epochs": st.integers(1, 9),
        "averaging": st.sampled_from([0.5, 0.9]),
        "balance": st.booleans(),
        "learning_rates": st.lists(st.floats(1e-3, 1), min_size=1, max_size=3).map(tuple),
    },
)


def study_of(tmp_path: Path, text: str) -> StudyConfig:
    path = tmp_path / "study.toml"
    path.write_text(text)
    return StudyConfig.from_toml(path)


def test_a_study_states_only_what_differs_from_the_recipe(tmp_path):
    read = study_of(tmp_path, '[retrain]\nrecipe = "paper"\n[retrain.model]\nbatch_size = 512\n')
    assert read.retrain.model == RetrainConfig.paper(batch_size=512)
    assert study_of(tmp_path, '[retrain]\nrecipe = "paper"').retrain.model == RetrainConfig.paper()
    assert RetrainStageConfig(recipe="paper").model == RetrainConfig.paper()
    assert study_of(tmp_path, '[retrain]\nrecipe = "small_log"').retrain == RetrainStageConfig()


@given(OPTIONS)
def test_another_recipe_keeps_a_users_own_options(options):
    stage = RetrainStageConfig(model=RetrainConfig(**options))
    paper = stage.with_recipe("paper")
    assert paper.model == RetrainConfig.paper(**options)
    again = asdict(paper.with_recipe("small_log").model)
    usual = asdict(RetrainConfig.paper())
    for name, value in asdict(stage.model).items():
        if value != usual[name]:  # one that equals a recipe's is part of that recipe
            assert again[name] == value


@pytest.mark.parametrize("name", ["criteo_small", "criteo_full", "avazu", "kdd"])
def test_the_studies_of_the_paper_train_as_published(name):
    study = StudyConfig.from_toml(STUDIES / f"{name}.toml")
    assert study.retrain.model == RetrainConfig.paper()
    model = study.retrain.model
    assert (model.optimizer, model.epsilon, model.clip_norm) == ("adagrad", 1e-2, 5.0)
    assert (model.epochs, model.batch_size, model.rate_warmup_fraction) == (1, 256, 0.1)
    assert min(model.learning_rates) == 0.1
    assert max(model.learning_rates) == 0.2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('recipe = "papers"', "recipe: expected one of 'small_log', 'paper'"),
        ('recipe = "paper"\nmodel = 3', "model: expected a table, got 3"),
        (
            'recipe = "paper"\n[retrain.model]\nembedding_rate = 0.1',
            "embedding_rate: expected only",
        ),
    ],
)
def test_a_wrong_recipe_is_refused(tmp_path, text, sentence):
    with pytest.raises(StudyError, match=sentence):
        study_of(tmp_path, f"[retrain]\n{text}\n")
