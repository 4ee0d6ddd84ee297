"""How far logistic regression stays from the truth of a generated log.

    python -m benchmarks.truth [--truth GENOTYPE.json|published:NAME] [--rows 50000]

The log is like Criteo's, with the small vocabulary; its clicks come from a model with random
weights, or from planted interactions without `--truth`. scikit-learn's logistic regression reads
hashed one-hot values, numbers as floor(log(x + 1)^2), and is scored on the last fifth of the rows,
which it has not seen.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from nasrec_opt.data import generate_log
from nasrec_opt.pipeline import read_target, truth_of

BUCKETS = 1 << 20
PENALTIES = (0.03, 0.1)  # values of C


def main() -> None:
    """Print the log loss of the click rate, of logistic regression and of the truth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--truth", help="a model as in nasrec-opt generate")
    parser.add_argument("--rows", type=int, default=50_000, help="rows of the log")
    options = parser.parse_args()
    truth = None
    if options.truth:
        genotype = read_target(options.truth).genotype
        truth = truth_of(genotype, like="criteo", vocabulary="small")
    with tempfile.TemporaryDirectory() as folder:
        log = generate_log(
            Path(folder) / "log",
            like="criteo",
            rows=options.rows,
            vocabulary="small",
            log_odds=truth,
            file_format="parquet",
        )
        frame, probabilities = pl.read_parquet(log.file), np.load(log.probabilities)
    labels, inputs = frame["label"].to_numpy(), one_hot(frame.drop("label"))
    split = len(frame) * 4 // 5

    def loss(predicted: np.ndarray) -> float:
        return log_loss(labels[split:], predicted)

    models = [LogisticRegression(C=c, solver="liblinear") for c in PENALTIES]
    fitted = [model.fit(inputs[:split], labels[:split]) for model in models]
    linear = min(loss(model.predict_proba(inputs[split:])[:, 1]) for model in fitted)
    constant = loss(np.full(len(frame) - split, labels[:split].mean()))
    print(f"{'click rate':>10}{'logistic regression':>21}{'truth':>8}")
    print(f"{constant:10.4f}{linear:21.4f}{loss(probabilities[split:]):8.4f}")


def one_hot(frame: pl.DataFrame) -> scipy.sparse.csr_matrix:
    """A one for the value of each column, hashed, `[rows, BUCKETS]`."""
    buckets = []
    for place, name in enumerate(frame.columns):
        values = frame[name]
        if values.dtype != pl.String:
            values = frame.select(pl.col(name).clip(0).log1p().pow(2).floor().cast(pl.String))[name]
        buckets.append(values.fill_null("").hash(place).to_numpy() % BUCKETS)
    columns = np.stack(buckets, axis=1).astype(np.int64)
    ends = np.arange(0, columns.size + 1, frame.width)
    return scipy.sparse.csr_matrix((np.ones(columns.size), columns.ravel(), ends))


if __name__ == "__main__":
    main()
