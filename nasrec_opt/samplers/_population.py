"""The population of an evolution, derived only from the trials of a study.

Several processes, or a restarted one, derive the same population, because they read nothing but the
storage. Finished trials never change, so each is read once.
"""

from __future__ import annotations

import threading
from bisect import insort
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nasrec_opt._foreign.optuna import enqueued_params, note_of
from nasrec_opt._foreign.optuna import identity as identity_of
from nasrec_opt.samplers._selection import FloatArray
from nasrec_opt.samplers._streams import PROPOSAL
from nasrec_opt.samplers._values import spellings

StudyKey = tuple[object, int]
Identify = Callable[[Mapping[str, Any]], Hashable]  # None where parameters are not complete


@dataclass(frozen=True, slots=True)
class Individual:
    """A completed trial.

    Args:
        trial: As the storage has it.
        losses: Objective values, negated where the study maximises.
        violation: Sum of the positive constraint values.
        identity: The same for every spelling of the same proposal.
    """

    trial: FrozenTrial
    losses: tuple[float, ...]
    violation: float
    identity: Hashable

    @property
    def number(self) -> int:
        """Number of the trial: the order of birth, by which individuals age."""
        return self.trial.number


def constraint_values(individuals: list[Individual]) -> FloatArray:
    """Constraint values; NaN if a trial lacks one that others have.

    Returns:
        `[individuals, constraints]`, constraints in the order of their names.
    """
    values = [individual.trial.constraints for individual in individuals]
    names = sorted({name for of_trial in values for name in of_trial})
    rows = [[of_trial.get(name, np.nan) for name in names] for of_trial in values]
    return np.array(rows, dtype=np.float64).reshape(len(values), len(names))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The trials of a study at one moment.

    Args:
        study: Its storage and its number there.
        individuals: Completed trials, oldest first.
        taken: Identities of completed and pruned trials.
        promised: Identities of waiting and running trials, except the one that asks.
        failed: Identities of failed trials.
    """

    study: StudyKey
    individuals: list[Individual]
    taken: set[Hashable]
    promised: set[Hashable]
    failed: set[Hashable]

    def has(self, identity: Hashable) -> bool:
        """Whether a trial with that identity was evaluated, or is about to be."""
        return identity in self.taken or identity in self.promised

    def has_tried(self, identity: Hashable) -> bool:
        """The same with failed trials: a model learns nothing from them and would ask again."""
        return self.has(identity) or identity in self.failed


def proposed_before(
    study: Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
) -> dict[str, Any]:
    """The proposal of a trial that is run again after its worker was killed, or None."""
    proposed: dict[str, Any] = note_of(study, trial, PROPOSAL) or {}
    kept: dict[str, Any] = {}
    for name, value in proposed.items():
        if name in search_space:
            found = spellings(search_space[name], value)
            if not found:
                return {}
            kept[name] = found[0]
    return kept


@dataclass(slots=True)
class _Cache:
    """Trials of one study that have been read."""

    study: StudyKey | None = None
    num_seen: int = 0
    open_numbers: list[int] = field(default_factory=list)  # seen before they were finished
    individuals: list[Individual] = field(default_factory=list)
    taken: set[Hashable] = field(default_factory=set)
    promised: dict[int, Hashable] = field(default_factory=dict)
    failed: set[Hashable] = field(default_factory=set)


class History:
    """Reads a study's trials, each finished one once.

    Args:
        identify: Computes an identity, the same for equal proposals, from the parameters.
    """

    def __init__(self, identify: Identify) -> None:
        self._identify = identify
        self._cache = _Cache()
        self._lock = threading.Lock()  # `optimize(n_jobs=...)` shares the sampler between threads

    def __getstate__(self) -> dict[str, Any]:
        return {"_identify": self._identify}  # the rest is read again

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["_identify"])  # type: ignore[misc]  # rebuilds lock and empty cache

    def read(self, study: Study, asking: int) -> Snapshot:
        """Read the study as it is now, for the trial number that asks."""
        with self._lock:
            # Read within the lock: of two threads, the slower must not bring the older list.
            trials = study.get_trials(deepcopy=False)
            cache = self._cache
            # A pruner may show a sampler only some of the trials; those are read from the start.
            is_whole = not trials or trials[-1].number == len(trials) - 1
            # Studies of one name may be many: the storage and the number in it tell them apart.
            key = identity_of(study)
            if not is_whole or cache.study != key or cache.num_seen > len(trials):
                cache = _Cache(key)
            self._update(cache, trials, study)
            if is_whole:
                self._cache = cache
            promised = {what for number, what in cache.promised.items() if number != asking}
            return Snapshot(key, list(cache.individuals), cache.taken, promised, cache.failed)

    def promise(
        self, study: Study, trial: FrozenTrial, params: Mapping[str, Any], identity: Hashable
    ) -> None:
        """Remember what was proposed to a trial; other processes read it from the storage.

        Args:
            study: Has the trial.
            trial: The trial that asked.
            params: What was proposed.
            identity: That of the proposal; one that was enqueued in part has another.
        """
        enqueued = enqueued_params(trial)
        if enqueued:
            identity = self._identify({**params, **enqueued})
        with self._lock:
            if identity is not None and self._cache.study == identity_of(study):
                self._cache.promised[trial.number] = identity

    def _update(self, cache: _Cache, trials: list[FrozenTrial], study: Study) -> None:
        positions = [*cache.open_numbers, *range(cache.num_seen, len(trials))]
        cache.num_seen = len(trials)
        cache.open_numbers = []
        for position in positions:
            trial = trials[position]
            if not trial.state.is_finished():
                cache.open_numbers.append(position)
                self._promise(cache, study, trial)
                continue
            promised = cache.promised.pop(trial.number, None)
            if trial.state == TrialState.FAIL:
                proposed = note_of(study, trial, PROPOSAL) or {}
                cache.failed.add(promised or self._identify({**proposed, **trial.params}))
                continue
            is_as_proposed = trial.params == note_of(study, trial, PROPOSAL)
            found = promised if is_as_proposed else None
            if found is None:
                found = self._identify(trial.params)
            if found is None:  # a trial of another space is nobody's parent
                continue
            cache.taken.add(found)
            if trial.state == TrialState.COMPLETE:
                # Workers finish out of order; birth decides, so that all of them agree.
                individual = _individual(trial, study.directions, found)
                insort(cache.individuals, individual, key=lambda i: i.number)

    def _promise(self, cache: _Cache, study: Study, trial: FrozenTrial) -> None:
        proposed = note_of(study, trial, PROPOSAL) or {}
        if proposed and trial.number in cache.promised:
            return  # others may still ask parameters that nobody foresaw
        enqueued = enqueued_params(trial)
        identity = self._identify({**proposed, **enqueued, **trial.params})
        if identity is not None:
            cache.promised[trial.number] = identity


def _individual(
    trial: FrozenTrial, directions: list[StudyDirection], identity: Hashable
) -> Individual:
    losses = tuple(
        -value if direction == StudyDirection.MAXIMIZE else value
        for value, direction in zip(trial.values, directions, strict=True)
    )
    violation = sum(v for v in trial.constraints.values() if v > 0)
    return Individual(trial, losses, violation, identity)
