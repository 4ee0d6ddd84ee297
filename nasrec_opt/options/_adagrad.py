"""Options that every training by Adagrad has."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nasrec_opt.errors import StudyError


@dataclass(frozen=True, slots=True, kw_only=True)
class AdagradOptions:
    """Options of every training by Adagrad: of a supernet, of a subnet, of a last layer.

    Args:
        learning_rate: Peak learning rate of Adagrad; half a cosine down to 0 follows. None means
            the log's.
        epsilon: Added to the square root of Adagrad's accumulators. Where it is large, as the
            published 1e-2, a weight's first steps are small; otherwise they have the size of the
            learning rate, whatever the gradient.
        clip_norm: Maximum L2 norm of the gradient of everything that a step updates, the embedding
            rows included, or None for no clipping; 5.0 as published.
        rate_warmup_fraction: Share of the steps over which the learning rate rises linearly; 0.1 as
            published.
    """

    learning_rate: float | None = None
    epsilon: float = 1e-10
    clip_norm: float | None = None
    rate_warmup_fraction: float = 0.02

    def check_adagrad(self) -> None:
        """Refuse options out of range.

        Raises:
            StudyError: It names the option.
        """
        for name in ("learning_rate", "epsilon", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise StudyError(f"{name}: expected a finite number above 0, got {value}")
        if not 0 <= self.rate_warmup_fraction <= 1:
            raise StudyError(
                f"rate_warmup_fraction: expected 0 to 1, got {self.rate_warmup_fraction}"
            )
