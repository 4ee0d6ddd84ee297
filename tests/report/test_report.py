"""The report: one page, whole, with what the study and the results hold."""

from __future__ import annotations

import re

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nasrec_opt import SearchSpace
from nasrec_opt.errors import StudyError
from nasrec_opt.report import write_report
from nasrec_opt.report._records import hypervolume_history

SPACE = SearchSpace.nasrec_small(num_blocks=3)


def make_study(objectives: int, trials: int) -> optuna.Study:
    study = optuna.create_study(
        study_name="demo <1>",
        directions=["minimize"] * objectives,
        sampler=optuna.samplers.RandomSampler(seed=1),
    )
    study.set_metric_names(["log_loss", "latency_us", "energy_uj"][:objectives])

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        genotype = SPACE.suggest(trial)
        trial.set_user_attr("genotype", genotype.to_json())
        trial.set_user_attr("auc", 0.75)
        shares = {"fc": 1.0, "dot": 2.0}
        trial.set_user_attr("breakdown", {"latency_us": shares, "energy_uj": shares})
        width = sum(gene.dense_width for gene in genotype.blocks)
        values = (0.6 - width / 1e4, float(width), width / 7.0)
        return values[:objectives]

    study.optimize(objective, n_trials=trials)
    return study


RESULTS = {
    "models": [
        {
            "genotype": SPACE.sample(np.random.default_rng(0)).to_dict(),
            "trial": 3,
            "test_log_loss": 0.4321,
            "test_auc": 0.8,
            "validation_log_loss": 0.44,
            "mflops": 1.5,
            "mflops_paper": 1.75,
            "parameters": 123456,
            "latency_us": 70.0,
            "energy_uj": 3.0,
            "area_mm2": 2.0,
        }
    ],
    "baselines": {"constant": 0.5741, "logistic_regression": 0.4812},
    "bayes": 0.4001,
}


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_page_shows_models_baselines_and_figures(tmp_path, objectives):
    path = tmp_path / "report.html"
    write_report(
        path,
        study=make_study(objectives, 25),
        results=RESULTS,
        dataset_summary={"source": "/a/b/log<x>.txt", "rows": {"train": 1000}, "fingerprint": "f0"},
        stages={"train": 12.3},
    )
    page = path.read_text()
    body = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    for text in (
        "0.4321",
        "0.5741",
        "0.4812",
        "0.4001",
        "1.7500",
        "123,456",
        "12.3 s",
        "25 complete",
    ):
        assert text in body, text
    assert "log&lt;x&gt;.txt" in body
    assert "demo &lt;1&gt;" in body
    for name in ("pareto", "history", "importances", "latency", "energy"):
        assert f'id="{name}"' in page
    assert body.count("<svg") >= 1
    assert "MFLOPs (paper): the same by the rule of the paper&#39;s Table 5" in body


def test_page_says_how_sure_a_race_is_of_its_trials(tmp_path):
    """Only where trials race."""
    path = tmp_path / "report.html"
    for seen, shown in ((None, False), (1000, True)):
        study = make_study(3, 0)
        for number in range(4):
            trial = study.ask()
            SPACE.suggest(trial)
            if seen:
                trial.set_user_attr("log_loss_se", 0.00025 * number)
                trial.set_user_attr("num_rows", 1000 if number == 0 else 100)
            study.tell(trial, [0.5 + number, 1.0 + number, 1.0])
        write_report(path, study=study)
        page = path.read_text()
        told = "32% of what all trials on 1,000 rows would read; 3 trials stopped early, standard "
        told += "error of their log loss at most 0.00075, median 0.0005"
        assert (told in page) == shown
        assert ("\\u00b1 0.00025 from 100 rows" in page) == shown


def test_page_loads_nothing_from_elsewhere(tmp_path):
    path = tmp_path / "report.html"
    write_report(path, study=make_study(3, 5), results=RESULTS)
    page = path.read_text()
    outside = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", outside)
    assert not re.findall(r"<script[^>]+src=", page)


def test_page_without_results_and_with_failed_trials(tmp_path):
    study = make_study(2, 6)
    trial = study.ask()
    study.tell(trial, state=optuna.trial.TrialState.FAIL)
    path = tmp_path / "report.html"
    write_report(path, study=study)
    page = path.read_text()
    assert "6 complete, 1 fail" in page
    for heading in ("Retrained models", "The ladder"):
        assert heading not in page


