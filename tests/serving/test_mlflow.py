"""A model of MLflow answers raw rows as the predictor does, in this process and over HTTP."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from conftest import REPOSITORY, environment
from servers import free_port, serve
from serving.models import everything, predictor_of, rows_of, small

from nasrec_opt import BlockGene, Genotype, Predictor, __version__
from nasrec_opt.data import Column, Preprocessor, Schema, generate_synthetic, prepare
from nasrec_opt.errors import MissingExtraError
from nasrec_opt.serving import export, load_predictor

mlflow = pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")
pyfunc = pytest.importorskip("mlflow.pyfunc")

PAGES = [REPOSITORY / "docs" / page for page in ("tutorial/served_model.md", "howto/serve.md")]


@pytest.fixture(scope="module")
def preprocessor(tmp_path_factory) -> Preprocessor:
    folder = tmp_path_factory.mktemp("log") / "dataset"
    generate_synthetic(folder, rows=600)
    return Preprocessor.load(folder, min_count=2, binned_dense=True)


@pytest.fixture(scope="module")
def exported(preprocessor, tmp_path_factory) -> tuple[Predictor, Path]:
    """An ensemble of two models, and the folder that MLflow serves."""
    genotypes = [everything(32), Genotype((everything(32).blocks[0],))]
    predictor = predictor_of(preprocessor, *genotypes)
    folder = tmp_path_factory.mktemp("exports") / "ctr-mlflow"  # as in the tutorial
    export(predictor, folder, format="mlflow")
    return predictor, folder


def test_raw_rows_have_the_same_probabilities(exported):
    predictor, folder = exported
    rows = rows_of(predictor.preprocessor, 1500)
    expected = predictor.predict(rows)
    assert expected.std() > 0.01
    loaded = pyfunc.load_model(str(folder))
    np.testing.assert_allclose(loaded.predict(rows.to_pandas()), expected, atol=1e-5)
    whole = pd.DataFrame([predictor.preprocessor.example()])  # integers, and nothing missing
    assert whole["I1"].dtype == np.int64
    missing = pd.DataFrame([dict.fromkeys(whole)])
    for given in (whole, missing, pd.concat([whole, missing]), whole.assign(more=1)):
        np.testing.assert_allclose(loaded.predict(given), predictor.predict(given), atol=1e-5)
    again = load_predictor(folder)
    assert type(again) is Predictor
    np.testing.assert_array_equal(again.predict(rows), expected)


def test_numbers_among_categories_are_read_in_either_spelling(tmp_path):
    frame = pl.DataFrame({"click": [0, 1] * 40, "shop": [1, 2, 3, 4] * 20, "price": [0.5] * 80})
    frame.write_parquet(tmp_path / "log.parquet")
    schema = Schema(label="click", dense=("price",), sparse=("shop",))
    prepare(tmp_path / "log.parquet", tmp_path / "dataset", format=schema)
    gene = BlockGene(dense_ops=("fc",), sparse_ops=("efc",), dense_width=16, sparse_width=16)
    predictor = predictor_of(Preprocessor.load(tmp_path / "dataset"), Genotype((gene,)))
    export(predictor, tmp_path / "model", format="mlflow")
    loaded = pyfunc.load_model(str(tmp_path / "model"))
    expected = predictor.predict([{"shop": "3", "price": 0.5}, {"shop": None, "price": None}])
    assert expected[0] != expected[1]
    for shop, price in (([3, None], [0.5, None]), (["3", None], ["0.5", None])):
        found = loaded.predict(pd.DataFrame({"shop": shop, "price": price}, dtype=object))
        np.testing.assert_allclose(found, expected, atol=1e-5)
    for shop in (3, 3.0, "3"):
        found = loaded.predict(pd.DataFrame([{"shop": shop, "price": 0.5}]))
        np.testing.assert_allclose(found, expected[:1], atol=1e-5)


def test_rows_may_have_lists(tmp_path):
    table = {"click": [0, 1] * 40, "seen": [["a", "b"], ["c"], None, []] * 20}
    schema = Schema(label="click", options=(Column(name="seen", last=2),))
    prepare(pl.DataFrame(table), tmp_path / "dataset", format=schema)
    predictor = small(Preprocessor.load(tmp_path / "dataset"))
    rows = [{"seen": ["b", "c"]}, {"seen": None}, {"seen": ["a", "b"]}]
    export(predictor, tmp_path / "model", format="mlflow")
    loaded = pyfunc.load_model(str(tmp_path / "model"))
    np.testing.assert_allclose(
        loaded.predict(pd.DataFrame(rows)), predictor.predict(rows), atol=1e-5
    )
    request = json.loads((tmp_path / "model" / "serving_input_example.json").read_text())
    example = predictor.preprocessor.example()
    assert isinstance(example["seen"], list)
    assert request["dataframe_split"]["data"][0] == [example["seen"]]


def test_a_folder_has_signature_example_and_requirements_but_nothing_of_this_machine(exported):
    predictor, folder = exported
    schema = predictor.preprocessor.schema
    description = mlflow.models.Model.load(str(folder))
    columns = description.signature.inputs.input_names()
    assert columns == [*schema.dense, *schema.sparse]
    example = description.load_input_example(str(folder))
    assert list(example) == columns
    found = pyfunc.load_model(str(folder)).predict(example)
    np.testing.assert_allclose(found, predictor.predict(example), atol=1e-5)
    assert not re.search(r"\bNaN\b", (folder / "input_example.json").read_text())
    requirements = (folder / "requirements.txt").read_text().split()
    assert requirements == [f"mlflow=={mlflow.__version__}", f"nasrec-opt=={__version__}"]
    texts = [file for file in folder.rglob("*") if file.suffix in (".yaml", ".txt", ".json", "")]
    here = (str(REPOSITORY), sys.prefix, str(folder), str(Path.home()), socket.gethostname())
    for file in texts:
        if file.is_file():
            assert not [word for word in here if word in file.read_text()], file
            assert "://" not in file.read_text(), file
    assert not list(folder.rglob("*.pkl"))


def test_files_of_the_working_directory_stay_out(preprocessor, tmp_path, monkeypatch):
    for name in ("uv.lock", "pyproject.toml"):
        (tmp_path / name).write_text("[project]\nname = 'mine'\nversion = '1'\n")
    monkeypatch.chdir(tmp_path)
    export(small(preprocessor), tmp_path / "out", format="mlflow")
    assert not {"uv.lock", "pyproject.toml"} & {path.name for path in (tmp_path / "out").iterdir()}


def post(address: str, payload: Any) -> tuple[int, Any]:
    """Status and answer of a server."""
    request = urllib.request.Request(
        f"{address}/invocations",
        json.dumps(payload).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def lines_of(page: Path, port: int) -> tuple[list[str], str]:
    """The commands on a page that start the server and ask it, with another port."""
    found = [
        re.findall(pattern, page.read_text(), re.M)
        for pattern in (r"^mlflow models serve -m ctr-mlflow .*", r"^curl .*")
    ]
    [serving], [asking] = ([line.replace("5001", str(port)) for line in lines] for lines in found)
    assert f"127.0.0.1:{port}/" in asking
    return [sys.executable, "-m", *shlex.split(serving), "--workers", "1"], asking


def test_a_server_answers_a_post_of_raw_rows(exported):
    predictor, folder = exported
    port = free_port()
    (command, asking), other = (lines_of(page, port) for page in PAGES)
    assert (command, asking) == other
    rows = rows_of(predictor.preprocessor, 300).to_dicts()
    one = predictor.preprocessor.example()
    env = environment() | {"PYTHONPATH": str(REPOSITORY)}
    with serve(command, port, folder.parent, path="/ping", env=env) as address:
        asked = subprocess.run(
            asking, shell=True, check=True, cwd=folder.parent, capture_output=True
        )
        example = mlflow.models.Model.load(str(folder)).load_input_example(str(folder))
        found = json.loads(asked.stdout)["predictions"]
        np.testing.assert_allclose(found, predictor.predict(example), atol=1e-5)
        for given in (rows, [one], [dict.fromkeys(one)], [one | {"C1": "new"}, rows[0]]):
            status, answer = post(address, {"dataframe_records": given})
            assert status == 200, answer
            expected = predictor.predict(given)
            np.testing.assert_allclose(answer["predictions"], expected, atol=1e-5)
        for wrong, words in (
            (one | {"I3": "x"}, "rows:1: field I3: expected an integer or a missing value, got"),
            (one | {"C3": [1]}, "field C3: expected single values"),
            ({k: v for k, v in one.items() if k != "C7"}, "Model is missing inputs ['C7']"),
        ):
            status, answer = post(address, {"dataframe_records": [wrong]})
            assert status == 400
            assert words in answer["message"]
            assert "Traceback" not in json.dumps(answer)
        assert post(address, {"dataframe_records": [one]})[0] == 200  # still there


def test_the_command_exports_and_the_folder_is_predicted_with(preprocessor, cli, tmp_path):
    predictor = small(preprocessor)
    predictor.save(tmp_path / "model")
    out = tmp_path / "exported"
    result = cli("export", tmp_path / "model", "--format", "mlflow", "--out", out)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{out}\n", "")
    rows = rows_of(preprocessor, 30)
    rows.write_parquet(tmp_path / "rows.parquet")
    result = cli("predict", out, tmp_path / "rows.parquet")
    assert result.returncode == 0, result.stderr
    found = np.array(result.stdout.split()[1:], float)
    np.testing.assert_allclose(found, predictor.predict(rows), atol=1e-5)
    before = {path.name for path in out.iterdir()}
    result = cli("export", tmp_path / "model", "--format", "mlflow", "--out", out)
    assert (result.returncode, result.stdout) == (2, "")
    assert "expected a new or empty folder, found a folder that holds files" in result.stderr
    assert {path.name for path in out.iterdir()} == before


def test_a_failure_on_the_way_leaves_nothing(preprocessor, tmp_path, monkeypatch):
    predictor = small(preprocessor)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "mlflow.pyfunc", None)
        with pytest.raises(MissingExtraError, match=re.escape("pip install 'nasrec-opt[mlflow]'")):
            export(predictor, tmp_path / "out", format="mlflow")
    del predictor.model  # what is written last
    with pytest.raises(AttributeError):
        export(predictor, tmp_path / "out", format="mlflow")
    assert list(tmp_path.iterdir()) == []
