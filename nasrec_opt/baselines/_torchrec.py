"""DLRM of TorchRec: an MLP on dense features, dot products of all embeddings, and an MLP on them.

References:
    Naumov et al., "Deep Learning Recommendation Model for Personalization and Recommendation
    Systems", 2019.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nasrec_opt.baselines._network import LogitNetwork
from nasrec_opt.baselines._options import BaselineOptions
from nasrec_opt.data import Batch
from nasrec_opt.errors import MissingExtraError, StudyError
from nasrec_opt.features import FeatureSpec

BEHIND = 5  # TorchRec 1.n is made for PyTorch 2.(n + 5)


def load_package() -> Any:
    """Import the parts of TorchRec that make a DLRM.

    Returns:
        The classes `DLRM`, `EmbeddingBagCollection`, `EmbeddingBagConfig` and `KeyedJaggedTensor`.

    Raises:
        MissingExtraError: The package is not installed, or not the one for this PyTorch.
    """
    try:
        from torchrec.models.dlrm import DLRM
        from torchrec.modules.embedding_configs import EmbeddingBagConfig
        from torchrec.modules.embedding_modules import EmbeddingBagCollection
        from torchrec.sparse.jagged_tensor import KeyedJaggedTensor
    except (ImportError, OSError) as error:  # OSError: its operators are for another PyTorch
        raise MissingExtraError("TorchRec", command=how_to_install(torch.__version__)) from error
    return DLRM, EmbeddingBagCollection, EmbeddingBagConfig, KeyedJaggedTensor


def how_to_install(version: str) -> str:
    """Say how to install TorchRec on a CPU; its wheel asks for the operators of CUDA.

    Args:
        version: Of PyTorch, such as `2.13.0+cpu`.

    Returns:
        A command.
    """
    fitting = f"1.{int(version.split('.')[1]) - BEHIND}.*"
    return (
        "pip install tensordict pyre-extensions torchmetrics==1.0.3 && "
        f"pip install --no-deps 'torchrec=={fitting}' 'fbgemm-gpu-cpu=={fitting}'"
    )


class DLRMNetwork(LogitNetwork):
    """DLRM on the columns of a log.

    Args:
        features: The columns; at least one of them is dense.
        options: Hyperparameters. The MLP on the dense features has the last hidden layer, then the
            embeddings' width; the one on the products has all hidden layers.
        seed: Seed of the weights.
    """

    def __init__(self, features: FeatureSpec, options: BaselineOptions, seed: int) -> None:
        dlrm, collection, table, self._jagged = load_package()
        if not features.num_dense:
            raise StudyError("dlrm: expected a log with dense columns, got none")
        torch.manual_seed(seed)
        self._keys = [f"C{number}" for number in range(features.num_sparse)]
        tables = [
            table(
                name=f"t_{key}",
                embedding_dim=options.embedding_dim,
                num_embeddings=size,
                feature_names=[key],
            )
            for key, size in zip(self._keys, features.cardinalities, strict=True)
        ]
        embeddings = collection(tables=tables, device=torch.device("cpu"))
        model = dlrm(
            embeddings,
            features.num_dense,
            [options.hidden[-1], options.embedding_dim],
            [*options.hidden, 1],
        )
        if options.dropout:
            _add_dropout(model.over_arch, options.dropout)
        super().__init__(model, embeddings.parameters(), options.l2)
        self.model = model

    def logits(self, batch: Batch) -> Tensor:
        """The answers of the model."""
        ids = torch.from_numpy(batch.sparse.T.reshape(-1))  # a column after the other
        bags = self._jagged(keys=self._keys, values=ids, offsets=torch.arange(len(ids) + 1))
        found: Tensor = self.model(torch.from_numpy(batch.dense), bags).squeeze(-1)
        return found


def _add_dropout(over_arch: nn.Module, dropout: float) -> None:
    """Put dropout behind each hidden layer of the MLP on the products; TorchRec has none."""
    perceptron = over_arch.get_submodule("model.0")
    layers = perceptron.get_submodule("_mlp")
    for number, layer in enumerate(layers.children()):
        setattr(layers, str(number), nn.Sequential(layer, nn.Dropout(dropout)))
