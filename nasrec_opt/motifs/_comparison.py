"""Motifs of several models, against random models of the same space.

A share says little by itself: where half of the operators are attention, most random models have
some. So each figure stands beside the interval in which the mean of as many random models falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from nasrec_opt.errors import GenotypeError
from nasrec_opt.motifs._motifs import MOTIFS, motifs_of
from nasrec_opt.space import Genotype, SearchSpace

GROUPS = 2000  # of random models, each as large as the group they are compared with
LEVEL = 0.95
EPSILON = 1e-9  # of rounding in a mean


@dataclass(frozen=True, slots=True, kw_only=True)
class MotifRow:
    """One motif of a group of models, and of random ones.

    Args:
        name: One of `MOTIFS`.
        label: The motif in words.
        kind: `share` or `number`; see `Motif`.
        models: Figure of each model, in their order.
        mean: Their mean.
        random: Mean of random models of the space.
        low: Lower end of the 95 % interval of the mean of as many random models.
        high: Upper end.
    """

    name: str
    label: str
    kind: Literal["share", "number"]
    models: tuple[float, ...]
    mean: float
    random: float
    low: float
    high: float

    @property
    def side(self) -> str:
        """`more` or `less` than random models have, or empty inside the interval."""
        if self.mean > self.high + EPSILON:
            return "more"
        return "less" if self.mean < self.low - EPSILON else ""

    @property
    def is_constant(self) -> bool:
        """Whether neither the models nor random ones differ in it."""
        return self.low == self.high == self.mean == self.random and len(set(self.models)) == 1

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            The fields and `side` by name.
        """
        values = asdict(self)
        return values | {"models": list(self.models), "side": self.side}


def compare_with_random(
    genotypes: Sequence[Genotype], space: SearchSpace, *, samples: int = 1000, seed: int = 0
) -> tuple[MotifRow, ...]:
    """Compare the motifs of several models with those of random models.

    The interval is that of the mean of as many random models as are given, so it is wide for few
    models. Of twenty figures, one falls outside by chance.

    Args:
        genotypes: The models, for example those of a Pareto front.
        space: Random models are drawn from it with `SearchSpace.sample`. Constraints of a study do
            not bind them.
        samples: Number of random models.
        seed: Seed of the draws.

    Returns:
        A row for each of `MOTIFS`.

    Raises:
        GenotypeError: There is no model, or `samples` is not positive.

    Example:
        >>> from nasrec_opt.space import published_model
        >>> models = [published_model("criteo-full").genotype]
        >>> rows = compare_with_random(models, SearchSpace.nasrec_full(max_inputs=4), samples=50)
        >>> [row.mean for row in rows if row.name == "live_blocks"]
        [4.0]
    """
    if not genotypes:
        raise GenotypeError("genotypes: expected at least one model, got none")
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise GenotypeError(f"samples: expected a positive integer, got {samples!r}")
    own = _figures(genotypes)
    rng = np.random.default_rng(seed)
    drawn = _figures([space.sample(rng) for _ in range(samples)])
    groups = rng.integers(samples, size=(GROUPS, len(genotypes)))
    tails = (1 - LEVEL) / 2
    rows = []
    for place, (name, motif) in enumerate(MOTIFS.items()):
        means = drawn[:, place][groups].mean(axis=1)  # [groups]
        low, high = np.quantile(means, (tails, 1 - tails))
        rows.append(
            MotifRow(
                name=name,
                label=motif.label,
                kind=motif.kind,
                models=tuple(map(float, own[:, place])),
                mean=float(own[:, place].mean()),
                random=float(drawn[:, place].mean()),
                low=float(low),
                high=float(high),
            )
        )
    return tuple(rows)


def _figures(genotypes: Sequence[Genotype]) -> np.ndarray:
    """Motifs of each model, `[genotypes, motifs]`."""
    return np.array([list(motifs_of(genotype).values()) for genotype in genotypes])
