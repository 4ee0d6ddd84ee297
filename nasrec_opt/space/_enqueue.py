"""Enqueue a genotype as a trial of a study: once, even if several workers enqueue it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from nasrec_opt._foreign.optuna import (
    ENQUEUED,
    enqueued_params,
    give_back,
    has_queue,
    set_attribute,
)
from nasrec_opt.errors import GenotypeError
from nasrec_opt.space._genotype import Genotype
from nasrec_opt.space._optuna import Parameters

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

TOKEN = "nasrec:enqueued"  # system attribute: whose trial it is
DUPLICATE = "duplicate_of"  # user attribute: number of the trial that is evaluated instead


def enqueue(parameters: Parameters, study: Study, genotype: Genotype) -> int:
    """See `SearchSpace.enqueue`."""
    from optuna.trial import TrialState, create_trial  # takes longer to import than all of ours

    params = parameters.encode(genotype)
    known = _trials_of(parameters, study, genotype)
    if known:
        return known[0].number
    # Two workers may be here at once. Each adds a running trial, which no other worker takes. The
    # storage numbers them one after the other, and the first of them is put into the queue.
    if not has_queue(study):
        study.enqueue_trial(params)
        return _trials_of(parameters, study, genotype)[0].number
    token = uuid.uuid4().hex
    study.add_trial(
        create_trial(state=TrialState.RUNNING, system_attrs={ENQUEUED: params, TOKEN: token})
    )
    known = _trials_of(parameters, study, genotype)
    first = known[0]
    [own] = [trial for trial in known if trial.system_attrs.get(TOKEN) == token]
    if own.number == first.number:
        give_back(study, own)
    else:
        set_attribute(study, own, DUPLICATE, first.number)
        study.tell(own.number, state=TrialState.FAIL)
    return first.number


def _trials_of(parameters: Parameters, study: Study, genotype: Genotype) -> list[FrozenTrial]:
    """The trials of a model in any state, oldest first."""
    wanted = genotype.canonical()
    found = []
    for trial in study.get_trials(deepcopy=False):
        try:
            its = parameters.decode(trial.params | enqueued_params(trial))
        except GenotypeError:
            continue  # enqueued in part, not asked for all of it yet, or of another space
        if its.canonical() == wanted:
            found.append(trial)
    return found