def test_empty_study_is_one_sentence_and_no_file(tmp_path):
    study = optuna.create_study(study_name="empty")
    with pytest.raises(StudyError, match="'empty': expected complete trials, got none"):
        write_report(tmp_path / "report.html", study=study)
    assert list(tmp_path.iterdir()) == []


@given(arrays(float, st.tuples(st.integers(1, 30), st.integers(2, 3)), elements=st.floats(0, 1)))
def test_hypervolume_never_falls_and_stays_a_share(values):
    history = hypervolume_history(values, np.ones(len(values), bool))
    assert (np.diff(history) >= 0).all()
    assert ((history >= 0) & (history <= 1)).all()


def test_hypervolume_of_two_points_is_the_area():
    # Scaled, the points are (0, 1), (1, 0) and (0.5, 0.5): only the last dominates area, a quarter.
    points = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]])
    history = hypervolume_history(points, np.ones(3, bool))
    np.testing.assert_allclose(history, [0, 0, 0.25], atol=0.01)
    np.testing.assert_array_equal(hypervolume_history(points, np.array([True, True, False])), 0)


PAIRED = {
    "models": [
        RESULTS["models"][0]
        | {
            "validation_log_loss": 0.4301,
            "against_on_validation": {
                "logistic_regression": {
                    "difference": 0.0084,
                    "standard_error": 0.0032,
                    "rows": 11000,
                },
            },
            "against": {
                "logistic_regression": {
                    "difference": 0.0118,
                    "standard_error": 0.0031,
                    "rows": 12000,
                },
                "constant": {"difference": -0.142, "standard_error": 0.004, "rows": 12000},
            },
        }
    ],
    "baselines": {
        "constant": {"test_log_loss": 0.5741, "test_auc": 0.5, "validation_log_loss": 0.5733},
        "logistic_regression": {
            "test_log_loss": 0.4203,
            "test_auc": 0.7654,
            "validation_log_loss": 0.4217,
        },
    },
    "clicks": {"train": [24000, 96000], "test": [3000, 12000]},
}


def test_the_page_says_better_or_worse_and_on_which_rows(tmp_path):
    path = tmp_path / "report.html"
    write_report(
        path,
        study=make_study(2, 8),
        results=PAIRED,
        facts={"sampler": "evolution, population_size 8", "fidelity": "supernet", "seed": "7"},
        stages={"prepare": 1.0, "train": 2.0, "search": 3.0},
    )
    page = re.sub(r"<script.*?</script>", "", path.read_text(), flags=re.DOTALL)
    for text in (
        "The winner is logistic regression, test log loss 0.4203: on 11,000 validation rows its",
        "log loss is 0.0084 ± 0.0032 lower than that of the best retrained model, and on 12,000",
        "test rows 0.0118 ± 0.0031 lower.",
        "<tr class='best'><td>logistic regression</td>",
        "better than the constant click rate by 0.1420 ± 0.0040",
        "12,000 rows",
        "class='verdict behind'",
        "0.7654",
        "0.4217",
        "0.5733",
        "+0.0118 ± 0.0031",
        "best searched log loss (validation rows, weights shared in the supernet)",
        "log loss of the best model (test rows, trained from scratch)",
        "not to be compared with those of the retrained models",
        "evolution, population_size 8",
        "prepare 1.0 s, train 2.0 s, search 3.0 s",
        "torch ",
    ):
        assert text in page, text


def test_infeasible_trials_are_counted(tmp_path):
    study = make_study(2, 4)
    trial = study.ask()
    trial.set_constraint("accelerator", 1.0)
    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    write_report(tmp_path / "report.html", study=study)
    page = (tmp_path / "report.html").read_text()
    assert "4 complete, 1 pruned; 1 of them infeasible" in page


@pytest.mark.parametrize(
    ("fidelity", "text"),
    [
        ("supernet, precision float32", "weights shared in the supernet"),
        ("scratch, epochs 1", "each model trained briefly from scratch"),
        ("fine_tune, steps 100", "weights of the supernet trained for some more steps"),
    ],
)
def test_the_page_says_with_which_weights_the_search_scored(tmp_path, fidelity, text):
    write_report(tmp_path / "r.html", study=make_study(1, 3), facts={"fidelity": fidelity})
    assert f"best searched log loss (validation rows, {text})" in (tmp_path / "r.html").read_text()
