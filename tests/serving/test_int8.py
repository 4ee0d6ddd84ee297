"""Products of 8 bits in ONNX Runtime's kernels of int8, and what that costs in log loss."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from serving.models import everything, plain, predictor_of, rows_of
from sklearn.metrics import log_loss

from nasrec_opt import Genotype, Predictor
from nasrec_opt.data import Dataset, Inputs, Preprocessor, generate_synthetic
from nasrec_opt.errors import StudyError
from nasrec_opt.serving import OnnxPredictor, export_int8, load_predictor

onnx = pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A folder with a dataset, to which a test adds a model."""
    folder = tmp_path_factory.mktemp("int8") / "run"
    generate_synthetic(folder / "dataset", rows=3000)
    return folder


def saved(run: Path, name: str, *genotypes: Genotype) -> Path:
    """A model in the run."""
    preprocessor = Preprocessor.load(run / "dataset", binned_dense=True)
    folder = run / "retrained" / name / "model"
    predictor_of(preprocessor, *genotypes).model.save(folder)
    return folder


@pytest.fixture(scope="module", params=["8 bits", "8 and 4 bits"])
def exported(request, run, tmp_path_factory):
    """A model, the folder of its graph of int8, and what that costs."""
    name = request.param.replace(" ", "-")
    model = saved(run, name, everything(8) if name == "8-bits" else plain(8, 4))
    out = tmp_path_factory.mktemp("exports") / "int8"
    return model, out, export_int8(model, out), name


def test_products_of_8_bits_are_of_int8_and_others_are_not(exported):
    _, out, cost, name = exported
    graph = onnx.load(out / "model.onnx").graph
    kinds = [node.op_type for node in graph.node]
    matrices = [w for w in graph.initializer if w.data_type == onnx.TensorProto.INT8]
    matrices = [w for w in matrices if len(w.dims) == 2]
    assert len(matrices) == cost.products > 0
    if name == "8-bits":
        assert cost.products == cost.all_products
        assert "Round" not in kinds
    else:
        assert cost.products < cost.all_products
        assert "Round" in kinds


def test_answers_are_those_of_the_model_but_for_its_rounding(exported):
    model, out, *_ = exported
    predictor = Predictor.load(model)
    rows = rows_of(predictor.preprocessor, 1500)
    expected, served = predictor.predict(rows), load_predictor(out)
    assert type(served) is OnnxPredictor
    found = served.predict(rows)
    assert expected.std() > 0.01
    assert np.abs(found - expected).mean() < 0.2 * expected.std()
    # Ranges are fixed: what else is in the batch changes nothing.
    alone = np.concatenate([served.predict(rows[i]) for i in range(5)])
    np.testing.assert_allclose(alone, found[:5], atol=1e-6)


def test_what_it_costs_is_measured_on_validation_and_test_rows(run, exported):
    model, out, cost, _ = exported
    dataset = Dataset.open(run / "dataset", binned_dense=True)
    own, int8 = Predictor.load(model), OnnxPredictor.load(out, thread_count=1)
    for name in ("validation", "test"):
        split = dataset.split(name)
        batch = split.rows(slice(0, None))
        assert cost.rows[name] == split.num_rows
        for predictor, losses in ((own, cost.log_loss), (int8, cost.log_loss_int8)):
            logits = predictor.logits(Inputs(batch.dense, batch.sparse)).astype(float)
            expected = log_loss(batch.labels, 1 / (1 + np.exp(-logits)))
            assert losses[name] == pytest.approx(expected, abs=1e-6)
    assert json.loads((out / "export.json").read_text())["int8"] == {
        name: getattr(cost, name) for name in cost.__dataclass_fields__
    }
    assert f"{cost.products} of {cost.all_products} products" in cost.in_words()


def test_an_ensemble_becomes_one_graph(run, tmp_path):
    model = saved(run, "ensemble", plain(8, 8), plain(8, 4))
    cost = export_int8(model, tmp_path / "out")
    assert 0 < cost.products < cost.all_products


def test_bad_input_is_one_sentence_and_leaves_nothing(run, cli, tmp_path):
    floats = saved(run, "floats", plain(32, 32))
    eight = saved(run, "eight", plain(8, 8))
    Predictor.load(eight).save(tmp_path / "alone")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    out = tmp_path / "out"
    for arguments, sentence in (
        ((floats, "--out", out), "int8: expected a model with products of 8 bits and none in fl"),
        ((tmp_path / "alone", "--out", out), "expected the dataset of a run, whose rows int8 is"),
        ((eight, "--out", out, "--format", "mlflow"), "--int8: expected --format onnx, got mlflow"),
        ((eight, "--out", tmp_path / "full"), "full: expected a new or empty folder"),
    ):
        result = cli("export", "--int8", *arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert sentence in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"alone", "full"}
    result = cli("export", "--int8", eight, "--out", out)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("int8: ")
    assert "log loss" in result.stdout
    with pytest.raises(StudyError, match="expected a new or empty folder"):
        export_int8(eight, out)
