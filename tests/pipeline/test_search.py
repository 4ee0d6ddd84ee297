"""The search stage on studies in memory: what counts, what is retrained, what is refused."""

from __future__ import annotations

import math
import shutil
import warnings
from itertools import count
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from hw import ReRAM
from nasrec_opt import BlockGene, FeatureSpec, Genotype, Objective, SearchSpace
from nasrec_opt.errors import StudyError
from nasrec_opt.objective import search
from nasrec_opt.oracle import Evaluation, Oracle, architecture
from nasrec_opt.pipeline import RunFolder, StudyConfig, run_study
from nasrec_opt.pipeline._search import log_loss_of, winners
from nasrec_opt.pipeline._storage import open_study
from nasrec_opt.report import write_report
from nasrec_opt.samplers import make_sampler

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


def test_the_front_is_retrained_before_better_log_losses_behind_it():
    genotypes = [
        Genotype((BlockGene(dense_width=width, sparse_width=16),), space="nasrec_small")
        for width in (16, 32, 64, 128)
    ]
    study = optuna.create_study(directions=["minimize"] * 2)
    study.set_metric_names(["log_loss", "latency_us"])
    # The third is on no front: the second is faster and better. Yet it beats the first.
    for genotype, values in zip(
        genotypes, ([0.50, 1.0], [0.30, 2.0], [0.40, 3.0], [0.45, 2.5]), strict=True
    ):
        study.add_trial(
            optuna.trial.create_trial(values=values, user_attrs={"genotype": genotype.to_json()})
        )
    found = [trial.number for _, trial in winners(study, 4)]
    assert found == [1, 0, 2, 3]  # the front by log loss, then the others by log loss
    assert [trial.number for _, trial in winners(study, 2)] == [1, 0]


def test_log_loss_is_found_where_it_is_no_objective():
    objective = Objective(CODESIGN, loss, features=FEATURES, objectives=("mflops",))
    study = searched(objective, 3)
    for trial in study.trials:
        assert log_loss_of(study, trial) == loss(Genotype.from_trial(trial))


def test_a_search_without_a_feasible_trial_has_no_winner_and_still_a_report(tmp_path):
    objective = Objective(
        CODESIGN, loss, ReRAM(), features=FEATURES, constraints={"area_mm2": 1e-9}
    )
    study = searched(objective, 4)
    with pytest.raises(StudyError, match="expected a trial that meets the constraints, got none"):
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
    with pytest.raises(StudyError, match="the first 16 all failed, the last of them with: oracle"):
        searched(objective, 5)


