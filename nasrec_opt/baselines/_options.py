"""Hyperparameters of a hand-made model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nasrec_opt.errors import StudyError


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineOptions:
    """Hyperparameters; the defaults are those of deepctr-torch, with embeddings as wide as ours.

    Args:
        hidden: Widths of the deep part's layers.
        embedding_dim: Width of embeddings.
        learning_rate: Adam's.
        batch_size: Rows of a step.
        l2: Penalty on the squares of embeddings and first-order weights, added to the sum of a
            batch's log losses.
        dropout: In the deep part.

    Raises:
        StudyError: A value is not valid.
    """

    hidden: tuple[int, ...] = (256, 128)
    embedding_dim: int = 16
    learning_rate: float = 1e-3
    batch_size: int = 256
    l2: float = 1e-5
    dropout: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        counts = {"embedding_dim": self.embedding_dim, "batch_size": self.batch_size}
        for name, value in {**counts, **{"hidden": min(self.hidden, default=0)}}.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise StudyError(f"{name}: expected whole numbers from 1, got {value!r}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise StudyError(f"learning_rate: expected more than 0, got {self.learning_rate!r}")
        if not (math.isfinite(self.l2) and self.l2 >= 0):
            raise StudyError(f"l2: expected 0 or more, got {self.l2!r}")
        if not 0 <= self.dropout < 1:
            raise StudyError(f"dropout: expected 0 to less than 1, got {self.dropout!r}")

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            The fields by name.
        """
        return asdict(self) | {"hidden": list(self.hidden)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BaselineOptions:
        """Inverse of `to_dict`.

        Args:
            values: The result of `to_dict`.

        Returns:
            The options.

        Raises:
            StudyError: A value is not valid.
            TypeError: A field is unknown.
        """
        return cls(**values)
