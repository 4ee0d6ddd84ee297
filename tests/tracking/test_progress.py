"""What the run of a study says of it: best values, hypervolume and counts, by number of trials."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna._hypervolume import compute_hypervolume
from optuna.study import StudyDirection
from tracking import studies

pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")

from mlflow.tracking import MlflowClient

from nasrec_opt.errors import StudyError
from nasrec_opt.tracking import MLflowLogger
from nasrec_opt.tracking._progress import REFERENCE_TRIALS, Progress


def study_runs(uri: str, experiment: str) -> dict[str, Any]:
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment).experiment_id
    runs = client.search_runs([found], "tags.`nasrec.kind` = 'study'")
    return {run.info.run_name: run for run in runs}


def history(uri: str, run: Any, name: str) -> dict[int, float]:
    found = MlflowClient(uri).get_metric_history(run.info.run_id, name)
    assert len({metric.step for metric in found}) == len(found)
    return {metric.step: metric.value for metric in found}


def expected(study: optuna.Study, reference: list[float]) -> list[float]:
    """Optuna's own hypervolume after each trial."""
    values = np.array([trial.values for trial in study.trials])
    return [
        float(compute_hypervolume(values[: n + 1], np.array(reference))) for n in range(len(values))
    ]


def test_studies_can_be_sorted_filtered_and_compared(uri):
    seen = {}
    for number, (name, trials) in enumerate({"a": 40, "b": 12}.items()):
        study = seen[name] = studies.create(name=name, seed=number)
        study.set_user_attr("space", studies.SPACE.to_dict())
        with MLflowLogger(
            uri, experiment="ads", tags={"nasrec.sampler": name}, seeds={"search": number}
        ) as logger:
            logger.log_dataset(study, {"source": f"logs/{name}.tsv", "fingerprint": name * 40})
            logger.log_settings(study, {"search": {"sampler": name, "archive": False}})
            study.optimize(studies.objective, n_trials=trials, callbacks=[logger])
    runs = study_runs(uri, "ads")
    assert runs["a"].data.params["reference_point"] == runs["b"].data.params["reference_point"]
    for name, run in runs.items():
        study = seen[name]
        values = np.array([trial.values for trial in study.trials])
        assert run.data.metrics["trials"] == len(study.trials)
        assert run.data.metrics["failed_trials"] == 0
        for i, metric in enumerate(studies.METRIC_NAMES):
            assert run.data.metrics[f"best_{metric}"] == values[:, i].min()
        point = json.loads(run.data.params["reference_point"])
        reference = [point[metric] for metric in studies.METRIC_NAMES]
        after = expected(study, reference)
        for step, volume in history(uri, run, "hypervolume").items():
            assert volume == pytest.approx(after[step - 1])
        assert run.data.metrics["hypervolume"] == pytest.approx(after[-1])
        params = run.data.params
        assert (params["sampler"], params["space"]) == (name, "nasrec_small")
        assert (params["dataset"], params["data.fingerprint"]) == (f"{name}.tsv", name * 40)
        assert (params["seed.search"], params["search.archive"]) == (
            run.data.tags["nasrec.seed.search"],
            "False",
        )
        assert history(uri, run, "best_log_loss")[1] == values[0, 0]
    worst = np.array([trial.values for trial in seen["a"].trials[:REFERENCE_TRIALS]]).max(axis=0)
    point = json.loads(runs["a"].data.params["reference_point"])
    assert all(point[m] > w for m, w in zip(studies.METRIC_NAMES, worst, strict=True))


def test_what_is_logged_in_pieces_is_what_is_logged_at_once(uri):
    study = studies.create(name="pieces")
    for n_trials in (5, 40, 3):
        with MLflowLogger(uri, reference_point=dict.fromkeys(studies.METRIC_NAMES, 2e3)) as logger:
            assert logger.sync(study) == 0
            study.optimize(studies.objective, n_trials=n_trials, callbacks=[logger])
    run = study_runs(uri, "pieces")["pieces"]
    after = expected(study, [2e3] * 3)
    volumes = history(uri, run, "hypervolume")
    assert {5, 45, 48} <= volumes.keys()
    grown = {n for n in range(1, 49) if n == 1 or after[n - 1] > after[n - 2]}
    assert grown <= volumes.keys()
    assert list(volumes.values()) == pytest.approx([after[step - 1] for step in volumes])


def test_a_study_too_short_for_a_reference_point_has_a_hypervolume_at_its_end(uri):
    study = studies.create(name="short")
    logger = MLflowLogger(uri)
    study.optimize(studies.objective, n_trials=6, callbacks=[logger])
    logger._background.flush()  # trials and counts are written; no reference point is known yet
    assert "hypervolume" not in study_runs(uri, "short")["short"].data.metrics
    logger.close()
    run = study_runs(uri, "short")["short"]
    point = json.loads(run.data.params["reference_point"])
    after = expected(study, [point[metric] for metric in studies.METRIC_NAMES])
    volumes = history(uri, run, "hypervolume")
    assert {1, 6} <= volumes.keys()
    assert list(volumes.values()) == pytest.approx([after[step - 1] for step in volumes])


