"""How far apart the values of two splits are, beside what chance alone does."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nasrec_opt.inspection._figures import Drift, Unseen

MOST_GROUPS = 64  # values that are compared one by one
FEWEST = 5  # rows of a group by chance, in the smaller split, for the chi-squared law to hold
FALSE_ALARMS = 1e-3  # of all comparisons of an inspection together
FEWEST_TRAINING = 10  # rows; of values that may have none by chance, only the others have an id
SIGMAS = 5.0

Counts = npt.NDArray[np.integer[Any]]


def drift(first: Counts, second: Counts, *, num_comparisons: int = 1) -> Drift:
    """Compare how often two splits have each of some groups of values.

    Under a random split, the index times n m / (n + m) follows the chi-squared law with a degree of
    freedom for each group but one.

    Args:
        first: Rows of the first split, `[groups]`.
        second: Rows of the second split, `[groups]`.
        num_comparisons: How many there are in all, so that all together rarely give a false alarm.

    Returns:
        The population stability index, and what it is by chance.
    """
    first, second = _merged(first, second)
    rows, other_rows = int(first.sum()), int(second.sum())
    freedom = len(first) - 1
    if freedom < 1 or not rows or not other_rows:
        return Drift(psi=0.0, expected=0.0, limit=0.0, groups=max(len(first), 1))
    # Half a row more where a split has none of a group.
    shares, others = np.maximum(first, 0.5) / rows, np.maximum(second, 0.5) / other_rows
    psi = float(((shares - others) * np.log(shares / others)).sum())
    unit = 1 / rows + 1 / other_rows
    from scipy.special import chdtri  # a study file is read without scipy

    limit = float(chdtri(freedom, FALSE_ALARMS / num_comparisons)) * unit
    return Drift(psi=psi, expected=freedom * unit, limit=limit, groups=len(first))


def common_groups(
    first: Counts, second: Counts, missing: tuple[int, int], rest: tuple[int, int], most: int
) -> tuple[Counts, Counts]:
    """Group the values of a column: the most frequent ones, missing, and all others together.

    Values are chosen by their rows in both splits together. If those of the training rows alone
    decided, the chosen ones would be those that are frequent there by chance.

    Args:
        first: Training rows of the values that may be chosen, `[values]`.
        second: The same for the other split.
        missing: Rows without a value, in either split.
        rest: Rows of all other values.
        most: Most training rows of a value that may not be chosen.

    Returns:
        Rows of each group in the training rows and in the other split.
    """
    both = first + second
    # Well above what a value that may not be chosen could have.
    most = max(most, FEWEST_TRAINING)
    enough = most + most * int(second.sum()) / max(int(first.sum()), 1) + 6 * math.sqrt(most)
    order = np.argsort(-both, kind="stable")[:MOST_GROUPS]
    chosen = order[both[order] > enough]
    return tuple(  # type: ignore[return-value] # two of them
        np.concatenate([counts[chosen], [none], [others + counts.sum() - counts[chosen].sum()]])
        for counts, none, others in zip((first, second), missing, rest, strict=True)
    )


def unseen(
    rows: int, without_id: int, *, train_rows: int, train_rare: int, counts: Counts, min_count: int
) -> Unseen:
    """Compare the rows of a split that have no id with what a random split has.

    The values that occur *c* times among n training rows are expected to have a share of
    (c + 1) N(c + 1) / n of new rows, where N(c) values occur *c* times (Good-Turing). Their sum
    over all counts below the threshold of an id is the share of rare training rows and
    t N(t) / n, where t is the threshold.

    Args:
        rows: Rows of the split.
        without_id: Those whose value has no id.
        train_rows: Training rows, those without a value included.
        train_rare: Training rows whose value has no id.
        counts: Training rows of each value with an id.
        min_count: Training rows that a value needs for an id.

    Returns:
        The share, and what it is by chance.
    """
    at_threshold = min_count * int((counts == min_count).sum())
    expected = (train_rare + at_threshold) / max(train_rows, 1)
    error = math.sqrt(expected * (1 / max(rows, 1) + 1 / max(train_rows, 1)))
    error += 1 / max(rows, 1)  # a row more or less is chance too
    return Unseen(
        share=without_id / max(rows, 1), expected=expected, limit=expected + SIGMAS * error
    )


def _merged(first: Counts, second: Counts) -> tuple[Counts, Counts]:
    """Merge the groups that are too small for the law into one, which is large enough."""
    first, second = first.astype(np.int64), second.astype(np.int64)
    both = first + second
    total = int(both.sum())
    if not total:
        return first[:1], second[:1]
    smaller = min(int(first.sum()), int(second.sum())) / total
    order = np.argsort(both, kind="stable")
    small = int((both * smaller < FEWEST).sum())
    while 0 < small < len(order) and both[order[:small]].sum() * smaller < FEWEST:
        small += 1
    if small < 1:
        return first, second
    joined, kept = order[:small], order[small:]
    return (
        np.append(first[kept], first[joined].sum()),
        np.append(second[kept], second[joined].sum()),
    )
