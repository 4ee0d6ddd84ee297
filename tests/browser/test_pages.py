"""What people look at, seen by a real browser: dashboard, MLflow, report."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import optuna
import pytest
from servers import free_port, serve

from nasrec_opt.report import write_report
from nasrec_opt.space import SearchSpace

SPACE = SearchSpace.nasrec_small(num_blocks=2)


@pytest.fixture(scope="module")
def storage(tmp_path_factory) -> Path:
    """A small study of three objectives, with its MLflow store beside it."""
    folder = tmp_path_factory.mktemp("study")
    study = optuna.create_study(
        study_name="pages",
        storage=f"sqlite:///{folder}/study.db",
        directions=["minimize"] * 3,
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    study.set_metric_names(["log_loss", "latency_us", "energy_uj"])

    def objective(trial: optuna.Trial) -> tuple[float, float, float]:
        genotype = SPACE.suggest(trial)
        trial.set_user_attr("genotype", genotype.to_json())
        width = sum(gene.dense_width for gene in genotype.blocks)
        return 0.6 - width / 1e4, float(width), 2000.0 / width

    callbacks = []
    if importlib.util.find_spec("mlflow"):
        from nasrec_opt.tracking import MLflowLogger

        callbacks = [MLflowLogger(f"sqlite:///{folder}/mlflow.db")]
    study.optimize(objective, n_trials=12, callbacks=callbacks)
    for logger in callbacks:
        logger.close()
    write_report(folder / "report.html", study=study)
    return folder


def wait_for(browser, script: str, timeout_s: float = 60.0):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, timeout_s).until(lambda b: b.execute_script(script))


def test_dashboard_shows_the_pareto_plot(browser, storage):
    pytest.importorskip("optuna_dashboard", reason="the extra 'dashboard' is not installed")
    port = free_port()
    program = str(Path(sys.executable).parent / "optuna-dashboard")
    command = [program, f"sqlite:///{storage}/study.db", "--host", "127.0.0.1", "--port", str(port)]
    with serve(command, port) as address:
        browser.get(f"{address}/dashboard/studies/1")
        points = "document.querySelectorAll('#graph-pareto-front .scatterlayer .point')"
        assert wait_for(browser, f"return {points}.length >= 12;")
        assert "pages" in browser.page_source


def test_mlflow_shows_the_runs(browser, storage):
    pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")
    port = free_port()
    uri = f"sqlite:///{storage}/mlflow.db"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with serve(command, port) as address:
        browser.get(f"{address}/#/experiments/1/runs")
        assert wait_for(browser, "return document.body.innerText.includes('pages');")


def test_report_works_without_a_network(browser, storage):
    browser.get_log("browser")  # what other pages said
    browser.get((storage / "report.html").as_uri())
    assert wait_for(browser, "return document.querySelectorAll('#pareto .point').length >= 12;")
    requests = browser.execute_script(
        "return performance.getEntriesByType('resource').map(entry => entry.name);"
    )
    assert [name for name in requests if name.startswith("http")] == []
    assert [e for e in browser.get_log("browser") if e["level"] == "SEVERE"] == []
