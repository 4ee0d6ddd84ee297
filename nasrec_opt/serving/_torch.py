"""An exported model in torch, without the code of the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasrec_opt.data import Preprocessor
from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.serving._base import RowPredictor
from nasrec_opt.serving._bundle import Bundle

Graph = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class TorchPredictor(RowPredictor):
    """Click probabilities of raw rows, computed by a graph of `torch.export`.

    Args:
        preprocessor: Reads rows as the log of the model was read.
        graph: Makes logits and probabilities, `[rows]` each, of dense values and ids.
        features: The shape of the graph's inputs.

    Raises:
        StudyError: The model reads other columns or vocabularies than the preprocessor makes.
    """

    def __init__(self, preprocessor: Preprocessor, graph: Graph, features: FeatureSpec) -> None:
        super().__init__(preprocessor, features)
        self.graph = graph

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Load a model that was exported as torch.

        Args:
            folder: The folder that `export` wrote.

        Returns:
            The predictor, on the CPU.

        Raises:
            StudyError: The folder holds no such model, or a damaged one.
            DataError: The part that says how rows are read is damaged.
        """
        bundle = Bundle.read(Path(folder), "torch")
        preprocessor = bundle.preprocessor()
        try:
            program = torch.export.load(bundle.graph)
        except Exception as error:  # a damaged archive shows in many ways
            reason = str(error).strip().partition("\n")[0]
            raise StudyError(
                f"{bundle.graph}: expected a program of torch.export, got: {reason}"
            ) from error
        return cls(preprocessor, program.module(), bundle.features)

    def _chunk_logits(
        self, dense: npt.NDArray[np.float32], sparse: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            logits: Tensor = self.graph(torch.from_numpy(dense), torch.from_numpy(sparse))[0]
        return logits.numpy()
