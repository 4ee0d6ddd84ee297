"""What people look at, seen by a real browser: dashboard, MLflow, report."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import optuna
import pytest
from patience import PATIENCE_S
from servers import free_port, serve

from nasrec_opt.features import FeatureSpec
from nasrec_opt.pipeline._dashboard import describe, show_front, show_importances
from nasrec_opt.report import ModelRow, write_report
from nasrec_opt.report._figures import MOST_IMPORTANT
from nasrec_opt.space import SearchSpace
from nasrec_opt.tracking import NullTracker

SPACE = SearchSpace.nasrec_small(num_blocks=2)
METRIC_NAMES = ["log_loss", "latency_us", "energy_uj"]
MODELS = {  # the best retrained model of each study
    name: {
        "genotype": SPACE.sample(np.random.default_rng(0)).to_dict(),
        "test_log_loss": loss,
        "test_auc": 1.2 - loss,
        "validation_log_loss": loss + 0.01,
        "validation_auc": 1.19 - loss,
    }
    for name, loss in (("pages", 0.45), ("other", 0.44))
}
BASELINES = {
    "logistic_regression": {"test_log_loss": 0.52, "test_auc": 0.7},
    "constant": {"test_log_loss": 0.57, "test_auc": 0.5},
}
COMPARISON = [
    ModelRow(name=name, seeds=2, validation_log_loss=0.5, test_log_loss=0.5, test_auc=0.7)
    for name in ("model 1", "model 2", "constant")
]
FIGURES = {"mflops": 2.0, "parameters": 100, "latency_us": 1.0, "energy_uj": 1.0}
PRUNING = {
    "pruning": {"method": "mask"},
    "model": {"genotype": {}, "test_log_loss": 0.45, **FIGURES},
    "rounds": [{"round": 1, "genotype": {}, "test_log_loss": 0.46, **FIGURES, "mflops": 1.5}],
}


@pytest.fixture(scope="module")
def storage(tmp_path_factory) -> Path:
    """A small study of three objectives, with its MLflow store beside it."""
    folder = tmp_path_factory.mktemp("study")
    study = optuna.create_study(
        study_name="pages",
        directions=["minimize"] * 3,
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    study.set_metric_names(METRIC_NAMES)
    study.set_user_attr("space", SPACE.to_dict())  # whose random models the motifs are compared to

    def objective(trial: optuna.Trial) -> tuple[float, float, float]:
        genotype = SPACE.suggest(trial)
        trial.set_user_attr("genotype", genotype.to_json())
        width = sum(gene.dense_width for gene in genotype.blocks)
        return 0.6 - width / 1e4, float(width), 2000.0 / width

    callbacks = []
    if importlib.util.find_spec("mlflow"):
        from nasrec_opt.tracking import MLflowLogger

        callbacks = [MLflowLogger(f"sqlite:///{folder}/mlflow.db")]
    study.optimize(objective, n_trials=24, callbacks=callbacks)
    if callbacks:
        other = optuna.create_study(
            study_name="other",
            directions=["minimize"] * 3,
            sampler=optuna.samplers.TPESampler(seed=0),
        )
        other.set_metric_names(METRIC_NAMES)
        second = MLflowLogger(f"sqlite:///{folder}/mlflow.db", experiment="pages")
        other.optimize(objective, n_trials=12, callbacks=[second])
        callbacks.append(second)
        for logger, searched in zip(callbacks, (study, other), strict=True):
            logger.log_dataset(searched, {"source": "train.txt", "fingerprint": "f0"})
            logger.log_models(searched, [MODELS[searched.study_name]])
            logger.log_baselines(searched, BASELINES)
            logger.log_metrics(searched, {"seconds": 100.0})
    for logger in callbacks:
        logger.close()
    url = f"sqlite:///{folder}/study.db"
    optuna.copy_study(from_study_name="pages", from_storage=study._storage, to_storage=url)
    study = optuna.load_study(study_name="pages", storage=url)
    describe(study, {"seed": 7, "search": {"sampler": "random", "n_trials": 24}})
    show_importances(study)
    features = FeatureSpec(num_dense=2, cardinalities=(10, 20))
    assert show_front(study, folder / "drawings", features, NullTracker()) > 0
    write_report(folder / "report.html", study=study, comparison=COMPARISON, prunings=[PRUNING])
    return folder


def wait_for(browser, script: str, timeout_s: float = PATIENCE_S):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, timeout_s).until(lambda b: b.execute_script(script))


@pytest.fixture(scope="module")
def dashboard(storage):
    """The address of optuna-dashboard, as `how_to_open` says to start it."""
    pytest.importorskip("optuna_dashboard", reason="the extra 'dashboard' is not installed")
    port = free_port()
    program = str(Path(sys.executable).parent / "optuna-dashboard")
    command = [program, f"sqlite:///{storage}/study.db", "--host", "127.0.0.1", "--port", str(port)]
    with serve([*command, "--artifact-dir", f"{storage}/drawings"], port) as address:
        yield f"{address}/dashboard/studies/1"


def test_dashboard_shows_the_pareto_plot(browser, dashboard):
    browser.get(dashboard)
    points = "document.querySelectorAll('#graph-pareto-front .scatterlayer .point')"
    assert wait_for(browser, f"return {points}.length >= 12;")
    assert "pages" in browser.page_source


def test_dashboard_names_the_metrics_in_the_importances(browser, dashboard):
    browser.get(dashboard)
    plot = "document.querySelector('#graph-hyperparameter-importances')"
    text = wait_for(
        browser, f"return {plot} && {plot}.querySelector('.bars') && {plot}.textContent;"
    )
    assert {name for name in METRIC_NAMES if name in text} == set(METRIC_NAMES)
    assert "b2.dense_width" in text


def test_dashboard_shows_the_most_important_parameters_in_a_plot_that_can_be_read(
    browser, dashboard
):
    browser.get(dashboard)
    plot = "document.getElementById('user-defined-plot:importances')"
    text = wait_for(
        browser, f"return {plot} && {plot}.querySelector('.bars') && {plot}.textContent;"
    )
    for label in ("Most important parameters", "log loss", "latency (µs)", "energy (µJ)"):
        assert label in text
    names = browser.execute_script(
        f"return [...{plot}.querySelectorAll('.ytick text')].map(tick => tick.textContent);"
    )
    assert 0 < len(names) <= MOST_IMPORTANT
    assert set(names) <= set(SPACE.distributions())
    heights = browser.execute_script(
        f"return [{plot}.querySelector('.main-svg').clientHeight, {plot}.clientHeight];"
    )
    assert heights[0] <= heights[1]  # nothing is cut off


def test_dashboard_shows_the_note(browser, dashboard):
    browser.get(f"{dashboard}/note")
    assert wait_for(browser, "return document.body.innerText.includes('sampler: random');")
    text = browser.execute_script("return document.body.innerText;")
    assert "Minimised: log_loss, latency_us, energy_uj." in text


def test_dashboard_shows_the_drawing_of_a_pareto_optimal_trial(browser, dashboard, storage):
    study = optuna.load_study(study_name="pages", storage=f"sqlite:///{storage}/study.db")
    browser.get(f"{dashboard}/trials?numbers={study.best_trials[0].number}")
    images = "[...document.images].filter(image => image.src.includes('/artifacts/'))"
    width = wait_for(browser, f"return {images}.length && {images}[0].naturalWidth;")
    assert width > 100  # it was loaded and drawn


@pytest.fixture(scope="module")
def mlflow_ui(storage):
    pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--backend-store-uri", f"sqlite:///{storage}/mlflow.db"]
    with serve([*command, "--port", str(port), "--workers", "1"], port) as address:
        yield address


@pytest.fixture
def two_studies(browser, storage, mlflow_ui):
    """The list of studies and baselines, as a person comes to it: the printed page."""
    from nasrec_opt.tracking import MLflowLogger

    page = MLflowLogger(f"sqlite:///{storage}/mlflow.db").page("pages")
    browser.get("about:blank")  # else the page of the test before stays as it is
    browser.get(f"{mlflow_ui}{page}")
    listed = "return document.body.innerText.includes('4 matching runs');"
    assert wait_for(browser, listed, timeout_s=180)  # the first page of a server takes longest
    return browser


ROWS = """
const rows = {};
for (const row of document.querySelectorAll('.ag-row')) {
  const cells = rows[row.getAttribute('row-index')] ||= {};
  for (const cell of row.querySelectorAll('.ag-cell'))
    cells[cell.getAttribute('col-id')] = cell.innerText.trim().split('\\n').pop();
}
"""


def test_two_studies_and_the_baselines_are_compared_in_the_list_alone(two_studies):
    found: list[dict[str, str]] = [{} for _ in range(4)]
    wait_for(two_studies, f"{ROWS} return rows[0] && rows[0]['metrics.`best_log_loss`'];")
    for left in range(0, 1600, 200):  # MLflow draws the columns that are in view
        rows = wait_for(
            two_studies,
            f"const box = document.querySelector('.ag-center-cols-viewport');"
            f"const at = Math.min({left}, box.scrollWidth - box.clientWidth);"
            f"if (Math.abs(box.scrollLeft - at) > 1) {{ box.scrollLeft = at; return false; }}"
            f"{ROWS} return Object.keys(rows).length === 4 && rows;",
        )
        for place, cells in rows.items():
            found[int(place)] |= cells
    names = [cells["attributes.`Run Name`"] for cells in found]
    assert names == ["other", "pages", "logistic regression", "constant"]  # best first
    figures = MODELS | {name.replace("_", " "): BASELINES[name] for name in BASELINES}
    for name, cells in zip(names, found, strict=True):
        for metric in ("test_log_loss", "test_auc"):
            assert float(cells[f"metrics.`{metric}`"]) == pytest.approx(figures[name][metric])
        assert cells["params.`dataset`"] == "train.txt"
    assert [cells["params.`sampler`"] for cells in found[:2]] == ["TPESampler", "RandomSampler"]
    assert [cells["metrics.`trials`"] for cells in found[:2]] == ["12", "24"]
    for cells in found[:2]:
        for metric in ("best_log_loss", "front_size", "hypervolume", "seconds", "validation_auc"):
            assert float(cells[f"metrics.`{metric}`"]) > 0


def test_mlflow_lists_studies_and_sorts_them_by_what_was_found(two_studies):
    from selenium.webdriver.common.by import By

    two_studies.find_element(By.XPATH, "//button[contains(., 'Sort')]").click()
    items = "[...document.querySelectorAll('[role^=menuitem]')].map(item => item.textContent)"
    names = wait_for(two_studies, f"const names = {items}; return names.length > 5 && names;")
    for metric in ("best_log_loss", "best_energy_uj", "hypervolume", "trials", "failed_trials"):
        assert metric in names
    assert {"sampler", "objectives", "reference_point"} <= set(names)


def test_two_studies_that_are_ticked_are_compared_by_parameters_and_metrics(two_studies):
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    ticks = "document.querySelectorAll('input[aria-label*=\"toggle row selection\"]')"
    for place in range(2):
        wait_for(two_studies, f"return {ticks}.length === 4;")
        WebDriverWait(
            two_studies, 60, ignored_exceptions=[StaleElementReferenceException]
        ).until(  # the list may be drawn again between the two
            lambda b, at=place: b.execute_script(f"return {ticks}[{at}];").click() or True
        )
    compare = "//button[normalize-space()='Compare']"
    wait_for(
        two_studies, f"return document.evaluate({compare!r}, document, null, 9).singleNodeValue;"
    )
    two_studies.find_element(By.XPATH, compare).click()
    assert wait_for(two_studies, "return document.body.innerText.includes('Comparing 2 Runs');")
    metrics = "document.body.innerText.split('Metrics\\n').pop().split('Artifacts\\n')[0]"
    text = wait_for(two_studies, f"const text = {metrics}; return text.includes('0.') && text;")
    for name in ("best_log_loss", "best_latency_us", "best_energy_uj", "hypervolume", "trials"):
        assert name in text
    assert {"12", "24"} <= set(text.split())
    assert "NaN" not in text  # each study has each of them
    assert "Nothing to compare" not in two_studies.page_source


def test_report_works_without_a_network(browser, storage):
    browser.get_log("browser")  # what other pages said
    browser.get((storage / "report.html").as_uri())
    assert wait_for(browser, "return document.querySelectorAll('#pareto .point').length >= 12;")
    requests = browser.execute_script(
        "return performance.getEntriesByType('resource').map(entry => entry.name);"
    )
    assert [name for name in requests if name.startswith("http")] == []
    assert [e for e in browser.get_log("browser") if e["level"] == "SEVERE"] == []


@pytest.mark.parametrize(
    ("heading", "rows"),
    [("Comparison", len(COMPARISON)), ("Pruned models", 2), ("Motifs of the front", 3)],
)
def test_report_shows_comparison_pruning_and_motifs(browser, storage, heading, rows):
    browser.get((storage / "report.html").as_uri())
    width, height, count = browser.execute_script(
        f"""
        const heads = [...document.querySelectorAll('h2')];
        let part = heads.find(head => head.textContent === {heading!r});
        while (!part.querySelector('table')) part = part.nextElementSibling;
        const box = part.getBoundingClientRect();
        return [box.width, box.height, part.querySelectorAll('tbody tr').length];
        """
    )
    assert width > 300
    assert height > 50
    assert count >= rows
    # A wide table scrolls by itself, and the page does not.
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth;")


def test_report_plots_log_loss_of_pruned_models_against_mflops(browser, storage):
    browser.get((storage / "report.html").as_uri())
    points = "document.querySelectorAll('#pruning .point').length"
    assert wait_for(browser, f"return {points} === 2;")
    texts = browser.execute_script("return document.querySelector('#pruning').textContent;")
    for text in ("MFLOPs", "test log loss", "whole", "mask, 1 round"):
        assert text in texts
