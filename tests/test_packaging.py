"""The installed distribution carries what the code reads at run time."""

from __future__ import annotations

from importlib.metadata import distributions

import pytest


@pytest.fixture(scope="module")
def files() -> set[str]:
    # A wheel leaves a RECORD; what building leaves in a checkout has none.
    wheels = [d for d in distributions(name="nasrec-opt") if d.read_text("RECORD")]
    found = {str(path) for wheel in wheels for path in wheel.files or ()}
    if "nasrec_opt/cli/__init__.py" not in found:
        pytest.skip("installed in editable mode: the files are those of the checkout")
    return found


@pytest.mark.parametrize(
    "path",
    [
        "nasrec_opt/py.typed",
        "hw/py.typed",
        "hw/technology/reram_32nm.toml",
        "hw/technology/recnmp.toml",
        "nasrec_opt/space/published.json",
        "nasrec_opt/report/templates/page.html",
        "nasrec_opt/report/templates/page.css",
        "nasrec_opt/tabular/ctr_tabular.parquet",
        "studies/spaces/ctr_tabular.toml",
        "studies/quickstart.toml",
        "studies/criteo_small.toml",
        "studies/criteo_full.toml",
        "studies/criteo_codesign.toml",
        "studies/avazu.toml",
        "studies/kdd.toml",
    ],
)
def test_the_wheel_carries(path, files):
    assert path in files


def test_the_wheel_leaves_tests_and_benchmarks_out(files):
    assert not [path for path in files if path.startswith(("tests/", "benchmarks/"))]
