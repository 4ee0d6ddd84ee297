"""One architecture as a scikit-learn classifier, for pipelines and calibration curves."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from nasrec_opt._files import read_json
from nasrec_opt.data import Dataset, Preprocessor, Schema, prepare
from nasrec_opt.errors import StudyError
from nasrec_opt.options import RetrainConfig
from nasrec_opt.retrain import retrain
from nasrec_opt.serving._frames import frame_of
from nasrec_opt.serving._places import GENOTYPE, find
from nasrec_opt.serving._predictor import Predictor
from nasrec_opt.space import FLOAT_BITS, Genotype, is_named, named_genotype
from nasrec_opt.supernet import Subnet

LABEL, WEIGHT = "label", "weight"
SEEDS = 2**31 - 1


class CTRClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A scikit-learn classifier of two classes: an architecture, trained from scratch by `fit`.

    Of the rows that `fit` is given, 80 % train the model, 10 % choose the learning rate and the end
    of training, and 10 % are held out for `test_log_loss_`.

    Args:
        genotype: The architecture: a `Genotype`, the path of one in JSON, a run folder, its
            `results.json`, the folder of a trained model, or `published:` or `like:` and the name
            of a model of the paper or of a hand-made one, which is in floating point.
        model: Which model of a run: its rank from 1.
        sparse: Names of the columns that are read as categories; None means all columns that are
            not numbers. Numbers in them are categories as well.
        min_count: Values in fewer training rows are read as rare.
        binned_dense: Whether numbers are read as categories of their bins as well. They always are
            where no column is a category.
        config: How the model is trained, or None for the defaults; its seed is not used.
        random_state: Seed, generator or None (another result each time), as in scikit-learn.

    Attributes:
        predictor_: The trained `Predictor`, with `save`.
        classes_: The two labels in order; the second one is the click.
        test_log_loss_: Log loss on the rows that were held out, nats.
        n_features_in_: Number of columns.
        feature_names_in_: Names of the columns, where all of them are text.

    Example:
        The best model of a run, trained on another table, beside its calibration curve::

            model = CTRClassifier("runs/quickstart").fit(frame, clicks)
            model.predict_proba(new)[:, 1]
            CalibrationDisplay.from_estimator(model, new, clicked)
    """

    def __init__(
        self,
        genotype: Genotype | Path | str,
        *,
        model: int = 1,
        sparse: Sequence[str] | None = None,
        min_count: int = 1,
        binned_dense: bool = True,
        config: RetrainConfig | None = None,
        random_state: Any = 0,
    ) -> None:
        self.genotype = genotype
        self.model = model
        self.sparse = sparse
        self.min_count = min_count
        self.binned_dense = binned_dense
        self.config = config
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Train the model.

        Args:
            X: A table of pandas or polars, `[rows, columns]`, or an array of numbers. None, NaN and
                empty text are missing values.
            y: Labels of two classes, `[rows]`.
            sample_weight: Weights of the rows, 0 or more, `[rows]`, or None where each counts once.
                A row of weight w counts as w rows with the same values.

        Returns:
            The classifier.

        Raises:
            ValueError: `X`, `y` and `sample_weight` do not fit together, a weight is below 0, or
                there are not two classes.
            StudyError: There is no such run or model.
            DataError: A value is of the wrong type, or there are fewer than 10 rows.
        """
        genotype = _genotype(self.genotype, self.model)
        table = frame_of(X, self.sparse, self._checked(X, reset=True))
        labels = self._labels(y, table.frame.height)
        seed = int(check_random_state(self.random_state).randint(SEEDS))
        label, frame = _new_name(LABEL, table.frame), table.frame
        frame = frame.with_columns(pl.Series(label, labels))
        weight = ""
        if sample_weight is not None:
            weight = _new_name(WEIGHT, frame)
            frame = frame.with_columns(pl.Series(weight, _weights(sample_weight, labels)))
        schema = Schema(label=label, dense=table.dense, sparse=table.sparse, weight=weight)
        binned = self.binned_dense or table.has_no_category
        with tempfile.TemporaryDirectory(prefix="nasrec-opt-") as temporary:
            folder = Path(temporary)
            prepare(frame, folder / "log", format=schema, seed=seed)
            kinds: dict[str, Any] = {"min_count": self.min_count, "binned_dense": binned}
            dataset = Dataset.open(folder / "log", **kinds)
            config = _seeded(self.config, seed)
            trained = retrain(genotype, dataset, folder / "model", config)
            preprocessor = Preprocessor.load(folder / "log", **kinds)
            self.predictor_ = Predictor(preprocessor, Subnet.load(trained.path / "model"))
        self.test_log_loss_ = trained.test_log_loss
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Predict the probability of each class.

        Args:
            X: Rows with the columns that `fit` had.

        Returns:
            Probabilities, `[rows, 2]`, in the order of `classes_`.

        Raises:
            ValueError: The columns are others.
            DataError: A value is of the wrong type.
        """
        check_is_fitted(self)
        table = frame_of(X, self.sparse, self._checked(X, reset=False))
        click = self.predictor_.predict(table.frame)
        return np.column_stack([1 - click, click])

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """Predict the more probable class.

        Args:
            X: Rows with the columns that `fit` had.

        Returns:
            Labels, `[rows]`.

        Raises:
            ValueError: The columns are others.
            DataError: A value is of the wrong type.
        """
        click = self.predict_proba(X)[:, 1]
        found: npt.NDArray[Any] = self.classes_[(click > 0.5).astype(int)]
        return found

    def _checked(self, X: Any, *, reset: bool) -> Any:  # noqa: N803
        """Remember or compare the columns; an array as numbers, None for a table."""
        if hasattr(X, "columns"):
            validate_data(self, X, skip_check_array=True, reset=reset)
            return None
        return validate_data(
            self,
            X,
            reset=reset,
            dtype="numeric",
            ensure_all_finite="allow-nan",
            ensure_min_samples=1,
        )

    def _labels(self, y: Any, rows: int) -> npt.NDArray[np.int8]:
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if len(y) != rows:
            raise ValueError(f"y: expected a label for each of {rows} rows, got {len(y)}")
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) > 2:
            raise ValueError(
                "Only binary classification is supported. The type of the target is "
                f"{type_of_target(y)}."
            )
        if len(self.classes_) < 2:
            raise ValueError("y: expected labels of two classes, got one class")
        return labels.astype(np.int8)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def _new_name(name: str, frame: pl.DataFrame) -> str:
    """A name that no column has."""
    while name in frame.columns:
        name += "_"
    return name


