"""How many validation rows a candidate is scored on, where the rows may decide."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from nasrec_opt._plain import put_plain
from nasrec_opt.errors import StudyError, described


@dataclass(frozen=True, slots=True, kw_only=True)
class Racing:
    """A race: a candidate is scored on more rows as long as they could change its place.

    Every candidate is looked at on the same first rows, then on more, up to all of them. After each
    look it stops if its log loss is, with some confidence, above what it has to be below
    (docs/decisions/racing.md).

    Args:
        first: Validation rows of the first look, evenly spread.
        factor: How many times as many rows each further look has; the last one has all rows.
        confidence: Probability, at each look, that a candidate goes on whose log loss is exactly
            what it has to be below.
        rivals: Trials that must be better than a candidate, with that confidence, to stop it: with
            a lower log loss, and no higher value of any other objective. None means 1, or 16 where
            log loss is the only objective.

    Raises:
        StudyError: An option is out of range, or of another kind.

    Example:
        >>> Racing(first=1000).looks(50_000)
        (1000, 4000, 16000, 50000)
    """

    first: int = 16_384
    factor: int = 4
    confidence: float = 0.99
    rivals: int | None = None

    def __post_init__(self) -> None:
        put_plain(self)
        for name, least in (("first", 2), ("factor", 2), ("rivals", 1)):
            value = getattr(self, name)
            if value is None and name == "rivals":
                continue
            if type(value) is not int:
                raise StudyError(f"{name}: expected an integer, got {described(value)}")
            if value < least:
                raise StudyError(f"{name}: expected {least} or more, got {value}")
        if type(self.confidence) is not float or not 0.5 <= self.confidence < 1:
            raise StudyError(
                f"confidence: expected a number from 0.5 to below 1, got {self.confidence!r}"
            )

    def looks(self, num_rows: int) -> tuple[int, ...]:
        """Number of rows of each look.

        Args:
            num_rows: All rows, 1 or more.

        Returns:
            Ascending; the last is `num_rows`.
        """
        found, count = [], self.first
        while count < num_rows:
            found.append(count)
            count *= self.factor
        return (*found, num_rows)

    def lower_bound(self, log_loss: float, standard_error: float | None) -> float:
        """Lower confidence bound of a log loss.

        Args:
            log_loss: The estimate, nats.
            standard_error: Its standard error, nats, or None where it is not known.

        Returns:
            The bound, nats; minus infinity without a standard error.
        """
        if standard_error is None:
            return -math.inf
        return log_loss - NormalDist().inv_cdf(self.confidence) * standard_error
