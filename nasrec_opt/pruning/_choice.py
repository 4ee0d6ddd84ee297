"""Which units go: the lowest of all groups, until a share of the weights is gone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nasrec_opt.features import FeatureSpec
from nasrec_opt.pruning._masks import MaskedSubnet, pruned_weights
from nasrec_opt.pruning._units import (
    Kept,
    Unit,
    groups_of,
    pruned_genotype,
    read_by,
    shortcuts_of,
)
from nasrec_opt.space import Genotype, balanced_vectors
from nasrec_opt.supernet import DENSE, PAIRS, VECTORS, Signal, Subnet, axes_of

MIN_UNITS = 4  # of an output: a layer norm of fewer says little
Scores = Mapping[Signal, Tensor]  # of each unit of an output, `[units]`
Group = tuple[Unit, ...]  # units that only go together
Conflict = tuple[int, str]  # index of a block, and which of its shortcuts would change


@dataclass(frozen=True, slots=True)
class Original:
    """The model before anything was removed.

    Args:
        genotype: The model.
        features: Shape of the input.
        balance: Whether its dot products project their vectors.
    """

    genotype: Genotype
    features: FeatureSpec
    balance: bool


def unit_scores(subnet: Subnet) -> dict[Signal, Tensor]:
    """Score every unit of a trained model: the mean over its rows and its columns.

    Entries of a weight matrix are scored by their masks where the model has masks, otherwise by
    their magnitude, divided by the root mean square of their matrix: matrices differ in scale.

    Args:
        subnet: The trained model.

    Returns:
        For each output the scores of its units, float64 `[units]`; outputs that no scored weight
        makes or reads are left out.
    """
    if isinstance(subnet, MaskedSubnet):
        entries = subnet.mask_values()
    else:
        weights = {name: w.detach().double() for name, w in pruned_weights(subnet).items()}
        entries = {
            n: w.abs() / w.square().mean().sqrt().clamp_min(1e-12) for n, w in weights.items()
        }
    axes = axes_of(subnet)
    totals: dict[Signal, Tensor] = {}
    counts: dict[Signal, int] = {}
    for name, values in entries.items():
        for axis, signal in enumerate(axes[name]):
            if signal is not None and signal[0] != PAIRS:
                total = values.detach().double().cpu().sum(dim=1 - axis)
                totals[signal] = totals[signal] + total if signal in totals else total
                counts[signal] = counts.get(signal, 0) + values.shape[1 - axis]
    return {signal: total / counts[signal] for signal, total in totals.items()}


def choose(
    original: Original,
    kept: Kept,
    scores: Scores,
    *,
    size: Callable[[Kept], float],
    target: float,
) -> Kept:
    """Remove the groups of units with the lowest scores until the model is small enough.

    Args:
        original: The model before anything was removed.
        kept: Its units that are left.
        scores: Of each unit that is left, as `unit_scores` gives them.
        size: What is to fall, of the units that stay.
        target: The size to come down to.

    Returns:
        The units that stay. Where blocks stand against the target, a model of another size that is
        as near to it as was found, but smaller than before if that is possible at all.
    """
    removal = _Removal(original, kept, scores)
    before = size(kept)
    found: list[Kept] = []
    for wants_more in PREFERENCES:
        smaller = _attempt(removal, kept, size, target, wants_more)
        if size(smaller) <= target and not found:
            return smaller
        found.append(smaller)
    return min(found, key=lambda units: (size(units) >= before, abs(size(units) - target)))


@dataclass(frozen=True, slots=True)
class _Ways:
    """Two ways to end a conflict.

    Args:
        back: Groups to put back; none where that leads nowhere.
        more: Groups to remove as well; likewise.
        after_back: Size of the model after the first way.
        after_more: The same after the second.
    """

    back: list[Group]
    more: list[Group]
    after_back: float
    after_more: float


# Whether a conflict ends by removing more, of its ways and the target. The first leaves the order
# of scores alone as far as possible. Groups that it puts back are not removed again, so the rest
# may be too few to come down to the target: then the others are tried.
PREFERENCES: tuple[Callable[[_Ways, float], bool], ...] = (
    lambda ways, _: len(ways.more) < len(ways.back),
    lambda ways, target: abs(ways.after_more - target) < abs(ways.after_back - target),
    lambda ways, _: True,
)


def _attempt(
    removal: _Removal,
    kept: Kept,
    size: Callable[[Kept], float],
    target: float,
    wants_more: Callable[[_Ways, float], bool],
) -> Kept:
    """Remove groups, lowest score first, and end each conflict in one of two ways.

    Args:
        removal: The groups.
        kept: The units that are left.
        size: What is to fall.
        target: The size to come down to.
        wants_more: One of `PREFERENCES`.

    Returns:
        The units that stay.
    """
    gone: list[Group] = []  # whatever the target
    stay: set[Group] = set()
    for _ in removal.order:
        done = set(gone) | stay
        sequence = [*gone, *(group for group in removal.order if group not in done)]
        low, high = len(gone), len(sequence)
        while low < high:  # the smallest number of groups that is enough
            middle = (low + high) // 2
            if size(removal.after(sequence[:middle])) <= target:
                high = middle
            else:
                low = middle + 1
        conflict = removal.conflict(sequence[:low])
        if conflict is None:
            return removal.after(sequence[:low])
        ways = removal.ways_out(conflict, sequence[:low], sequence[low:], size)
        if ways.more and wants_more(ways, target):
            gone += ways.more
        else:
            stay.update(ways.back)
            gone = [group for group in gone if group not in stay]
        if not ways.back and not ways.more:
            break
    return kept


class _Removal:
    """What removing groups of units leaves, and which blocks stand against it.

    A block with a dot product of 340 units, for example, projects 27 sparse inputs to 26 vectors;
    of 26 inputs it would use all as they are, and compute something else. So its width has to stay
    above 350 or go below 326.
    """

    def __init__(self, original: Original, kept: Kept, scores: Scores) -> None:
        self.order = _order(original, kept, scores)
        self._original = original
        self._kept = kept
        self._scores = scores
        self._wanted = self._shortcuts(kept)

    def after(self, groups: Sequence[Group]) -> Kept:
        """The units that stay."""
        return _without(kept=self._kept, groups=groups, scores=self._scores)

    def conflict(self, groups: Sequence[Group]) -> Conflict | None:
        """The first operator that would lose or gain a projection, if there is one."""
        found = self._shortcuts(self.after(groups))
        for index, (new, old) in enumerate(zip(found, self._wanted, strict=True)):
            for name in old:
                if new[name] != old[name]:
                    return index, name
        return None

    def ways_out(
        self,
        conflict: Conflict,
        groups: Sequence[Group],
        others: Sequence[Group],
        size: Callable[[Kept], float],
    ) -> _Ways:
        """Groups to put back, and groups to remove as well, each of which ends a conflict.

        Args:
            conflict: As `conflict` found it.
            groups: What is removed.
            others: What else could be, lowest score first.
            size: Of the units that stay.

        Returns:
            Both ways.
        """
        index, name = conflict
        near = read_by(index + 1, self._original.genotype.blocks[index])[name]

        def of_conflict(some: Iterable[Group]) -> list[Group]:
            return [group for group in some if any(signal in near for signal, _ in group)]

        def is_over(units: Kept) -> bool:
            return self._shortcuts(units)[index][name] == self._wanted[index][name]

        def without(back: Iterable[Group]) -> Kept:
            left = set(back)
            return self.after([group for group in groups if group not in left])

        back = _prefix(of_conflict(reversed(groups)), lambda some: is_over(without(some)))
        more = _prefix(of_conflict(others), lambda some: is_over(self.after([*groups, *some])))
        return _Ways(back, more, size(without(back)), size(self.after([*groups, *more])))

    def _shortcuts(self, kept: Kept) -> list[dict[str, bool]]:
        original = self._original
        smaller = pruned_genotype(original.genotype, kept)
        return shortcuts_of(smaller, original.features, balance=original.balance)


def _prefix(groups: Sequence[Group], is_enough: Callable[[Sequence[Group]], bool]) -> list[Group]:
    """The fewest first groups that are enough; none where all of them are not."""
    for count in range(1, len(groups) + 1):
        if is_enough(groups[:count]):
            return list(groups[:count])
    return []


def _order(original: Original, kept: Kept, scores: Scores) -> list[Group]:
    """The groups that may go, lowest score first; every output keeps its least units."""
    groups = groups_of(original.genotype, original.features, kept, balance=original.balance)
    place = {signal: {unit: i for i, unit in enumerate(units)} for signal, units in kept.items()}
    scored: list[tuple[float, Group]] = []
    for group in groups:
        values = [
            float(scores[signal][place[signal][unit]]) for signal, unit in group if signal in scores
        ]
        if values:
            scored.append((sum(values) / len(values), group))
    left = {signal: len(units) for signal, units in kept.items()}
    order = []
    for _, group in sorted(scored):
        signals = [signal for signal, _ in group]
        if all(left[signal] - signals.count(signal) >= MIN_UNITS for signal in set(signals)):
            order.append(group)
            for signal in signals:
                left[signal] -= 1
    return order


def _without(kept: Kept, groups: Sequence[Group], scores: Scores) -> Kept:
    """The units that stay; projected vectors follow the dense width, and their best stay."""
    gone: dict[Signal, set[int]] = {}
    for group in groups:
        for signal, unit in group:
            gone.setdefault(signal, set()).add(unit)
    found = {
        signal: tuple(unit for unit in units if unit not in gone.get(signal, ()))
        for signal, units in kept.items()
    }
    for kind, number in kept:
        if kind == VECTORS:
            signal = (kind, number)
            count = balanced_vectors(len(found[DENSE, number]))
            best = torch.argsort(scores[signal], descending=True, stable=True)[:count]
            found[signal] = tuple(kept[signal][i] for i in sorted(best.tolist()))
    return found


def num_weights(subnet: Subnet) -> Callable[[Kept], float]:
    """Count the entries of all scored weight matrices that stay.

    Args:
        subnet: The model before anything was removed.

    Returns:
        A function from the units that stay to the number of entries.
    """
    axes = axes_of(subnet)
    shapes = {name: weight.shape for name, weight in pruned_weights(subnet).items()}

    def count(kept: Kept) -> float:
        def length(signal: Signal | None, size: int) -> int:
            if signal is None:
                return size
            if signal[0] != PAIRS:
                return len(kept[signal])
            vectors = kept.get((VECTORS, signal[1]))
            # Vectors that are not projected do not follow the width of this block.
            return size if vectors is None else len(vectors) * (len(vectors) + 1) // 2

        return sum(math.prod(map(length, axes[name], shape)) for name, shape in shapes.items())

    return count
