"""Answers of saved weights, where those to validation rows must not know their labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from nasrec_opt._files import atomic_write
from nasrec_opt.data import Dataset
from nasrec_opt.retrain._metrics import predict
from nasrec_opt.supernet import Subnet, best_device

VALIDATION = "validation_logits.npy"  # in a folder of weights


def save_weights(subnet: Subnet, folder: Path, validation: npt.NDArray[np.float32]) -> None:
    """Save weights with the logits that they had before they learnt the validation rows.

    Args:
        subnet: The model.
        folder: Gets `Subnet.save`'s files and the logits.
        validation: Logits on all validation rows, `[rows]`.
    """
    subnet.save(folder)
    with atomic_write(folder / VALIDATION, "wb") as stream:
        np.save(stream, validation)


def answers_of(folder: Path | str, dataset: Dataset, split: str) -> npt.NDArray[np.float32]:
    """Compute the logits of a trained model's weights on a split.

    On validation rows these are the logits from before the weights learnt the rows, as `retrain`
    has stored them, so models can still be compared and chosen there.

    Args:
        folder: One of `RetrainedModel.weights()`.
        dataset: The log that the model was trained on.
        split: `train`, `validation` or `test`.

    Returns:
        Logits, `[rows]`.
    """
    stored = Path(folder) / VALIDATION
    if split == "validation" and stored.is_file():
        logits: npt.NDArray[np.float32] = np.load(stored)
        return logits
    return predict(Subnet.load(folder).to(best_device()), dataset.split(split))[0]
