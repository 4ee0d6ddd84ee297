"""An exported model answers raw rows as the model does, without the code of the model."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from conftest import environment
from serving.models import everything, predictor_of, rows_of, small

from nasrec_opt import Genotype, Predictor, Subnet
from nasrec_opt.data import Column, Preprocessor, Schema, generate_synthetic, prepare
from nasrec_opt.errors import NasrecError, StudyError
from nasrec_opt.retrain import Ensemble
from nasrec_opt.serving import OnnxPredictor, TorchPredictor, export, load_predictor

pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")

FORMATS = ("onnx", "torch")
LOADERS = {"onnx": OnnxPredictor, "torch": TorchPredictor}


@pytest.fixture(scope="module")
def preprocessor(tmp_path_factory) -> Preprocessor:
    folder = tmp_path_factory.mktemp("log") / "dataset"
    generate_synthetic(folder, rows=600)
    return Preprocessor.load(folder, min_count=2, binned_dense=True)


@pytest.fixture(scope="module", params=[32, 8], ids=["floats", "8-bits"])
def exported(request, preprocessor, tmp_path_factory) -> tuple[Predictor, Path, int]:
    """A model, the folder with its exports, and the bits of its products."""
    bits, folder = request.param, tmp_path_factory.mktemp("exports")
    if bits == 32:
        predictor = predictor_of(preprocessor, everything(bits))
        bare = without_layer_norms(preprocessor)
        predictor = Predictor(preprocessor, Ensemble([predictor.model, bare]))
    else:  # rounding along either axis
        genotype = everything(bits)
        block = replace(genotype.blocks[0], dense_ops=("fc", "dot"), sparse_ops=("attn",))
        predictor = predictor_of(preprocessor, replace(genotype, blocks=(block,)))
    for format_ in FORMATS:
        export(predictor, folder / format_, format=format_)
    return predictor, folder, bits


def without_layer_norms(preprocessor: Preprocessor) -> Subnet:
    """A member of an ensemble, with biases in the place of layer norms."""
    genotype = Genotype((everything(32).blocks[0],))
    model = Subnet(genotype, preprocessor.features, 0, layer_norm=False)
    for weight in model.parameters():
        weight.data.add_(0.01)
    return model


@pytest.mark.parametrize("format_", FORMATS)
def test_raw_rows_have_the_same_probabilities(exported, format_):
    predictor, folder, bits = exported
    rows = rows_of(predictor.preprocessor, 2500)
    expected = predictor.predict(rows)
    assert expected.std() > 0.01
    loaded = load_predictor(folder / format_)
    assert type(loaded) is LOADERS[format_]
    off = np.abs(loaded.predict(rows) - expected)
    if bits == 32:
        assert off.max() < 1e-5
    else:  # a value between two levels may be rounded to the other one
        assert np.quantile(off, 0.95) < 1e-5
        assert off.mean() < 1e-5
        assert off.max() < 1e-2
    for given in (rows[:5].to_dicts(), rows[:5].to_pandas(), rows[:5].to_arrow()):
        np.testing.assert_allclose(loaded.predict(given), loaded.predict(rows)[:5], atol=1e-6)
    one = loaded.predict(rows.row(7, named=True))
    np.testing.assert_allclose(one, loaded.predict(rows)[7:8], atol=1e-2 if bits < 32 else 1e-6)
    assert loaded.predict(rows[:0]).shape == (0,)


def test_rows_may_have_lists(tmp_path):
    table = {"click": [0, 1] * 40, "seen": [["a", "b"], ["c"], None, []] * 20}
    schema = Schema(label="click", options=(Column(name="seen", last=2),))
    prepare(pl.DataFrame(table), tmp_path / "dataset", format=schema)
    predictor = small(Preprocessor.load(tmp_path / "dataset"))
    rows = [{"seen": ["b", "c"]}, {"seen": []}, {"seen": None}, {"seen": ["a", "b"]}]
    expected = predictor.predict(rows)
    assert len(set(expected)) == 3
    export(predictor, tmp_path / "model", format="torch")
    loaded = TorchPredictor.load(tmp_path / "model")
    for given in (rows, pl.DataFrame(rows), pd.DataFrame(rows)):
        np.testing.assert_allclose(loaded.predict(given), expected, atol=1e-5)


def test_the_graph_alone_gives_probabilities_for_any_number_of_rows(exported):
    import onnxruntime

    predictor, folder, bits = exported
    session = onnxruntime.InferenceSession(str(folder / "onnx" / "model.onnx"))
    for count in (1, 2, 1500):
        rows = rows_of(predictor.preprocessor, count, seed=count)
        inputs = predictor.preprocessor.transform(rows)
        [made] = session.run(["probability"], inputs._asdict())
        expected, off = load_predictor(folder / "onnx").predict(rows), 1e-2 if bits < 32 else 1e-5
        np.testing.assert_allclose(made, expected, atol=off)
        assert made.dtype == np.float32
        assert made.shape == (count,)


def test_onnx_is_served_without_torch(exported, tmp_path):
    predictor, folder, _ = exported
    rows = rows_of(predictor.preprocessor, 20)
    rows.write_parquet(tmp_path / "rows.parquet")
    code = (
        "import sys, polars\n"
        "from nasrec_opt.serving import OnnxPredictor, load_predictor\n"
        "assert type(load_predictor(sys.argv[1])) is OnnxPredictor\n"
        "found = OnnxPredictor.load(sys.argv[1]).predict(polars.read_parquet(sys.argv[2]))\n"
        "assert 'torch' not in sys.modules\n"
        "print(*found)\n"
    )
    command = [sys.executable, "-c", code, str(folder / "onnx"), str(tmp_path / "rows.parquet")]
    result = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert result.returncode == 0, result.stderr
    np.testing.assert_allclose(
        np.array(result.stdout.split(), float), predictor.predict(rows), atol=1e-2
    )


def test_a_folder_says_what_it_holds(exported):
    predictor, folder, _ = exported
    for format_ in FORMATS:
        values = json.loads((folder / format_ / "export.json").read_text())
        assert values["format"] == format_
        assert (folder / format_ / values["graph"]).is_file()
        inputs, features = values["inputs"], predictor.preprocessor.features
        assert len(inputs["dense"]["columns"]) == features.num_dense
        assert len(inputs["sparse"]["columns"]) == features.num_sparse


def test_the_commands_export_and_predict(preprocessor, cli, tmp_path):
    predictor = small(preprocessor)
    predictor.save(tmp_path / "model")
    out = tmp_path / "exported"
    out.mkdir()  # an empty folder is as good as none
    result = cli("export", tmp_path / "model", "--format", "torch", "--out", out)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{out}\n", "")
    rows = rows_of(preprocessor, 30)
    rows.write_parquet(tmp_path / "rows.parquet")
    result = cli("predict", out, tmp_path / "rows.parquet")
    assert result.returncode == 0, result.stderr
    found = np.array(result.stdout.split()[1:], float)
    np.testing.assert_allclose(found, predictor.predict(rows), atol=1e-2)


def test_bad_input_is_one_sentence_and_leaves_nothing(preprocessor, cli, tmp_path):
    small(preprocessor).save(tmp_path / "model")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    out = tmp_path / "out"
    for arguments, sentence in (
        (("model", "--out", tmp_path / "full"), "full: expected a new or empty folder, found a f"),
        (("model", "--out", tmp_path / "full" / "file"), "expected a new or empty folder, found a"),
        (
            ("model", "--out", out, "--format", "tflite"),
            "onnx, torch or mlflow, got 'tflite'",
        ),
        (("model", "--out", out, "--model", "2"), "model: expected only with a run"),
        (("none", "--out", out), "none: expected a run or a trained model, found nothing there"),
    ):
        result = cli("export", tmp_path / arguments[0], *arguments[1:])
        assert (result.returncode, result.stdout) == (2, "")
        assert sentence in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"model", "full"}
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["file"]


def test_a_failure_on_the_way_leaves_nothing(preprocessor, tmp_path, monkeypatch):
    predictor = small(preprocessor)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(NasrecError, match=re.escape("pip install 'nasrec-opt[onnx]'")):
        export(predictor, tmp_path / "out")
    predictor.preprocessor = None  # what writes the last file
    with pytest.raises(AttributeError):
        export(predictor, tmp_path / "out", format="torch")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_or_other_folder_is_one_sentence(exported, tmp_path):
    for format_, other in (("onnx", "torch"), ("torch", "onnx")):
        folder = tmp_path / format_
        shutil.copytree(exported[1] / format_, folder)
        with pytest.raises(StudyError, match=f"expected a model exported as {other}, got one as"):
            LOADERS[other].load(folder)
        with pytest.raises(StudyError, match="load_predictor loads"):
            Predictor.load(folder)
        with pytest.raises(StudyError, match="model: expected only with a run"):
            load_predictor(folder, model=2)
        graph = next(folder.glob("model.*"))
        graph.write_bytes(graph.read_bytes()[:100])
        with pytest.raises(StudyError, match=f"{graph.name}: expected a"):
            load_predictor(folder)
        graph.unlink()
        with pytest.raises(StudyError, match=f"{graph.name}: expected a"):
            load_predictor(folder)
        (folder / "export.json").write_text("{}")
        with pytest.raises(StudyError, match=r"export.json: expected an exported model, got"):
            load_predictor(folder)
    with pytest.raises(StudyError, match=r"found no export\.json"):
        OnnxPredictor.load(tmp_path)


def test_pandas_rows_with_missing_numbers(exported):
    predictor, folder, bits = exported
    frame = rows_of(predictor.preprocessor, 50).to_pandas()
    frame["I1"] = pd.Series([None, *range(49)], dtype="float64")
    off = load_predictor(folder / "onnx").predict(frame) - predictor.predict(frame)
    assert np.abs(off).max() < (1e-5 if bits == 32 else 1e-2)
