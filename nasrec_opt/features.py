"""The shape of the input of a CTR model: no data, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nasrec_opt._plain import plain, put_plain
from nasrec_opt.errors import DataError


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """What a model reads: dense columns and sparse columns with their vocabularies.

    Args:
        num_dense: Number of dense (numeric) features, 0 or more.
        cardinalities: Vocabulary size of each sparse feature, one entry a feature, each at least 1.
        embedding_dim: Width of an embedding vector (the paper's `d`, 16).

    Raises:
        DataError: A count or a cardinality is out of range.
    """

    num_dense: int
    cardinalities: tuple[int, ...]
    embedding_dim: int = 16

    def __post_init__(self) -> None:
        put_plain(self)
        object.__setattr__(self, "cardinalities", tuple(map(plain, self.cardinalities)))
        counts = {"num_dense": self.num_dense, "embedding_dim": self.embedding_dim}
        counts |= {f"cardinalities[{i}]": c for i, c in enumerate(self.cardinalities)}
        for name, count in counts.items():
            if type(count) is not int:
                raise DataError(f"{name}: expected an integer, got {count!r}")
        if self.num_dense < 0:
            raise DataError(f"num_dense: expected 0 or more, got {self.num_dense}")
        if self.embedding_dim < 1:
            raise DataError(f"embedding_dim: expected 1 or more, got {self.embedding_dim}")
        for index, cardinality in enumerate(self.cardinalities):
            if cardinality < 1:
                raise DataError(f"cardinalities[{index}]: expected 1 or more, got {cardinality}")
        if not self.cardinalities:
            raise DataError("cardinalities: expected at least one sparse feature, got none")

    @property
    def num_sparse(self) -> int:
        """Number of sparse features."""
        return len(self.cardinalities)

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            The fields by name.
        """
        return {
            "num_dense": self.num_dense,
            "cardinalities": list(self.cardinalities),
            "embedding_dim": self.embedding_dim,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FeatureSpec:
        """Inverse of `to_dict`.

        Args:
            values: The result of `to_dict`.

        Returns:
            The same shape of the input.

        Raises:
            DataError: A count or a cardinality is out of range.
        """
        return cls(values["num_dense"], tuple(values["cardinalities"]), values["embedding_dim"])
