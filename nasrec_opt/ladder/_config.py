"""What a user may say of a ladder; the defaults need no thought."""

from __future__ import annotations

from dataclasses import dataclass

from nasrec_opt._plain import put_plain
from nasrec_opt.errors import StudyError


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderConfig:
    """How many models are trained between the search and the last retraining, and how long.

    Args:
        models: Models of the first rung, or None for as many as `share` pays for.
        epochs: Epochs of the first rung; every further rung has twice as many. None = 1, and on a
            small log so many that a rung has 150 steps.
        share: Share of the run's time, from the supernet to the last rung, that the ladder takes
            where `models` is None. It is measured, once a run.
    """

    models: int | None = None
    epochs: int | None = None
    share: float = 0.5

    def __post_init__(self) -> None:
        put_plain(self)
        for name in ("models", "epochs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise StudyError(f"{name}: expected 1 or more, got {value}")
        if not 0 < self.share < 1:
            raise StudyError(f"share: expected above 0 and below 1, got {self.share}")