def test_a_study_whose_creation_was_cut_off_can_be_opened(tmp_path):
    def opened(space: SearchSpace) -> optuna.Study:
        return open_study(
            RunFolder(tmp_path),
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


class Learning(Oracle):
    """An oracle with log losses on the way."""

    def evaluate(self, genotype: Genotype, *, report=None) -> Evaluation:
        path = tuple((step, loss(genotype) + 1 / (step + 1)) for step in range(3))
        for step, value in path if report else ():
            report(step, value)
        return Evaluation(path[-1][1], intermediate=path)


def test_pruned_trials_count_as_trials_done_and_are_no_winners():
    objective = Objective(CODESIGN, Learning(), features=FEATURES)
    study = optuna.create_study(
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
    )
    study.set_metric_names(["log_loss"])
    told = []
    search(
        study, objective, n_trials=20, callbacks=[lambda _study, trial: told.append(trial.state)]
    )
    states = [trial.state for trial in study.trials]
    assert set(states) == {TrialState.COMPLETE, TrialState.PRUNED}
    assert len(states) == 20
    assert told == states
    complete = {t.number for t in study.trials if t.state == TrialState.COMPLETE}
    assert {trial.number for _, trial in winners(study, 20)} <= complete
    search(study, objective, n_trials=20)  # nothing is left to do
    assert len(study.trials) == 20


class Interrupted(Learning):
    """The same, interrupted once in a while in the middle of a training."""

    def __init__(self) -> None:
        self._asked = count()

    def evaluate(self, genotype: Genotype, *, report=None) -> Evaluation:
        def stop(step: int, value: float) -> None:
            report(step, value)
            if step == 1 and next(self._asked) % 3 == 1:
                raise KeyboardInterrupt

        return super().evaluate(genotype, report=stop)


def test_a_trial_interrupted_between_its_reports_ends_as_one_left_alone(tmp_path):
    def study_of(name: str) -> optuna.Study:
        (tmp_path / name).mkdir()
        return open_study(
            RunFolder(tmp_path / name),
            name,
            space=CODESIGN,
            metric_names=["log_loss"],
            sampler=make_sampler("evolution", CODESIGN, seed=0),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
        )

    alone, interrupted = study_of("alone"), study_of("interrupted")
    search(alone, Objective(CODESIGN, Learning(), features=FEATURES), n_trials=14)
    objective, stops = Objective(CODESIGN, Interrupted(), features=FEATURES), 0
    while len(interrupted.trials) < 14 or not interrupted.trials[-1].state.is_finished():
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            try:
                search(interrupted, objective, n_trials=14)
            except KeyboardInterrupt:
                stops += 1
    assert stops
    for one, other in zip(alone.trials, interrupted.trials, strict=True):
        assert (one.state, one.values, one.params) == (other.state, other.values, other.params)
        assert one.intermediate_values == other.intermediate_values
    assert {trial.state for trial in alone.trials} == {TrialState.COMPLETE, TrialState.PRUNED}


STUDY = """
name = "pruned"
seed = 2
[data]
synthetic_rows = 1500
[space]
num_blocks = 1
[supernet]
batch_size = 128
[oracle]
rows = 60
fidelity = "fine_tune"
[oracle.fine_tune]
steps = 4
batch_size = 64
[search]
objectives = ["log_loss"]
sampler = "random"
pruner = "median"
n_trials = 12
"""


def test_a_run_prunes_and_goes_on_as_if_it_had_not_stopped(tmp_path):
    runs = {}
    config = configured(tmp_path, STUDY)
    run_study(config, tmp_path / "trained", until="train")
    for name, stops in (("alone", (12,)), ("in parts", (7, 12))):
        out = shutil.copytree(tmp_path / "trained", tmp_path / name)
        for n_trials in stops:
            text = STUDY.replace("n_trials = 12", f"n_trials = {n_trials}")
            run = run_study(configured(tmp_path, text), out, until="search")
        runs[name] = run.study().trials
    for one, other in zip(runs["alone"], runs["in parts"], strict=True):
        assert (one.state, one.values, one.params) == (other.state, other.values, other.params)
        assert one.intermediate_values == other.intermediate_values
        assert next(iter(one.intermediate_values)) == 0
    assert {trial.state for trial in runs["alone"]} == {TrialState.COMPLETE, TrialState.PRUNED}
    other = configured(tmp_path, STUDY.replace("steps = 4", "steps = 5"))
    with pytest.raises(StudyError, match="its trials were evaluated with other settings: oracle"):
        run_study(other, tmp_path / "alone", until="search")
    unread = configured(tmp_path, STUDY + "[oracle.scratch]\nepochs = 3\n")
    run_study(unread, tmp_path / "alone", until="search")  # an option that nothing reads


def test_a_study_asks_in_the_precision_that_it_says(tmp_path):
    exact = STUDY.replace('"fine_tune"', '"supernet"').replace('"median"', '"none"')
    exact = exact.replace("n_trials = 12", "n_trials = 3")
    short = exact.replace("rows = 60", 'rows = 60\nprecision = "bfloat16"')
    exact = exact.replace("rows = 60", 'rows = 60\nprecision = "float32"')
    run_study(configured(tmp_path, exact), tmp_path / "exact", until="train")
    shutil.copytree(tmp_path / "exact", tmp_path / "short")
    one, other = (
        [
            trial.value
            for trial in run_study(configured(tmp_path, text), out, until="search").study().trials
        ]
        for text, out in ((exact, tmp_path / "exact"), (short, tmp_path / "short"))
    )
    assert one != other
    assert other == pytest.approx(one, abs=0.01)


def configured(folder: Path, text: str) -> StudyConfig:
    (folder / "pruned.toml").write_text(text)
    return StudyConfig.from_toml(folder / "pruned.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'objectives = ["log_loss"]',
            'objectives = ["log_loss", "mflops"]',
            "search: pruner: expected log_loss as the only objective, since trials are pruned "
            "by it, got log_loss, mflops",
        ),
        ('"median"', '"best"', "expected one of 'none', 'median', 'hyperband', got 'best'"),
        (
            'fidelity = "fine_tune"',
            'fidelity = "last_layer"',
            "pruner: expected a fidelity that trains, 'fine_tune' or 'scratch', got 'last_layer'",
        ),
        ("steps = 4", "steps = 0", r"oracle: fine_tune: steps: expected 1 or more, got 0"),
        (
            "steps = 4",
            "seed = 4",
            r"\[oracle.fine_tune\]: expected the seed at the top",
        ),
        ("steps = 4", "epochs = 4", "unknown key 'epochs'"),
    ],
)
def test_a_study_file_that_cannot_prune_or_train_is_one_sentence(tmp_path, old, new, message):
    with pytest.raises(StudyError, match=message):
        configured(tmp_path, STUDY.replace(old, new))
