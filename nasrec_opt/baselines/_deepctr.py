"""Models of deepctr-torch: Wide & Deep, DeepFM, xDeepFM, AutoInt+ and DCN-v2.

A training step is what `fit` of the package does.
"""

from __future__ import annotations

import contextlib
import io
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nasrec_opt.baselines._network import Network, labels_of
from nasrec_opt.baselines._options import BaselineOptions
from nasrec_opt.data import Batch
from nasrec_opt.errors import MissingExtraError, StudyError
from nasrec_opt.features import FeatureSpec

MOST_VALUES = 1 << 24  # whole numbers that float32 tells apart


def load_package() -> Any:
    """Import the models of deepctr-torch.

    Returns:
        The module `deepctr_torch.models`.

    Raises:
        MissingExtraError: The package is not installed.
    """
    before = set(threading.enumerate())
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            import deepctr_torch.models

            # Importing it asks PyPI for its latest version, in a thread, and prints what comes.
            for thread in set(threading.enumerate()) - before:
                thread.join(timeout=10)
    except ImportError as error:
        raise MissingExtraError("deepctr-torch", "baselines") from error
    return deepctr_torch.models


class DeepCTR(Network):
    """A model of deepctr-torch on the columns of a log.

    Args:
        family: Name of its class in `deepctr_torch.models`.
        features: The columns.
        options: Hyperparameters.
        seed: Seed of the weights.
        extra: Further arguments of the class.
    """

    def __init__(
        self,
        family: str,
        features: FeatureSpec,
        options: BaselineOptions,
        seed: int,
        **extra: Any,
    ) -> None:
        models = load_package()
        most = max(features.cardinalities, default=0)
        if most > MOST_VALUES:
            raise StudyError(
                f"deepctr-torch: expected at most {MOST_VALUES:,} values of a column, since it "
                f"reads ids as float32, got {most:,}"
            )
        from deepctr_torch.inputs import DenseFeat, SparseFeat

        columns = [
            SparseFeat(f"C{number}", size, embedding_dim=options.embedding_dim)
            for number, size in enumerate(features.cardinalities)
        ]
        columns += [DenseFeat(f"I{number}", 1) for number in range(features.num_dense)]
        l2 = {"l2_reg_embedding": options.l2}
        if family != "AutoInt":  # whose first-order weights have no penalty
            l2["l2_reg_linear"] = options.l2
        model = getattr(models, family)(
            columns,
            columns,
            dnn_hidden_units=options.hidden,
            dnn_dropout=options.dropout,
            seed=seed,
            device="cpu",
            **l2,
            **extra,
        )
        model.compile("adam", "binary_crossentropy")  # its optimizer is not used
        first_order = model.linear_model.embedding_dict
        super().__init__(model, (*model.embedding_dict.parameters(), *first_order.parameters()))
        self.model = model

    def loss(self, batch: Batch) -> Tensor:
        """What `fit` of the package lowers."""
        predicted = self.model(joined(batch)).squeeze(-1)
        labels, weights = labels_of(batch)
        losses: Tensor = self.model.loss_func(predicted, labels, weights, reduction="sum")
        total: Tensor = losses + self.model.get_regularization_loss() + self.model.aux_loss
        return total

    def click_probabilities(self, batch: Batch) -> npt.NDArray[np.float64]:
        """The package's answers."""
        with torch.inference_mode():
            return np.asarray(self.model(joined(batch)).squeeze(-1).double().numpy())


def joined(batch: Batch) -> Tensor:
    """Lay a batch out as the package takes it.

    Args:
        batch: Rows.

    Returns:
        Ids, then dense features, float32 `[batch, columns]`.
    """
    return torch.from_numpy(np.concatenate([batch.sparse, batch.dense], axis=1, dtype=np.float32))
