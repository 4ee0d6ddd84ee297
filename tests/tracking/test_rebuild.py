"""Invariant 6: a trial in MLflow is enough to rebuild its model."""

from __future__ import annotations

import pytest
from tracking import studies

pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")

import torch
from mlflow.tracking import MlflowClient

from nasrec_opt import FeatureSpec, Subnet, __version__
from nasrec_opt.errors import StudyError
from nasrec_opt.space import Genotype
from nasrec_opt.tracking import MLflowLogger, genotype_of, rebuild, recipe_of

FEATURES = FeatureSpec(3, (5, 7), embedding_dim=8)
SUMMARY = {"source": "logs/day_0.tsv", "fingerprint": "c0ffee" * 8, "rows": {"train": 80}}


def run_of(uri: str, number: int):
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("toy").experiment_id
    (run,) = client.search_runs([experiment], f"tags.`nasrec.trial` = '{number}'")
    return client.get_run(run.info.run_id)


def logged(uri: str, study, **options):
    with MLflowLogger(uri, **options) as logger:
        logger.log_dataset(study, SUMMARY, features=FEATURES)
        study.optimize(studies.objective, n_trials=2, callbacks=[logger])
    return study


def test_a_run_alone_gives_the_model_back(uri):
    study = logged(uri, studies.create(), seeds={"model": 11})
    for trial in study.trials:
        run = run_of(uri, trial.number)
        genotype = Genotype.from_json(trial.user_attrs["genotype"])
        ours = rebuild(run).state_dict()
        theirs = Subnet(genotype, FEATURES, 11).state_dict()
        assert genotype_of(run) == genotype
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_recipe_holds_data_seeds_and_version(uri):
    logged(uri, studies.create(), tags={"nasrec.seed": "3"}, seeds={"search": 4})
    recipe = recipe_of(run_of(uri, 1))
    assert recipe.data_fingerprint == SUMMARY["fingerprint"]
    assert recipe.features == FEATURES
    assert recipe.seeds == {"study": 3, "search": 4}
    assert recipe.version == __version__


@pytest.mark.parametrize(("tag", "bits"), [("false", 32), ("true", 8), (None, 8)])
def test_a_model_has_the_bits_of_its_genotype_but_for_old_runs_that_ignored_them(uri, tag, bits):
    study = logged(uri, studies.create())
    genotype = Genotype.from_json(study.trials[0].user_attrs["genotype"])
    run = run_of(uri, 0)
    assert "nasrec.quantized" not in run.data.tags
    if tag is not None:
        MlflowClient(uri).set_tag(run.info.run_id, "nasrec.quantized", tag)
        run = run_of(uri, 0)
    assert genotype == genotype.with_bits(8)
    assert recipe_of(run).genotype == rebuild(run).genotype == genotype.with_bits(bits)


def test_data_logged_before_a_kill_is_known_after_it(uri):
    study = logged(uri, studies.create())
    with MLflowLogger(uri) as logger:
        study.optimize(studies.objective, n_trials=1, callbacks=[logger])
    assert recipe_of(run_of(uri, 2)).features == FEATURES


def test_run_without_a_shape_is_one_sentence(uri):
    study = studies.create()
    with MLflowLogger(uri) as logger:
        study.optimize(studies.objective, n_trials=1, callbacks=[logger])
    with pytest.raises(StudyError, match=r"run \w+: expected the tag 'nasrec.features', got none"):
        rebuild(run_of(uri, 0))


def test_run_without_a_genotype_is_one_sentence(uri):
    client = MlflowClient(uri)
    with pytest.raises(StudyError, match=r"expected the tag 'nasrec\.genotype', got none"):
        genotype_of(client.create_run("0"))
