"""Invariant 6: a trial in MLflow is enough to rebuild its model."""

from __future__ import annotations

import json

import optuna
import pytest
from tracking import studies

pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")

import torch
from mlflow.tracking import MlflowClient

from hw import ReRAM
from nasrec_opt import (
    FeatureSpec,
    FunctionOracle,
    Genotype,
    Objective,
    SearchSpace,
    Subnet,
    Supernet,
    SupernetOracle,
    __version__,
    search,
)
from nasrec_opt.data import generate_synthetic
from nasrec_opt.errors import StudyError
from nasrec_opt.tracking import MLflowLogger, genotype_of, rebuild, recipe_of

FEATURES = FeatureSpec(3, (5, 7), embedding_dim=8)
SUMMARY = {"source": "logs/day_0.tsv", "fingerprint": "c0ffee" * 8, "rows": {"train": 80}}


def run_of(uri: str, number: int):
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("toy").experiment_id
    (run,) = client.search_runs([experiment], f"tags.`nasrec.trial` = '{number}'")
    return client.get_run(run.info.run_id)


def logged(uri: str, study, **options):
    objective = Objective(studies.SPACE, lambda genotype: 0.5, features=FEATURES)
    with MLflowLogger(uri, **options) as logger:
        logger.log_study(study, objective)
        logger.log_dataset(study, SUMMARY, features=FEATURES)
        study.optimize(studies.objective, n_trials=2, callbacks=[logger])
    return study


def test_a_run_alone_gives_the_model_back(uri):
    study = logged(uri, studies.create(), seeds={"model": 11})
    for trial in study.trials:
        run = run_of(uri, trial.number)
        genotype = Genotype.from_json(trial.user_attrs["genotype"])
        ours = rebuild(run).state_dict()
        theirs = Subnet(genotype, FEATURES, 11, max_table_rows=500_000).state_dict()
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


@pytest.mark.parametrize("balance", [True, False])
@pytest.mark.parametrize("is_made_here", [True, False])
def test_a_codesign_search_as_the_readme_has_it_is_rebuilt_exactly(
    uri, tmp_path, balance, is_made_here
):
    """The model of a trial with the supernet's weights scores as the trial did."""
    dataset = generate_synthetic(tmp_path / "dataset", rows=600, seed=0)
    space = SearchSpace.codesign(num_blocks=2)
    supernet = Supernet(space, dataset.features, seed=0, balance=balance, max_table_rows=9)
    oracle = SupernetOracle(supernet, dataset)
    objective = Objective(space, oracle, accelerator=ReRAM())
    if is_made_here:
        study = objective.create_study(study_name="toy")
    else:
        study = optuna.create_study(study_name="toy", directions=objective.directions)
    with MLflowLogger(uri) as logger:
        if not is_made_here:
            logger.log_study(study, objective)
        search(study, objective, n_trials=6, callbacks=[logger])
    rows = dataset.split("validation").rows(slice(None))
    complete = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    assert complete
    for trial in complete:
        run = run_of(uri, trial.number)
        model, genotype = rebuild(run).eval(), Genotype.from_trial(trial)
        assert model.genotype == genotype
        model.load_state_dict(supernet.extract(genotype).state_dict())
        with torch.inference_mode():
            logits = model(torch.from_numpy(rows.dense), torch.from_numpy(rows.sparse))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, torch.from_numpy(rows.labels).float()
        )
        assert float(loss) == pytest.approx(trial.values[0], abs=1e-5)
        assert recipe_of(run).data_fingerprint == dataset.fingerprint
        assert recipe_of(run).scored_bits == "genotype"
    parent = MlflowClient(uri).get_run(run.data.tags["mlflow.parentRunId"])
    assert SearchSpace.from_dict(json.loads(parent.data.tags["nasrec.space"])) == space


def test_another_store_learns_from_the_study_what_its_models_are_built_with(uri, tmp_path):
    objective = Objective(
        studies.SPACE, FunctionOracle(lambda g: 0.5, balance=False), features=FEATURES
    )
    study = objective.create_study(study_name="toy")
    study.optimize(objective, n_trials=1)
    with MLflowLogger(uri) as logger:
        logger.sync(study)
    assert recipe_of(run_of(uri, 0)).balance is False
    assert rebuild(run_of(uri, 0)).balance is False


def test_a_study_has_models_of_one_kind(uri):
    one, other = (
        Objective(studies.SPACE, FunctionOracle(lambda g: 0.5, balance=b)) for b in (True, False)
    )
    study = one.create_study()
    with pytest.raises(StudyError, match="its models were built with balance = True, got False"):
        MLflowLogger(uri).log_study(study, other)


def test_a_run_that_says_too_little_is_one_sentence(uri):
    study = studies.create()
    with MLflowLogger(uri) as logger:  # its end waits until the trial is written
        study.optimize(studies.objective, n_trials=1, callbacks=[logger])
    with MLflowLogger(uri) as logger:
        logger.log_dataset(study, SUMMARY, features=FEATURES)
        study.optimize(studies.objective, n_trials=1, callbacks=[logger])
    both = r"run \w+: expected the tag 'nasrec.features' and 'nasrec.balance', got none: create"
    with pytest.raises(StudyError, match=both):
        rebuild(run_of(uri, 0))
    with pytest.raises(StudyError, match=r"expected the tag 'nasrec.balance', .* or give balance"):
        rebuild(run_of(uri, 1))
    assert rebuild(run_of(uri, 1), balance=True).balance is True


def test_run_without_a_genotype_is_one_sentence(uri):
    client = MlflowClient(uri)
    with pytest.raises(StudyError, match=r"expected the tag 'nasrec\.genotype', got none"):
        genotype_of(client.create_run("0"))