def test_an_experiment_is_one_of_models_unless_a_person_said_otherwise(uri):
    client = MlflowClient(uri)
    new, chosen = (client.create_experiment(name) for name in ("new", "chosen"))
    client.set_experiment_tag(chosen, "mlflow.experimentKind", "genai_development")
    for name in ("new", "chosen", "made"):
        MLflowLogger(uri, experiment=name).close()
    kinds = {e.name: e.tags.get("mlflow.experimentKind") for e in client.search_experiments()}
    assert kinds["new"] == kinds["made"] == "custom_model_development"
    assert kinds["chosen"] == "genai_development"
    assert client.get_experiment(new).name == "new"


def test_after_retraining_the_study_has_the_scores_of_the_best_on_validation(uri):
    study = studies.create(name="models")
    models = [
        {"genotype": studies.SPACE.sample(np.random.default_rng(i)).to_dict(), **scores}
        for i, scores in enumerate(
            (
                {"validation_log_loss": 0.46, "test_log_loss": 0.44},
                {"validation_log_loss": 0.45, "test_log_loss": 0.47},
            )
        )
    ]
    with MLflowLogger(uri) as logger:
        logger.log_models(study, models, winner="The winner is a model.")
    data = study_runs(uri, "models")["models"].data
    assert (data.metrics["validation_log_loss"], data.metrics["test_log_loss"]) == (0.45, 0.47)
    assert data.tags["nasrec.winner"] == "The winner is a model."
    for model, mean in zip(models, (0.46, 0.48), strict=True):  # of several seeds each
        model["mean_validation_log_loss"] = mean
    with MLflowLogger(uri) as logger:
        logger.log_models(study, models)
    metrics = study_runs(uri, "models")["models"].data.metrics
    assert (metrics["validation_log_loss"], metrics["test_log_loss"]) == (0.46, 0.44)


def test_a_reference_point_of_other_objectives_is_one_sentence(uri):
    study = studies.create(name="other")
    logger = MLflowLogger(uri, reference_point={"log_loss": 1.0})
    with pytest.raises(StudyError, match="reference_point: expected a value for each of log_loss"):
        logger.sync(study)


VALUES = st.integers(-3, 3).map(float)
TRIALS = st.lists(
    st.tuples(VALUES, VALUES, st.sampled_from(["complete", "fail", "infeasible"])), max_size=40
)


@settings(deadline=None, max_examples=60)
@given(trials=TRIALS, maximise=st.booleans(), cut=st.integers(0, 40), is_late=st.booleans())
def test_progress_agrees_with_optuna_however_it_is_cut(trials, maximise, cut, is_late):
    directions = [StudyDirection.MAXIMIZE if maximise else StudyDirection.MINIMIZE]
    directions.append(StudyDirection.MINIMIZE)
    sign = np.array([-1.0 if maximise else 1.0, 1.0])
    study = optuna.create_study(directions=directions)
    for *values, kind in trials:
        trial = study.ask()
        trial.set_user_attr("auc", auc_of(values))
        if kind != "fail":
            trial.set_constraint("c", 1.0 if kind == "infeasible" else 0.0)
        study.tell(trial, None if kind == "fail" else values, state=_state(kind))
    reference = (-2.5 if maximise else 2.5, 2.5)
    points: dict[tuple[str, int], float] = {}
    progress = Progress(("a", "b"), directions, reference=None if is_late else reference)
    for some in (study.trials[:cut], study.trials):
        progress.add(some)
        if len(some) == len(trials):
            progress.reference = reference  # where it is late, it comes with the last trial
        for point in progress.points():
            assert (point.name, point.step) not in points
            points[point.name, point.step] = point.value
    for (name, step), value in points.items():
        good = [v for *v, kind in trials[:step] if kind == "complete"]
        losses = np.array(good).reshape(-1, 2) * sign
        if name == "hypervolume":
            inside = losses[(losses <= sign * reference).all(axis=1)]  # Optuna refuses others
            assert value == pytest.approx(compute_hypervolume(inside, sign * reference))
        elif name == "best_a":
            assert value == sign[0] * losses[:, 0].min()
        elif name == "best_auc":
            assert value == max(auc_of(v) for *v, kind in trials[:step] if kind == "complete")
        elif name == "front_size":
            unlike = np.unique(losses, axis=0)
            better = [(unlike <= loss).all(axis=1) & (unlike < loss).any(axis=1) for loss in unlike]
            assert value == sum(not some.any() for some in better)
        elif name == "failed_trials":
            assert value == sum(kind == "fail" for *_, kind in trials[:step])
    if trials:
        assert points["trials", len(trials)] == len(trials)
        assert ("front_size", len(trials)) in points
    steps = [step for step, (*_, kind) in enumerate(trials, start=1) if kind == "complete"]
    if steps:
        assert ("hypervolume", len(trials)) in points
        assert ("best_auc", steps[0]) in points
        assert ("best_auc", len(trials)) in points
        assert ("hypervolume", steps[0]) in points  # its history begins where the front does


def auc_of(values: list[float]) -> float:
    return 0.5 + values[0] / 10


@pytest.mark.parametrize("noted", [None, "high", True, math.nan, math.inf])
def test_what_is_no_auc_is_left_out(noted):
    study = optuna.create_study()
    trial = study.ask()
    trial.set_user_attr("auc", noted)
    study.tell(trial, 1.0)
    progress = Progress(("a",), study.directions)
    progress.add(study.trials)
    assert "best_auc" not in {point.name for point in progress.points()}


def _state(kind: str) -> optuna.trial.TrialState:
    return getattr(optuna.trial.TrialState, "FAIL" if kind == "fail" else "COMPLETE")
