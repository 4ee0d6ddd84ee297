"""The tuning of a hand-made model: its budget, its choice, and that it continues exactly."""

from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState

from nasrec_opt.baselines import BaselineOptions, train_baseline, tune_baseline
from nasrec_opt.data import Dataset, generate_synthetic
from nasrec_opt.errors import MissingExtraError, StudyError

pytest.importorskip("deepctr_torch")
SMALL = BaselineOptions(hidden=(8,), embedding_dim=4, batch_size=320)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return generate_synthetic(tmp_path_factory.mktemp("log") / "log", rows=400)


def trials_of(storage: str, name: str = "wide-deep") -> list[optuna.trial.FrozenTrial]:
    study = optuna.load_study(study_name=name, storage=storage)
    return study.get_trials(states=(TrialState.COMPLETE,))


def test_the_best_on_validation_rows_is_trained(dataset, tmp_path):
    storage = f"sqlite:///{tmp_path / 'tuning.db'}"
    tuned = tune_baseline("wide-deep", dataset, trials=4, options=SMALL, storage=storage)
    trials = trials_of(storage)
    assert tuned.trials == len(trials) == 4
    assert set(trials[0].params) == {"learning_rate", "l2", "dropout"}
    assert all(trials[0].params[name] == getattr(SMALL, name) for name in trials[0].params)
    best = min(trials, key=lambda trial: trial.value)
    assert {name: getattr(tuned.options, name) for name in best.params} == best.params
    assert tuned.options.hidden == (8,)
    assert tuned.model.validation_log_loss == pytest.approx(best.value, rel=1e-5)
    assert tuned.seconds == pytest.approx(sum(t.user_attrs["seconds"] for t in trials))
    again = train_baseline("wide-deep", dataset, tuned.options)
    assert again.test_log_loss == tuned.model.test_log_loss


def test_a_tuning_goes_on_as_if_it_had_not_been_stopped(start_code, dataset, tmp_path):
    whole = f"sqlite:///{tmp_path / 'whole.db'}"
    parts = f"sqlite:///{tmp_path / 'parts.db'}"
    tune_baseline("wide-deep", dataset, trials=6, options=SMALL, storage=whole)
    script = (
        "import os\n"
        "from nasrec_opt.baselines import BaselineOptions, tune_baseline\n"
        "from nasrec_opt.data import Dataset\n"
        f"dataset = Dataset.open({str(dataset.path)!r})\n"
        "options = BaselineOptions(hidden=(8,), embedding_dim=4, batch_size=320)\n"
        "import optuna\n"
        "ask, count = optuna.Study.ask, iter(range(10))\n"
        "def killed(self, *args):\n"
        "    trial = ask(self, *args)\n"
        "    if next(count) == 5:\n"
        "        os.kill(os.getpid(), 9)\n"
        "    return trial\n"
        "optuna.Study.ask = killed\n"
        f"tune_baseline('wide-deep', dataset, trials=6, options=options, storage={parts!r})\n"
    )
    died = start_code(script).wait()
    assert died.returncode == -9, died.stderr
    assert len(trials_of(parts)) == 5
    tune_baseline("wide-deep", dataset, trials=6, options=SMALL, storage=parts)
    one, other = trials_of(whole), trials_of(parts)
    assert [t.params for t in one] == [t.params for t in other]
    assert [t.value for t in one] == [t.value for t in other]


def test_seconds_end_a_tuning_after_at_least_one_trial(dataset, tmp_path):
    storage = f"sqlite:///{tmp_path / 'tuning.db'}"
    tuned = tune_baseline("wide-deep", dataset, seconds=1e-6, options=SMALL, storage=storage)
    assert tuned.trials == 1
    more = tune_baseline(
        "wide-deep", dataset, seconds=tuned.seconds * 3, options=SMALL, storage=storage
    )
    assert more.seconds < tuned.seconds * 3 + max(
        t.user_attrs["seconds"] for t in trials_of(storage)
    )


def test_logistic_regression_tunes_itself(dataset):
    tuned = tune_baseline("logistic-regression", dataset, trials=2)
    assert tuned.model.hyperparameters["C"] > 0


@pytest.mark.parametrize("budget", [{"trials": 0}, {"seconds": 0.0}, {"seconds": float("nan")}])
def test_a_budget_is_positive(budget, dataset):
    with pytest.raises(StudyError, match="expected more than 0"):
        tune_baseline("deepfm", dataset, **budget)


def test_an_unknown_model_and_a_missing_library_are_named(start_code, dataset):
    with pytest.raises(StudyError, match=r"baseline: expected one of .*deepfm.*, got 'deepfn'"):
        tune_baseline("deepfn", dataset)
    script = (
        "import sys\n"
        "sys.modules['deepctr_torch'] = sys.modules['fuxictr'] = sys.modules['torchrec'] = None\n"
        "from nasrec_opt.baselines import BASELINES\n"
        "from nasrec_opt.errors import MissingExtraError\n"
        "for name in ('deepfm', 'finalmlp', 'dlrm'):\n"
        "    try:\n"
        "        BASELINES[name].load()\n"
        "    except MissingExtraError as error:\n"
        "        print(error)\n"
    )
    found = start_code(script).wait()
    lines = found.stdout.splitlines()
    assert lines[:2] == [
        str(MissingExtraError(n, "baselines")) for n in ("deepctr-torch", "fuxictr")
    ]
    assert "pip install --no-deps 'torchrec==1." in lines[2]
