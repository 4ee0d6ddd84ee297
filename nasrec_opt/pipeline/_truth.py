"""Logs whose best model is known: clicks are drawn from a model of a search space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy.typing as npt
import torch

from nasrec_opt.data import (
    GeneratedRows,
    LogKind,
    VocabularyKind,
    generated_features,
    model_inputs,
)
from nasrec_opt.features import FeatureSpec
from nasrec_opt.space import FLOAT_BITS, Genotype
from nasrec_opt.supernet import Subnet

TABLE_ROWS = 10_000  # values of a column beyond share vectors; a model may learn that, too
BATCH = 8192


def truth_of(
    genotype: Genotype, *, like: LogKind, vocabulary: VocabularyKind = "realistic", seed: int = 0
) -> Callable[[GeneratedRows], npt.NDArray[Any]]:
    """Make the `log_odds` of `nasrec_opt.data.generate_log` that are a model's logits.

    The model has fixed random weights: vectors of values are normal, with variance 1. It reads what
    a model of the prepared log reads, so the genotype can give the true probabilities.

    Args:
        genotype: The model. Its products are not rounded to its bits.
        like: As in `generate_log`.
        vocabulary: As in `generate_log`.
        seed: Of the weights.

    Returns:
        A function of rows.

    Raises:
        GenotypeError: `genotype` is something else.
        DataError: An option is not one of those of `generate_log`.

    Example:
        >>> import numpy as np
        >>> from nasrec_opt import SearchSpace
        >>> from nasrec_opt.data import generate_log
        >>> genotype = SearchSpace.nasrec_small(num_blocks=2).sample(np.random.default_rng(0))
        >>> truth = truth_of(genotype, like="criteo", vocabulary="small")
        >>> log = generate_log("log", like="criteo", rows=1000, vocabulary="small", log_odds=truth)
    """
    full = generated_features(like, vocabulary)
    features = FeatureSpec(
        full.num_dense, tuple(min(size, TABLE_ROWS) for size in full.cardinalities)
    )
    subnet = Subnet(genotype.with_bits(FLOAT_BITS), features, seed)
    torch.nn.init.normal_(subnet.embedding.table, generator=torch.Generator().manual_seed(seed))
    sizes = torch.tensor(features.cardinalities)

    def log_odds(rows: GeneratedRows) -> npt.NDArray[Any]:
        dense, sparse = map(torch.from_numpy, model_inputs(like, rows))
        with torch.no_grad():
            parts = zip(dense.split(BATCH), (sparse % sizes).split(BATCH), strict=True)
            return torch.cat([subnet(*part) for part in parts]).numpy()

    return log_odds
