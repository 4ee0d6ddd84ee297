"""A trained model of a run as an ONNX graph of int8, with what that costs in log loss."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasrec_opt._files import atomic_directory
from nasrec_opt._results import read_results
from nasrec_opt._weights import mean_of
from nasrec_opt.data import Dataset, Inputs, evenly_spaced
from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.retrain import log_losses
from nasrec_opt.serving._base import RowPredictor
from nasrec_opt.serving._bundle import Bundle, check_new
from nasrec_opt.serving._export import ONE_FILE_BYTES, save_onnx, weight_bytes
from nasrec_opt.serving._int8 import quantize, without_eight_bits
from nasrec_opt.serving._onnx import OnnxPredictor
from nasrec_opt.serving._places import DATASET, RESULTS, ModelChoice, find
from nasrec_opt.serving._predictor import Predictor

CALIBRATION_ROWS = 4096
CHUNK_ROWS = 65_536  # rows of a split in memory


@dataclass(frozen=True, slots=True)
class Int8Cost:
    """What int8 costs on rows that the model was not trained on.

    Args:
        products: Products with weights that are of int8.
        all_products: All products with weight matrices.
        calibration_rows: Training rows that the ranges of activations are from.
        rows: Rows by split, `validation` and `test`.
        log_loss: Log loss of the model at its own bits by split, nats.
        log_loss_int8: Log loss of the int8 graph by split, nats.
    """

    products: int
    all_products: int
    calibration_rows: int
    rows: dict[str, int]
    log_loss: dict[str, float]
    log_loss_int8: dict[str, float]

    def in_words(self) -> str:
        """State the figures.

        Returns:
            A sentence.
        """
        splits = ", ".join(
            f"{self.log_loss_int8[name]:.5f} on {count:,} {name} rows "
            f"({self.log_loss_int8[name] - self.log_loss[name]:+.5f})"
            for name, count in self.rows.items()
        )
        return f"int8: {self.products} of {self.all_products} products; log loss {splits}"


def export_int8(path: Path | str, out: Path | str, *, model: ModelChoice = 1) -> Int8Cost:
    """Write a model as an ONNX graph whose products of 8 bits are computed in int8.

    Products of fewer bits are rounded in floating point, as in other exports. Scales of weights
    are those of the model, one for each output. Ranges of activations are from training rows.

    Args:
        path: A run, its `results.json`, or the folder of a model in a run.
        out: A new or empty folder; it appears whole or not at all.
        model: Which model of a run, as for `Predictor.load`.

    Returns:
        What it costs in log loss; `export.json` in the folder has it as well.

    Raises:
        StudyError: There is no such model, it has no products of 8 bits, its rows are not there, or
            the folder holds something.
        MissingExtraError: The packages that write ONNX are not installed.
    """
    out, place = check_new(out), find(Path(path), model)
    predictor = Predictor.load(path, model=model)
    dataset = _dataset_of(place.preprocessor, predictor.model.features)
    plain = without_eight_bits(predictor.model)
    if weight_bytes(plain) > ONE_FILE_BYTES:
        raise StudyError(
            f"int8: expected weights of at most {ONE_FILE_BYTES >> 20} MiB, which ONNX Runtime "
            f"quantises in one file, got {weight_bytes(plain) >> 20}"
        )
    train = dataset.split("train")
    chosen = train.rows(evenly_spaced(train.num_rows, CALIBRATION_ROWS))
    with atomic_directory(out) as folder, tempfile.TemporaryDirectory() as scratch:
        bundle = Bundle(folder, "onnx", predictor.model.features)
        save_onnx(plain, Path(scratch) / "plain.onnx")
        count = quantize(
            Path(scratch) / "plain.onnx", bundle.graph, Inputs(chosen.dense, chosen.sparse)
        )
        bundle.write(predictor.preprocessor)
        cost = _measured(predictor, OnnxPredictor.load(folder), dataset, count, len(chosen.dense))
        bundle.write(predictor.preprocessor, int8=asdict(cost))
    return cost


def _dataset_of(folder: Path, features: FeatureSpec) -> Dataset:
    """The rows of a run as its model reads them."""
    if not (folder / DATASET.name).exists():
        raise StudyError(
            f"{folder}: expected the dataset of a run, whose rows int8 is calibrated and measured "
            "on, found none there"
        )
    results = folder.parent / RESULTS
    training = read_results(results).get("training", {}) if results.exists() else {}
    for binned in (False, True):
        dataset = Dataset.open(
            folder, min_count=int(training.get("min_count", 1)), binned_dense=binned
        )
        if dataset.features.cardinalities == features.cardinalities:
            return dataset
    raise StudyError(f"{folder}: expected the rows that the model was trained on, got others")


def _measured(
    own: Predictor, int8: OnnxPredictor, dataset: Dataset, count: tuple[int, int], rows: int
) -> Int8Cost:
    splits = {name: dataset.split(name) for name in ("validation", "test")}
    return Int8Cost(
        *count,
        calibration_rows=rows,
        rows={name: split.num_rows for name, split in splits.items()},
        log_loss={name: _log_loss(own, split) for name, split in splits.items()},
        log_loss_int8={name: _log_loss(int8, split) for name, split in splits.items()},
    )


def _log_loss(predictor: RowPredictor, split: Any) -> float:
    losses = []
    for start in range(0, split.num_rows, CHUNK_ROWS):
        batch = split.rows(slice(start, start + CHUNK_ROWS))
        logits = predictor.logits(Inputs(batch.dense, batch.sparse))
        losses.append(log_losses(logits, batch.labels))
    return mean_of(np.concatenate(losses), split.weights)
