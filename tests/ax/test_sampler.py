"""Ax behind an Optuna study."""

from __future__ import annotations

import optuna
import pytest
from ax_searches import CONSTRAINTS, GOALS, SPACE, objective
from optuna.trial import TrialState

pytest.importorskip("ax", reason="the extra 'ax' is not installed")

from nasrec_opt.ax import AxSampler
from nasrec_opt.errors import StudyError

optuna.logging.set_verbosity(optuna.logging.WARNING)


def sampler(**options):
    options = {"metric_names": GOALS, "constraints": CONSTRAINTS, "seed": 5} | options
    return AxSampler(SPACE, **options)


def study_at(url, **options):
    return optuna.create_study(
        study_name="s",
        storage=url,
        directions=["minimize"] * 2,
        sampler=sampler(**options),
        load_if_exists=True,
    )


def described(study):
    return [(t.number, t.state, t.params, t.values) for t in study.trials]


def test_a_stopped_study_goes_on_as_one_that_was_not(tmp_path, capfd, recwarn):
    alone = study_at(None)
    alone.optimize(objective(), n_trials=41)
    url = f"sqlite:///{tmp_path}/study.db"
    for trials in (7, 28, 6):
        study_at(url).optimize(objective(), n_trials=trials)
    assert described(study_at(url)) == described(alone)
    assert capfd.readouterr() == ("", "")


def test_failed_and_pruned_trials_are_neither_learnt_from_nor_repeated():
    def scored(trial):
        values = objective()(trial)
        if trial.number in (3, 37):
            raise ValueError
        if trial.number in (4, 38):
            raise optuna.TrialPruned
        return values

    study = study_at(None)
    study.optimize(scored, n_trials=44, catch=(ValueError,))
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.COMPLETE) == 40
    assert len({SPACE.decode(t.params).canonical() for t in study.trials}) == 44


def test_ax_is_told_of_enqueued_trials():
    study = study_at(None)
    study.optimize(objective(), n_trials=3)
    given = study.trials[0].params
    study.enqueue_trial(given)
    study.optimize(objective(), n_trials=3)
    assert study.trials[3].params == given
    [mirror] = study.sampler._mirrors.values()
    assert len(mirror._client._experiment.trials) == 6


def test_axs_own_strategy_goes_on_from_a_study():
    study = study_at(None, strategy="ax")
    study.optimize(objective(), n_trials=2)
    study.sampler = sampler(strategy="ax")
    study.optimize(objective(), n_trials=1)
    assert len({SPACE.decode(t.params) for t in study.trials}) == 3


def test_wrong_options_are_a_sentence():
    with pytest.raises(StudyError, match="strategy: expected 'pool_bayes' or 'ax', got 'best'"):
        sampler(strategy="best")
    with pytest.raises(StudyError, match="constraints: expected metrics other than the only"):
        sampler(metric_names=("area_mm2",))
