"""Clients: objectives, constraints, runner and metrics, what is kept and what goes on from it."""

from __future__ import annotations

import warnings

import pytest
from ax_searches import CONSTRAINTS, SPACE, advance, log_loss, objective

pytest.importorskip("ax", reason="the extra 'ax' is not installed")

from ax.api.client import Client
from ax.core.trial_status import TrialStatus

from hw import DescriptionError
from nasrec_opt import FunctionOracle
from nasrec_opt.ax import ObjectiveRunner, PoolNode, genotype_of, load_client, make_client
from nasrec_opt.ax._node import node_from_dict, node_to_dict
from nasrec_opt.errors import StudyError
from nasrec_opt.space import SearchSpace


def test_ax_runs_the_loop_with_our_runner_and_metrics(capfd):
    goal = objective()
    client = make_client(goal, seed=0)
    client.run_trials(max_trials=2)
    assert capfd.readouterr() == ("", "")
    for trial in client._experiment.trials.values():
        assert trial.status.is_completed
        [arm] = trial.arms
        data = client._experiment.lookup_data(trial_indices=[trial.index]).df
        metrics = goal.metrics(genotype_of(SPACE, arm.parameters))
        assert dict(zip(data["metric_name"], data["mean"], strict=True)) == {
            name: metrics[name] for name in (*goal.metric_names, *CONSTRAINTS)
        }


def test_a_model_that_cannot_be_scored_fails_its_trial_alone():
    goal, asked = objective(), []

    def sometimes(genotype):
        asked.append(genotype)
        return None if len(asked) == 2 else log_loss(genotype)

    goal.oracle = FunctionOracle(sometimes)
    client = make_client(goal, seed=0)
    client.run_trials(max_trials=3)
    trials = client._experiment.trials.values()
    states = [trial.status for trial in trials]
    assert states == [TrialStatus.COMPLETED, TrialStatus.FAILED, TrialStatus.COMPLETED]
    reasons = [trial.run_metadata.get("failed") for trial in trials]
    assert reasons[1] == "oracle sometimes: log loss: expected a number, got None"


def test_objectives_are_minimised_and_constraints_are_outcome_constraints():
    config = make_client(objective())._experiment.optimization_config
    assert config.objective.metric_weights == [("log_loss", -1.0), ("latency_us", -1.0)]
    [constraint] = config.outcome_constraints
    assert str(constraint) == "OutcomeConstraint(area_mm2 <= 1.0)"


def test_the_front_keeps_the_constraints():
    goal = objective()
    client = make_client(goal, seed=0)
    advance(client, goal, 16)
    areas = [goal.metrics(genotype)["area_mm2"] for genotype in genotypes_of(client)]
    assert min(areas) <= 1.0 < max(areas)
    front = client.get_pareto_frontier(use_model_predictions=False)
    assert front
    assert all(metrics["area_mm2"][0] <= 1.0 for _, metrics, _, _ in front)


def test_our_strategy_proposes_no_model_twice_and_learns():
    goal = objective(objectives=("log_loss",), constraints={})
    client = make_client(goal, seed=0)
    advance(client, goal, 48)
    genotypes = [genotype.canonical() for genotype in genotypes_of(client)]
    assert len(set(genotypes)) == 48
    losses = [goal.metrics(genotype)["log_loss"] for genotype in genotypes]
    assert sum(losses[32:]) / 16 < sum(losses[:32]) / 32


@pytest.mark.parametrize("told", [11, 36, 40])  # at random, within a round, between two
def test_a_client_loaded_from_json_goes_on_as_the_one_that_was_saved(tmp_path, told):
    goal = objective()
    client = make_client(goal, seed=3)
    advance(client, goal, told)
    client.save_to_json_file(str(tmp_path / "client.json"))
    loaded = load_client(objective(), path=tmp_path / "client.json")
    assert advance(loaded, goal, 3) == advance(client, goal, 3)


def test_a_node_that_an_older_version_stored_learns_from_the_same_trial_on():
    stored = node_to_dict(PoolNode(SPACE, num_startup=16))
    del stored["__type"]
    stored["initial_trials"] = stored.pop("num_startup")
    assert node_from_dict(stored).num_startup == 16


