"""What the dashboard and MLflow are given beside a study's numbers."""

from __future__ import annotations

import json
import sys

import numpy as np
import optuna
import pytest
from tracking import studies

from nasrec_opt.features import FeatureSpec
from nasrec_opt.pipeline import StudyConfig
from nasrec_opt.pipeline._dashboard import (
    describe,
    files_of_models,
    show_front,
    show_importances,
)
from nasrec_opt.pipeline._identity import settings_in_force
from nasrec_opt.report._figures import MOST_IMPORTANT
from nasrec_opt.space import Genotype
from nasrec_opt.tracking import NullTracker

FEATURES = FeatureSpec(num_dense=2, cardinalities=(10, 20))


@pytest.fixture
def study(tmp_path) -> optuna.Study:
    toy = studies.create(f"sqlite:///{tmp_path}/study.db")
    toy.optimize(studies.objective, n_trials=8)
    return toy


def artifacts_of(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> list[dict]:
    """As optuna-dashboard finds them."""
    backend = pytest.importorskip("optuna_dashboard.artifact._backend")
    attributes = study._storage.get_study_system_attrs(study._study_id)
    return backend.list_trial_artifacts(attributes, trial.system_attrs, trial)


def plots_of(study: optuna.Study) -> dict[str, str]:
    """As optuna-dashboard finds them."""
    custom_plots = pytest.importorskip("optuna_dashboard._custom_plot_data")
    attributes = study._storage.get_study_system_attrs(study._study_id)
    return custom_plots.get_plotly_graph_objects(attributes)


def test_pareto_optimal_trials_have_their_drawings_once(study, tmp_path):
    for _ in range(2):  # a run that is taken up again does it again
        assert show_front(study, tmp_path / "drawings", FEATURES, NullTracker()) == len(
            study.best_trials
        )
    front = {trial.number for trial in study.best_trials}
    for trial in study.trials:
        found = artifacts_of(study, trial)
        assert len(found) == (trial.number in front)
        for artifact in found:
            assert artifact["filename"] == "architecture.svg"
            drawing = (tmp_path / "drawings" / artifact["artifact_id"]).read_text()
            assert drawing.startswith("<?xml")
            assert str(max(b.dense_width for b in genotype_of(trial).blocks)) in drawing


def genotype_of(trial: optuna.trial.FrozenTrial) -> Genotype:
    return Genotype.from_trial(trial)


def test_the_note_has_the_settings_and_a_persons_words_stay(study):
    dashboard = pytest.importorskip("optuna_dashboard")
    settings = {"name": "toy", "seed": 3, "search": {"sampler": "evolution", "ax": {}, "x": None}}
    describe(study, settings)
    note = dashboard.get_note(study)
    assert note == (
        "# toy\n\nMinimised: log_loss, latency_us, energy_uj.\n- name: `toy`\n- seed: `3`\n\n"
        "## search\n\n- sampler: `evolution`"
    )
    dashboard.save_note(study, f"{note}\n\nLooks good.")
    describe(study, settings | {"seed": 4})
    assert dashboard.get_note(study).endswith("- sampler: `evolution`\n\nLooks good.")


@pytest.mark.parametrize(
    ("study_file", "source", "used", "unused"),
    [
        ("", "synthetic", {"synthetic_rows", "evolution"}, {"split_seed", "ax", "pool_bayes"}),
        ('[search]\nsampler = "tpe"', "log.txt", {"split_seed"}, {"synthetic_rows", "evolution"}),
        ('[search]\nengine = "ax"', "log.txt", {"ax", "engine"}, {"sampler", "pool_bayes"}),
        ('[oracle]\nfidelity = "fine_tune"', "log.txt", {"fine_tune"}, {"scratch"}),
    ],
)
def test_the_note_leaves_out_what_a_study_does_not_use(tmp_path, study_file, source, used, unused):
    path = tmp_path / "study.toml"
    path.write_text(study_file)
    settings = settings_in_force(StudyConfig.from_toml(path), source)
    names = {name for part in ("data", "oracle", "search") for name in settings[part]}
    assert settings["data"]["source"] == source
    assert used <= names
    assert not unused & names


def test_the_note_of_a_prepared_dataset_names_no_option_of_a_log():
    settings = settings_in_force(StudyConfig(name="study"), "prepared", is_dataset=True)
    assert set(settings["data"]) == {"source", "min_count", "binned_dense"}


def test_a_study_of_enough_trials_has_one_plot_of_its_most_important_parameters(study):
    show_importances(study)
    assert plots_of(study) == {}  # eight trials say nothing
    study.optimize(studies.objective, n_trials=16)
    for _ in range(2):  # a run that is taken up again does it again
        show_importances(study)
    [(name, figure)] = plots_of(study).items()
    assert name == "importances"
    bars = json.loads(figure)["data"]
    assert [bar["name"] for bar in bars] == ["log loss", "latency (µs)", "energy (µJ)"]
    assert 0 < len(bars[0]["y"]) <= MOST_IMPORTANT


def test_without_optuna_dashboard_there_are_drawings_and_no_note(study, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)  # as if it were not installed
    describe(study, {"name": "toy"})
    assert show_front(study, tmp_path / "drawings", FEATURES, NullTracker()) > 0
    study.optimize(studies.objective, n_trials=16)
    show_importances(study)
    attributes = study._storage.get_study_system_attrs(study._study_id)
    assert not [name for name in attributes if "note" in name or "plot" in name]


def test_a_model_too_large_to_copy_is_left_where_it_is(tmp_path, monkeypatch):
    genotype = studies.SPACE.sample(np.random.default_rng(0))
    folders = [tmp_path / "small", tmp_path / "large"]
    for folder, size in zip(folders, (10, 1000), strict=True):
        (folder / "model").mkdir(parents=True)
        (folder / "model" / "weights").write_bytes(bytes(size))
    monkeypatch.setattr("nasrec_opt.pipeline._dashboard.MAX_MODEL_BYTES", 500)
    models = [{"genotype": genotype.to_dict()}] * 2

    with files_of_models(models, folders, FEATURES) as found:
        names = [[path.name for path in paths] for paths in found]
    assert names == [
        ["architecture.svg", "genotype.json", "model"],
        ["architecture.svg", "genotype.json"],
    ]
