"""Where a race stops, given what is known of its looks."""

from __future__ import annotations

from dataclasses import replace

from nasrec_opt.options import Racing
from nasrec_opt.oracle._protocol import Evaluation


def settled(known: Evaluation, racing: Racing, num_rows: int, below: float) -> Evaluation | None:
    """Answer a race that begins with looks that are known.

    Args:
        known: The last look, with the earlier ones.
        racing: The race.
        num_rows: All rows.
        below: What the log loss has to be below for more rows to count, nats.

    Returns:
        The first look after which the race stops, or None if it needs more rows.

    Example:
        >>> looks = (Evaluation(0.6, log_loss_se=0.01, num_rows=100),)
        >>> known = Evaluation(0.59, log_loss_se=0.0, num_rows=1000, looks=looks)
        >>> settled(known, Racing(), 1000, below=0.5).num_rows
        100
    """
    looks = (*known.looks, replace(known, looks=()))
    for place, look in enumerate(looks):
        bound = racing.lower_bound(look.log_loss, look.log_loss_se)
        if look.num_rows == num_rows or bound > below:
            return replace(look, looks=looks[:place])
    return None
