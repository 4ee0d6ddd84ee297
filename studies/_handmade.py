"""Hand-made models of `nasrec_opt.baselines`, tuned together with how they read the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from optuna.trial import BaseTrial

from nasrec_opt.baselines import BaselineOptions, baseline_spec, fit
from nasrec_opt.data import Dataset

FAMILIES = {  # name in trials: name in `BASELINES`
    "DeepFM": "deepfm",
    "WDL": "wide-deep",
    "DCN": "dcn",
    "xDeepFM": "xdeepfm",
    "AutoInt": "autoint",
}
HIDDEN = {"64": (64,), "128-64": (128, 64), "256-128": (256, 128), "400-400-400": (400, 400, 400)}

Report = Callable[[int, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Hyperparameters; the defaults are the package's, with embeddings as wide as ours.

    Args:
        family: Of `FAMILIES`.
        hidden: Widths of the deep part, of `HIDDEN`.
        embedding_dim: Width of embeddings.
        learning_rate: Adam's.
        batch_size: Rows of a step.
        l2: On embeddings and first-order weights.
        dropout: In the deep part.
        min_count: Values that fewer training rows have share an id.
        binned_dense: Whether dense columns are read as binned sparse columns as well.
    """

    family: str = "DeepFM"
    hidden: str = "256-128"
    embedding_dim: int = 16
    learning_rate: float = 1e-3
    batch_size: int = 256
    l2: float = 1e-5
    dropout: float = 0.0
    min_count: int = 4
    binned_dense: bool = True

    @classmethod
    def suggest(cls, trial: BaseTrial, families: tuple[str, ...]) -> Options:
        """Ask a trial for all of them."""
        ask = trial.suggest_categorical
        return cls(
            family=ask("family", families) if len(families) > 1 else families[0],
            hidden=ask("hidden", tuple(HIDDEN)),
            embedding_dim=ask("embedding_dim", (4, 8, 16, 32)),
            learning_rate=trial.suggest_float("learning_rate", 2e-4, 1e-2, log=True),
            batch_size=ask("batch_size", (64, 128, 256, 512, 1024)),
            l2=trial.suggest_float("l2", 1e-7, 1e-1, log=True),
            dropout=trial.suggest_float("dropout", 0.0, 0.6),
            min_count=ask("min_count", (1, 2, 4, 10)),
            binned_dense=ask("binned_dense", (True, False)),
        )

    def of_the_model(self) -> BaselineOptions:
        """Those that do not say how the log is read."""
        return BaselineOptions(
            hidden=HIDDEN[self.hidden],
            embedding_dim=self.embedding_dim,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            l2=self.l2,
            dropout=self.dropout,
        )


def train(
    options: Options, dataset: Dataset, seed: int, *, progress: Callable[[], None], report: Report
) -> tuple[float, float]:
    """Train one model.

    Args:
        options: Which, and how.
        dataset: The log; test rows are read once, at the end.
        seed: Of weights and the order of rows.
        progress: Called after every step.
        report: Called with (scoring, validation log loss) at each scoring while training.

    Returns:
        Log loss on validation rows of the weights that were best there, and on test rows of the
        same weights after they have learnt the validation rows as well.

    Raises:
        StudyError: Training came to no finite log loss.
    """
    dataset = Dataset.open(
        dataset.path, min_count=options.min_count, binned_dense=options.binned_dense
    )
    build = baseline_spec(FAMILIES[options.family]).build
    assert build is not None  # all of them are networks
    fitted = fit(build, options.of_the_model(), dataset, seed, progress=progress, report=report)
    validation = fitted.log_loss("validation")
    fitted.learn_validation()
    return validation, fitted.log_loss("test")


def load_package() -> None:
    """Import deepctr-torch, which has all of them.

    Raises:
        MissingExtraError: It is not installed.
    """
    baseline_spec("deepfm").load()
