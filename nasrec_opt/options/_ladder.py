"""Options of the ladder."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nasrec_opt._plain import put_plain
from nasrec_opt.errors import StudyError


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderConfig:
    """How many models are trained between the search and the last retraining, and how long.

    Args:
        models: Models of the first rung besides probes; half of them continue to twice the epochs,
            and so on. They are chosen by what they promise and what they cost. None means as many
            as `share` pays for, from 8 to 64.
        share: The ladder's share of the run's time from the supernet to the last rung, if `models`
            is not given. Times are measured once per run.
        probes: Models that are trained to the end before the supernet, so that there is one early;
            they become the search's first trials, and the ladder learns from them, but does not
            choose among them.
        known: Models known to be good, such as `like:dlrm`, which become probes too: names and
            files as `[search] initial` takes them. The first random probe is trained before them,
            since it is cheaper. A model that ships is left out where the space does not have it.
        epochs: Epochs of the first rung: a quarter or a half of one on a long log, several on a
            short one; every further rung has twice as many. None means the fewest with 300 steps.

    Raises:
        StudyError: An option is out of range.
    """

    models: int | None = None
    epochs: float | None = None
    share: float = 0.5
    probes: int = 0
    known: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        put_plain(self)
        if self.models is not None and self.models < 1:
            raise StudyError(f"models: expected 1 or more, got {self.models}")
        if self.epochs is not None and not 0 < self.epochs < math.inf:
            raise StudyError(f"epochs: expected a finite number above 0, got {self.epochs}")
        if self.probes < 0:
            raise StudyError(f"probes: expected 0 or more, got {self.probes}")
        if not 0 < self.share < 1:
            raise StudyError(f"share: expected above 0 and below 1, got {self.share}")
