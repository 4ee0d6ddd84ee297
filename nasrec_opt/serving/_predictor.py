"""A trained model with the preprocessor of its log."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Self, cast

import numpy as np
import numpy.typing as npt
import torch

from nasrec_opt._files import atomic_directory
from nasrec_opt.data import Preprocessor
from nasrec_opt.retrain import Ensemble
from nasrec_opt.serving._base import RowPredictor
from nasrec_opt.serving._places import MODEL, PREPROCESSOR, ModelChoice, find, preprocessor_for
from nasrec_opt.supernet import Subnet


class Predictor(RowPredictor):
    """Click probabilities of raw rows.

    Args:
        preprocessor: Reads rows as the log of the model was read.
        model: The trained model, or several that are averaged.

    Raises:
        StudyError: The model reads other columns or vocabularies than the preprocessor makes.

    Example:
        A run folder, its best model, and a row as a dict::

            predictor = Predictor.load("runs/quickstart")
            predictor.predict({"I1": 5, "I2": None, ..., "C26": "2bf691b1"})
    """

    def __init__(self, preprocessor: Preprocessor, model: Subnet | Ensemble) -> None:
        super().__init__(preprocessor, model.features)
        self.model = model.eval()

    @classmethod
    def load(cls, path: Path | str, *, model: ModelChoice = 1) -> Self:
        """Load a trained model.

        Args:
            path: A run folder or its `results.json`, the folder of one trained model or of an
                ensemble in a run, or a folder that `save` wrote.
            model: Which model of a run: its rank from 1, `"ensemble"`, or `"best"` for the winner
                that the run names.

        Returns:
            The predictor, on the CPU.

        Raises:
            StudyError: There is no such model, or it cannot be read.
            DataError: The dataset of the run, which says how rows are read, is damaged.
        """
        place = find(Path(path), model)
        network = (Ensemble if place.is_ensemble else Subnet).load(place.weights)
        return cls(preprocessor_for(place.preprocessor, network.features), network)

    def save(self, folder: Path | str) -> None:
        """Write a folder that stands by itself: the weights and how raw rows are read.

        Args:
            folder: The folder; one that is there is replaced.
        """
        with atomic_directory(folder) as out:
            self.preprocessor.save(out / PREPROCESSOR)
            self.model.save(out / MODEL)

    def digest(self) -> str:
        """Identify what is predicted: two predictors of one digest have the same answers.

        Returns:
            A hexadecimal SHA-256 of the preprocessor, the architecture and the weights.
        """
        found = hashlib.sha256(self.preprocessor.digest().encode())
        members = self.model.members if isinstance(self.model, Ensemble) else [self.model]
        for member in members:
            assert isinstance(member, Subnet)
            found.update(member.genotype.to_json().encode())
        for name, weight in sorted(self.model.state_dict().items()):
            found.update(name.encode())
            found.update(weight.detach().cpu().contiguous().numpy())
        return found.hexdigest()

    def _chunk_logits(
        self, dense: npt.NDArray[np.float32], sparse: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            found = self.model(torch.from_numpy(dense), torch.from_numpy(sparse))
        return cast("npt.NDArray[np.float32]", found.numpy())
