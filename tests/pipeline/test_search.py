"""The search stage on studies in memory: what counts, what is retrained, what is refused."""

from __future__ import annotations

import math
from itertools import count

import optuna
import pytest
from optuna.trial import TrialState

from hw import ReRAM
from nasrec_opt import FeatureSpec, Genotype, Objective, SearchSpace
from nasrec_opt.errors import StudyError
from nasrec_opt.oracle import architecture
from nasrec_opt.pipeline._search import log_loss_of, search, winners
from nasrec_opt.pipeline._storage import open_study
from nasrec_opt.report import write_report

FEATURES = FeatureSpec(13, (50,) * 26)
CODESIGN = SearchSpace.codesign(num_blocks=1)


def loss(genotype: Genotype) -> float:
    return 0.5 - genotype.blocks[-1].dense_width / 1e4


def searched(objective: Objective, n_trials: int) -> optuna.Study:
    study = optuna.create_study(
        directions=["minimize"] * len(objective.metric_names),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    study.set_metric_names(list(objective.metric_names))
    search(study, objective, n_trials=n_trials)
    return study


def test_winners_are_distinct_architectures_by_log_loss_wherever_it_stands():
    objective = Objective(
        CODESIGN, loss, ReRAM(), features=FEATURES, objectives=("latency_us", "log_loss")
    )
    study = searched(objective, 60)
    chosen = winners(study, 10)
    assert len({architecture(genotype) for genotype, _ in chosen}) == len(chosen) == 10
    front = {trial.number for trial in study.best_trials}
    losses = [log_loss_of(study, trial) for _, trial in chosen if trial.number in front]
    assert losses == sorted(losses)
    assert all(log_loss_of(study, trial) == loss(genotype) for genotype, trial in chosen)


def test_log_loss_is_found_where_it_is_no_objective():
    objective = Objective(CODESIGN, loss, features=FEATURES, objectives=("mflops",))
    study = searched(objective, 3)
    for trial in study.trials:
        assert log_loss_of(study, trial) == loss(Genotype.from_json(trial.user_attrs["genotype"]))


def test_a_search_without_a_feasible_trial_has_no_winner_and_still_a_report(tmp_path):
    objective = Objective(
        CODESIGN, loss, ReRAM(), features=FEATURES, constraints={"area_mm2": 1e-9}
    )
    study = searched(objective, 4)
    with pytest.raises(StudyError, match="expected a trial that keeps the constraints, got none"):
        winners(study, 2)
    write_report(tmp_path / "report.html", study=study)
    page = (tmp_path / "report.html").read_text()
    assert "best searched" not in page


def test_failed_trials_do_not_count_as_trials_done():
    asked = count()
    objective = Objective(
        CODESIGN, lambda g: math.nan if next(asked) % 3 == 0 else loss(g), features=FEATURES
    )
    study = searched(objective, 6)
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.COMPLETE) == 6
    assert states.count(TrialState.FAIL) > 0


def test_a_search_that_only_fails_ends_with_a_sentence():
    objective = Objective(CODESIGN, lambda g: math.nan, features=FEATURES)
    with pytest.raises(StudyError, match="expected finite values, got none in 5 trials"):
        searched(objective, 5)


def test_a_study_whose_creation_was_cut_off_can_be_opened(tmp_path):
    def opened(space: SearchSpace) -> optuna.Study:
        return open_study(
            tmp_path / "study.db",
            "cut off",
            space=space,
            metric_names=["log_loss"],
            sampler=optuna.samplers.RandomSampler(),
        )

    # Everything up to what is written last.
    storage = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(study_name="cut off", storage=storage)
    study.set_metric_names(["log_loss"])
    assert opened(CODESIGN).metric_names == ["log_loss"]
    with pytest.raises(StudyError, match="belongs to another search space"):
        opened(SearchSpace.nasrec_full(num_blocks=1))
