"""The genotypes of a study's trials, each decoded and embedded only once."""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nasrec_opt._foreign.optuna import identity, note_of
from nasrec_opt.errors import GenotypeError
from nasrec_opt.samplers._population import Individual
from nasrec_opt.samplers._selection import FloatArray
from nasrec_opt.samplers._streams import PROPOSAL
from nasrec_opt.space import Genotype, GenotypeEmbedding, SearchSpace

_DISCARDED = (TrialState.FAIL, TrialState.PRUNED)


class Archive:
    """Canonical genotypes and points of trials; only a cache is kept between calls.

    Args:
        space: Space of the genotypes.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.embedding = GenotypeEmbedding(space)
        self._space = space
        self._study: tuple[object, int] | None = None
        self._genotypes: dict[int, Genotype | None] = {}
        self._points: dict[Genotype, FloatArray] = {}

    def evaluated(
        self, study: Study, individuals: list[Individual]
    ) -> tuple[list[Genotype], FloatArray]:
        """Genotypes of trials that have one, and their points, `[individuals, dimensions]`."""
        known = self._known(study)
        genotypes = [self._genotype(study, known, individual.trial) for individual in individuals]
        found = [genotype for genotype in genotypes if genotype is not None]
        new = [genotype for genotype in dict.fromkeys(found) if genotype not in self._points]
        self._points |= dict(zip(new, self.embedding.embed(new), strict=True))
        return found, np.array([self._points[genotype] for genotype in found])

    def discarded(self, study: Study) -> list[tuple[int, Genotype]]:
        """Number and genotype of the trials that failed or were pruned."""
        known = self._known(study)
        trials = study.get_trials(deepcopy=False, states=_DISCARDED)
        found = [(trial.number, self._genotype(study, known, trial)) for trial in trials]
        return [(number, genotype) for number, genotype in found if genotype is not None]

    def _known(self, study: Study) -> dict[int, Genotype | None]:
        key = identity(study)
        if self._study != key:
            self._study, self._genotypes = key, {}
        return self._genotypes

    def _genotype(
        self, study: Study, known: dict[int, Genotype | None], trial: FrozenTrial
    ) -> Genotype | None:
        """The genotype of a finished trial; for an early failure, the one that was proposed."""
        if trial.number not in known:
            proposed: dict[str, Any] = note_of(study, trial, PROPOSAL) or {}
            try:
                genotype = self._space.decode({**proposed, **trial.params}).canonical()
                known[trial.number] = genotype
            except GenotypeError:
                known[trial.number] = None
        return known[trial.number]