def test_a_client_loaded_from_a_database_goes_on_as_the_one_before(tmp_path):
    goal = objective()
    alone = advance(make_client(goal, seed=3), goal, 35)
    url = f"sqlite:///{tmp_path}/ax.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        client = make_client(goal, seed=3, url=url)
        first = advance(client, goal, 33)
        loaded = load_client(objective(), url=url)
        assert first + advance(loaded, goal, 2) == alone
        with pytest.raises(StudyError, match="expected no experiment 'nasrec' yet, got one"):
            make_client(goal, url=url)
        with pytest.raises(StudyError, match="expected the experiment 'other', found none"):
            load_client(goal, url=url, name="other")


def test_candidates_asked_together_are_those_asked_one_by_one_in_a_round():
    goal = objective()
    one, many = make_client(goal, seed=1), make_client(goal, seed=1)
    for client in (one, many):
        advance(client, goal, 32)
    asked = advance(one, goal, 8)
    assert list(many.get_next_trials(max_trials=8).values()) == asked


def test_axs_own_strategy_stays_selectable():
    client = make_client(objective(), strategy="ax", seed=0)
    [parameters] = client.get_next_trials(max_trials=1).values()
    assert SPACE.contains(genotype_of(SPACE, parameters, "flat"))
    assert client._generation_strategy.name != "pool_bayes"


def test_what_does_not_fit_is_a_sentence(tmp_path):
    goal = objective()
    make_client(goal).save_to_json_file(str(tmp_path / "client.json"))
    (tmp_path / "other.json").write_text("{")
    cases = [
        (lambda: make_client(goal, strategy="best"), "strategy: expected 'pool_bayes' or 'ax'"),
        (lambda: make_client(goal, seed=-1), "seed: expected an integer from 0, got -1"),
        (lambda: make_client(goal, url="sqlite:////no/such/x.db"), "expected a database for Ax"),
        (lambda: load_client(goal), "expected one of them"),
        (lambda: load_client(goal, path=tmp_path / "no.json"), "found nothing there"),
        (lambda: load_client(goal, path=tmp_path / "other.json"), "expected a client's JSON"),
        (
            lambda: load_client(
                objective(SearchSpace.nasrec_full(3)), path=tmp_path / "client.json"
            ),
            "belongs to another search space: the parameter b3",
        ),
        (
            lambda: load_client(objective(objectives=("log_loss",)), path=tmp_path / "client.json"),
            "has other objectives: expected log_loss, got log_loss, latency_us",
        ),
        (
            lambda: make_client(objective(objectives=("log_loss",), constraints={"log_loss": 0.5})),
            "constraints: expected metrics other than the only objective, got log_loss",
        ),
        (lambda: ObjectiveRunner().run_trial(4, {}), "trial 4: expected an objective"),
    ]
    for act, sentence in cases:
        with pytest.raises(StudyError, match=sentence):
            act()


def test_a_client_of_somebody_elses_is_refused(tmp_path):
    client = Client()
    client.configure_experiment([], name="x")
    client.save_to_json_file(str(tmp_path / "client.json"))
    with pytest.raises(StudyError, match="expected a client of make_client"):
        load_client(objective(), path=tmp_path / "client.json")


def genotypes_of(client):
    trials = client._experiment.trials.values()
    return [genotype_of(SPACE, trial.arm.parameters) for trial in trials]


def test_an_accelerator_that_cannot_be_abandons_its_trial_with_the_reason():
    goal = objective()
    client = make_client(goal, seed=0)
    refused = ObjectiveRunner(Refusing(goal))
    [(index, parameters)] = client.get_next_trials(max_trials=1).items()
    answer = refused.run_trial(index, parameters)
    assert answer["infeasible"] == "adc.bits: too few"
    assert refused.poll_trial(index, answer) == TrialStatus.ABANDONED


class Refusing:
    """An objective whose accelerator refuses every genotype."""

    def __init__(self, goal) -> None:
        self.space = goal.space

    def metrics(self, genotype):
        raise DescriptionError("adc.bits: too few")
