"""Shares and counts in words."""

from __future__ import annotations

from collections.abc import Sequence


def percent(share: float) -> str:
    """Write a share as a percentage of three digits, which is never 0 or 100 where it is neither.

    Args:
        share: From 0 to 1.

    Returns:
        Such as `44.2 %`.

    Example:
        >>> percent(0.4416), percent(1.0), percent(0.99999), percent(0.00002)
        ('44.2 %', '100 %', '99.999 %', '0.002 %')
    """
    if 0.9995 <= share < 1:
        return f"{100 - float(f'{100 * (1 - share):.1g}'):.10g} %"
    return f"{100 * share:.3g} %"


def listed(names: Sequence[str], most: int = 8) -> str:
    """Join names to a list in words.

    Args:
        names: One or more.
        most: Names that are written out; of further ones the number is said.
    """
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]