def _weights(given: Any, labels: npt.NDArray[np.int8]) -> npt.NDArray[np.float64]:
    """Weights of rows, `[rows]`; a single number is that of all rows."""
    rows = len(labels)
    weights = np.asarray(given, np.float64)
    if weights.ndim == 0:
        weights = np.full(rows, weights)
    if weights.shape != (rows,):
        raise ValueError(
            f"sample_weight: expected a weight for each of {rows} rows, got the shape "
            f"{weights.shape}"
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError("sample_weight: expected finite weights, 0 or more, got others")
    classes = len(np.unique(labels[weights > 0]))
    if classes < 2:
        found = "one class" if classes else "only zero"
        raise ValueError(
            f"sample_weight: expected a weight above 0 in rows of both classes, got {found}"
        )
    return weights


def _genotype(given: Genotype | Path | str, model: int) -> Genotype:
    """The architecture that a user points at."""
    if isinstance(given, Genotype):
        return given
    if not isinstance(given, (str, Path)):
        raise StudyError(f"genotype: expected a Genotype or a path, got {given!r}")
    if is_named(given):
        return named_genotype(given).with_bits(FLOAT_BITS)
    path = Path(given)
    if path.is_file() and path.suffix == ".json":
        try:
            values = read_json(path)
        except (OSError, ValueError) as error:
            raise StudyError(f"{path}: expected a genotype in JSON, got: {error}") from error
        if not (isinstance(values, dict) and "models" in values):
            return Genotype.from_dict(values, str(path))
    place = find(path, model)
    if place.is_ensemble:
        raise StudyError(f"{path}: expected one model, got an ensemble")
    file = place.weights / GENOTYPE
    if file.exists():
        return Genotype.from_dict(read_json(file), str(file))
    return Subnet.load(place.weights).genotype  # a run of before the genotype lay beside them


def _seeded(config: RetrainConfig | None, seed: int) -> RetrainConfig:
    return replace(config or RetrainConfig(), seed=seed)
