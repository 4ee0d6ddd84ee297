"""FinalMLP of FuxiCTR: two MLPs on gated embeddings, and a bilinear product of their outputs.

The wheel of FuxiCTR has FinalMLP for logs with a sequence of items in each row. Its layers are used
as they are, with the `forward` of the paper, which such rows do not need. Numeric columns are
embedded by a linear layer each, as FuxiCTR does.

References:
    Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction", AAAI 2023.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nasrec_opt.baselines._network import LogitNetwork
from nasrec_opt.baselines._options import BaselineOptions
from nasrec_opt.data import Batch
from nasrec_opt.errors import MissingExtraError
from nasrec_opt.features import FeatureSpec


def load_package() -> Any:
    """Import FinalMLP and its description of columns.

    Returns:
        The classes `FinalMLP` and `FeatureMap`.

    Raises:
        MissingExtraError: The package is not installed.
    """
    try:
        from fuxictr.features import FeatureMap
        from model_zoo.LongCTR.FinalMLP import FinalMLP
    except ImportError as error:
        raise MissingExtraError("fuxictr", "baselines") from error
    return FinalMLP, FeatureMap


class FinalMLPNetwork(LogitNetwork):
    """FinalMLP on the columns of a log.

    Args:
        features: The columns.
        options: Hyperparameters; both MLPs have the hidden layers.
        seed: Seed of the weights.
    """

    def __init__(self, features: FeatureSpec, options: BaselineOptions, seed: int) -> None:
        final_mlp, feature_map = load_package()
        torch.manual_seed(seed)
        columns = feature_map("log", "")
        for number in range(features.num_dense):
            columns.features[f"I{number}"] = {"source": "", "type": "numeric"}
        for number, size in enumerate(features.cardinalities):
            entry = {"source": "", "type": "categorical", "vocab_size": size}
            columns.features[f"C{number}"] = entry
        columns.labels = ["label"]
        columns.num_fields = len(columns.features)
        columns.default_emb_dim = options.embedding_dim
        hidden = list(options.hidden)
        model = final_mlp(
            columns,
            embedding_dim=options.embedding_dim,
            mlp1_hidden_units=hidden,
            mlp1_dropout=options.dropout,
            mlp2_hidden_units=hidden,
            mlp2_dropout=options.dropout,
            optimizer="adam",  # not used, as all that follows, but needed
            loss="binary_crossentropy",
            metrics=["logloss"],
            model_root="",
            verbose=0,
        )
        layers = model.embedding_layer.embedding_layer.embedding_layers
        tables = [layers[f"C{number}"].weight for number in range(features.num_sparse)]
        super().__init__(model, tables, options.l2)
        self.model = model

    def logits(self, batch: Batch) -> Tensor:
        """The forward pass of the paper, by the model's layers."""
        dense, sparse = torch.from_numpy(batch.dense), torch.from_numpy(batch.sparse)
        columns = {f"I{number}": column for number, column in enumerate(dense.T)}
        columns |= {f"C{number}": column for number, column in enumerate(sparse.T)}
        embedded = self.model.embedding_layer(columns, flatten_emb=True)  # [batch, fields * dim]
        first, second = self.model.fs_module(columns, embedded)  #          [batch, fields * dim]
        logits: Tensor = self.model.fusion_module(self.model.mlp1(first), self.model.mlp2(second))
        return logits.squeeze(-1)  #                                        [batch]
