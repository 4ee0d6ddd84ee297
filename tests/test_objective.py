"""The objective in real studies: what a trial gets, what is remembered, what is refused."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import optuna
import pytest
from optuna.trial import FixedTrial, TrialState

from hw import Cost, DescriptionError, OperatorCost, ReRAM
from nasrec_opt import FeatureSpec, Genotype, RegularizedEvolutionSampler, SearchSpace
from nasrec_opt.errors import StudyError
from nasrec_opt.lowering import configure, lower
from nasrec_opt.objective import METRICS, Objective
from nasrec_opt.oracle import (
    Difference,
    Evaluation,
    Oracle,
    TabularOracle,
    architecture,
)
from nasrec_opt.space import BlockGene, HardwareChoices, HardwareGene, published_model

FEATURES = FeatureSpec(13, (100,) * 26)
WIDTHS = {16: 0.46, 64: 0.45, 256: 0.44}  # log loss by dense width
SPACE = SearchSpace(
    num_blocks=1, dense_ops=("fc",), sparse_ops=("efc",), dense_widths=tuple(WIDTHS),
    sparse_widths=(16,), mergers=False,
)  # fmt: skip
MODELS = {w: Genotype((BlockGene(dense_width=w, sparse_width=16),), None, "custom") for w in WIDTHS}
TABLE = TabularOracle(
    {MODELS[w]: Evaluation(loss, auc=1 - loss) for w, loss in WIDTHS.items()}, features=FEATURES
)
CODESIGN = SearchSpace.codesign(num_blocks=2)


class Counting(Oracle):
    """An oracle of a user's own that counts its questions, without the shape of the input."""

    def __init__(self) -> None:
        self.asked: list[Genotype] = []

    def evaluate(self, genotype: Genotype, *, report=None) -> Evaluation:
        self.asked.append(genotype)
        return Evaluation(0.4 + 1e-6 * genotype.blocks[-1].dense_width)


class Abacus:
    """A cost model of a user's own: a nanosecond and two picojoules for every MAC."""

    def cost(self, workload) -> Cost:
        parts = (
            OperatorCost(
                name=o.name, operator=o.operator, latency_ns=o.macs, energy_pj=2 * o.macs,
                area_mm2=0.0,
            )
            for o in workload.operations
        )  # fmt: skip
        return Cost.of(parts, leakage_mw=0.0)


@pytest.fixture(params=["memory", "sqlite"])
def storage(request, tmp_path):
    return None if request.param == "memory" else f"sqlite:///{tmp_path / 'study.db'}"


def run(objective, storage=None, n_trials=8):
    study = optuna.create_study(
        storage=storage,
        directions=["minimize"] * len(objective.metric_names),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    study.optimize(objective, n_trials=n_trials)
    return study


def test_a_trial_carries_its_genotype_values_and_attributes(storage):
    study = run(Objective(SPACE, TABLE, ReRAM()), storage)
    for trial in study.trials:
        found = trial.user_attrs
        genotype = Genotype.from_json(found["genotype"])
        assert genotype == SPACE.decode(trial.params)
        workload = lower(genotype, FEATURES)
        cost = ReRAM().cost(workload)
        loss = WIDTHS[genotype.blocks[0].dense_width]
        assert trial.values == pytest.approx([loss, cost.latency_ns / 1e3, cost.energy_pj / 1e6])
        assert found["auc"] == 1 - loss
        assert found["mflops"] == workload.mflops
        assert found["mflops_paper"] == workload.mflops_paper
        assert found["parameters"] == workload.parameters
        assert found["area_mm2"] == cost.area_mm2
        for name, value in zip(("latency_us", "energy_uj"), trial.values[1:], strict=True):
            assert sum(found["breakdown"][name].values()) == pytest.approx(value)
            assert set(found["breakdown"][name]) == {"embedding", "fc", "efc", "final", "shared"}
        assert set(found["seconds"]) == {"oracle", "cost"}
        assert set(found) == {
            "genotype", "auc", "mflops", "mflops_paper", "parameters", "area_mm2", "breakdown",
            "seconds",
        }  # fmt: skip


def test_a_study_on_sqlite_is_read_again_with_the_same_trials(tmp_path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    study = run(Objective(SPACE, TABLE, ReRAM(), constraints={"area_mm2": 0.4}), storage, 3)
    again = optuna.load_study(study_name=study.study_name, storage=storage)
    assert [t.values for t in again.trials] == [t.values for t in study.trials]
    assert [t.user_attrs for t in again.trials] == [t.user_attrs for t in study.trials]
    assert [t.constraints for t in again.trials] == [t.constraints for t in study.trials]


@pytest.mark.parametrize("name", METRICS)
def test_one_objective_is_one_value(name):
    objective = Objective(SPACE, TABLE, ReRAM(), objectives=[name])
    for width in WIDTHS:
        value = objective(FixedTrial(SPACE.encode(MODELS[width])))
        assert value == objective.metrics(MODELS[width])[name]
        assert isinstance(value, int | float)


def test_values_come_in_the_order_asked_for_and_the_rest_is_written_beside():
    objective = Objective(SPACE, TABLE, ReRAM(), objectives=["area_mm2", "log_loss"])
    trial = FixedTrial(SPACE.encode(MODELS[64]))
    metrics = objective.metrics(MODELS[64])
    assert objective(trial) == (metrics["area_mm2"], metrics["log_loss"])
    assert set(metrics) == set(METRICS)
    assert trial.user_attrs["latency_us"] == metrics["latency_us"]
    assert trial.user_attrs["energy_uj"] == metrics["energy_uj"]
    assert "log_loss" not in trial.user_attrs  # an objective is not written twice


def test_both_counts_of_flops_are_objectives_of_their_own():
    names = ("mflops", "mflops_paper")
    model = published_model("avazu-full")  # whose Gates have inputs of several widths
    features = FeatureSpec(model.num_dense, (1,) * model.num_sparse)
    space = SearchSpace.nasrec_full(model.genotype.num_blocks)
    objective = Objective(space, Counting(), features=features, objectives=names)
    assert objective.metric_names == names
    found, workload = objective.metrics(model.genotype), lower(model.genotype, features)
    assert (found["mflops"], found["mflops_paper"]) == (workload.mflops, workload.mflops_paper)
    assert found["mflops_paper"] > found["mflops"]


def test_defaults_follow_what_is_given():
    assert Objective(SPACE, TABLE).metric_names == ("log_loss",)
    both = ("log_loss", "latency_us", "energy_uj")
    assert Objective(SPACE, TABLE, ReRAM()).metric_names == both
    assert set(Objective(SPACE, Counting()).metrics(MODELS[16])) == {"log_loss"}
    shape = Objective(SPACE, Counting(), features=FEATURES).metrics(MODELS[16])
    assert set(shape) == {"log_loss", "mflops", "mflops_paper", "parameters"}


def test_features_given_go_before_the_oracles():
    wide = FeatureSpec(13, (100,) * 50)
    ours = Objective(SPACE, TABLE, features=wide).metrics(MODELS[16])
    assert ours["parameters"] == lower(MODELS[16], wide).parameters
    assert ours["parameters"] > Objective(SPACE, TABLE).metrics(MODELS[16])["parameters"]


def test_a_constraint_is_how_far_a_trial_is_above_it(storage):
    limit = Objective(SPACE, TABLE, ReRAM()).metrics(MODELS[64])["energy_uj"]
    objective = Objective(
        SPACE, TABLE, ReRAM(), objectives=["log_loss"], constraints={"energy_uj": limit}
    )
    study = run(objective, storage)
    feasible = {}
    for trial in study.trials:
        width = trial.params["b1.dense_width"]
        above = objective.metrics(MODELS[width])["energy_uj"] - limit
        assert trial.constraints == {"energy_uj": pytest.approx(above)}
        feasible[width] = trial.constraints["energy_uj"] <= 0
    assert feasible == {16: True, 64: True, 256: False}
    assert study.best_trial.params["b1.dense_width"] == 64  # 256 predicts better and is infeasible


def test_a_trial_taken_up_again_keeps_its_constraint_without_a_warning():
    objective = Objective(SPACE, TABLE, objectives=["log_loss"], constraints={"mflops": 1.0})
    study = optuna.create_study()
    trial = study.ask()
    first = objective(trial)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert objective(trial) == first


def test_a_genotype_asked_again_is_answered_from_memory():
    oracle = Counting()
    study = run(Objective(SPACE, oracle, ReRAM(), features=FEATURES), n_trials=20)
    assert len(study.trials) == 20
    assert len(oracle.asked) == len(WIDTHS)
    by_genotype = {}
    for trial in study.trials:
        by_genotype.setdefault(trial.user_attrs["genotype"], set()).add(tuple(trial.values))
    assert [len(values) for values in by_genotype.values()] == [1, 1, 1]


def test_accelerator_genes_ask_the_oracle_once_and_change_the_cost():
    oracle = Counting()
    objective = Objective(CODESIGN, oracle, ReRAM(), features=FEATURES)
    blocks = (BlockGene(dense_width=64), BlockGene(dense_width=64))
    genes = HardwareGene(), HardwareGene(crossbar_rows=256, cell_bits=4)
    found = [objective.metrics(Genotype(blocks, gene, "codesign")) for gene in genes]
    assert len(oracle.asked) == 1
    assert found[0]["log_loss"] == found[1]["log_loss"]
    for gene, metrics in zip(genes, found, strict=True):
        cost = configure(ReRAM(), gene).cost(lower(Genotype(blocks), FEATURES))
        assert metrics["area_mm2"] == cost.area_mm2
        assert metrics["energy_uj"] == pytest.approx(cost.energy_pj / 1e6)
    assert found[0]["area_mm2"] != found[1]["area_mm2"]


def test_genotypes_of_one_model_share_an_answer():
    oracle = Counting()
    space = SearchSpace.nasrec_small(2)
    objective = Objective(space, oracle)
    last = BlockGene(dense_width=16)  # reads the raw features alone: block 1 is dead
    for width in (16, 512):
        genotype = Genotype((BlockGene(dense_width=width), last), space="nasrec_small")
        trial = FixedTrial(space.encode(genotype))
        objective(trial)
        assert Genotype.from_json(trial.user_attrs["genotype"]) == genotype  # as it was asked
    assert len({architecture(genotype) for genotype in oracle.asked}) == len(oracle.asked) == 1


def test_a_users_cost_model_and_function_are_enough():
    def loss(genotype: Genotype) -> float:
        return 1 / genotype.blocks[0].dense_width

    study = run(Objective(SPACE, loss, Abacus(), features=FEATURES))
    for trial in study.trials:
        macs = round(trial.user_attrs["mflops"] * 1e6)
        width = trial.params["b1.dense_width"]
        assert trial.values == pytest.approx([1 / width, macs / 1e3, 2 * macs / 1e6])
        assert "auc" not in trial.user_attrs


def test_a_function_may_answer_whole_evaluations():
    objective = Objective(SPACE, lambda _genotype: Evaluation(0.5, auc=math.nan))
    trial = FixedTrial(SPACE.encode(MODELS[16]))
    assert objective(trial) == 0.5
    assert "auc" not in trial.user_attrs  # JSON has no NaN


def test_a_model_outside_the_table_fails_its_trial_alone():
    oracle = TabularOracle({MODELS[16]: Evaluation(0.5)})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(Objective(SPACE, oracle), n_trials=12, catch=StudyError)
    states = {trial.params["b1.dense_width"]: trial.state for trial in study.trials}
    assert states == {16: TrialState.COMPLETE, 64: TrialState.FAIL, 256: TrialState.FAIL}


# One bit, or two with flip encoding, cannot read a cell of four.
REFUSED = SearchSpace(
    num_blocks=1, dense_ops=("fc",), sparse_ops=("efc",), dense_widths=(16, 64),
    sparse_widths=(16,), mergers=False, hardware=HardwareChoices(
        crossbar_rows=(128,), crossbar_cols=(128,), cell_bits=(1, 4), dac_bits=(1,),
        adc_bits=(1, 8), replication=(1, 2), buffer_kib=(64,),
    ),
)  # fmt: skip
MULTI_SAMPLERS = {
    "random": lambda: optuna.samplers.RandomSampler(seed=0),
    "tpe": lambda: optuna.samplers.TPESampler(seed=0, n_startup_trials=4),
    "nsga2": lambda: optuna.samplers.NSGAIISampler(population_size=6, seed=0),
    "evolution": lambda: RegularizedEvolutionSampler(
        REFUSED, population_size=6, tournament_size=3, children_per_round=2, seed=0
    ),
}


@pytest.mark.parametrize("objectives", [None, ["log_loss"]])
@pytest.mark.parametrize(
    ("storage", "sampler"),
    [*(("memory", name) for name in MULTI_SAMPLERS), ("sqlite", "evolution")],
    indirect=["storage"],
)
def test_an_accelerator_that_cannot_be_is_an_infeasible_trial_with_its_reason(
    storage, sampler, objectives
):
    oracle = Counting()
    objective = Objective(REFUSED, oracle, ReRAM(), features=FEATURES, objectives=objectives)
    study = optuna.create_study(
        storage=storage,
        directions=["minimize"] * len(objective.metric_names),
        sampler=MULTI_SAMPLERS[sampler](),
    )
    study.optimize(objective, n_trials=24)
    refused = [trial for trial in study.trials if "infeasible" in trial.user_attrs]
    assert 0 < len(refused) < 24
    for trial in study.trials:
        is_refused = trial.params["hw.adc_bits"] == 1 and trial.params["hw.cell_bits"] == 4
        assert is_refused == (trial in refused)
        assert trial.state == (TrialState.PRUNED if is_refused else TrialState.COMPLETE)
        assert trial.constraints == ({"accelerator": 1.0} if is_refused else {})
        genotype = Genotype.from_json(trial.user_attrs["genotype"])
        assert genotype == REFUSED.decode(trial.params)
        if is_refused:
            with pytest.raises(DescriptionError) as error:
                objective.metrics(genotype)
            assert trial.user_attrs["infeasible"] == str(error.value)
            assert "adc.bits: expected enough to read one row" in str(error.value)
    assert all(trial not in refused for trial in study.best_trials)


def test_a_refused_genotype_is_never_asked_of_the_oracle():
    oracle = Counting()
    objective = Objective(REFUSED, oracle, ReRAM(), features=FEATURES)
    gene = HardwareGene(cell_bits=4, adc_bits=1)
    genotype = Genotype((BlockGene(dense_width=16, sparse_width=16),), gene, "custom")
    for _ in range(2):
        with pytest.raises(optuna.TrialPruned, match="4-bit cells"):
            objective(FixedTrial(REFUSED.encode(genotype)))
    assert oracle.asked == []


def test_a_users_cost_model_refuses_a_workload_in_the_same_way():
    class Small(Abacus):
        def cost(self, workload) -> Cost:
            if workload.macs > 10_000:
                raise DescriptionError(f"weights: expected 10000, got {workload.macs}")
            return super().cost(workload)

    study = run(Objective(SPACE, TABLE, Small(), constraints={"energy_uj": 1.0}))
    for trial in study.trials:
        fits = trial.params["b1.dense_width"] < 256
        assert trial.state == (TrialState.COMPLETE if fits else TrialState.PRUNED)
        assert set(trial.constraints) == {"energy_uj" if fits else "accelerator"}
    assert "weights: expected 10000" in next(
        t.user_attrs["infeasible"] for t in study.trials if t.state == TrialState.PRUNED
    )


class Learning(Oracle):
    """An oracle that trains: its log loss falls towards one that wide models have lower."""

    features = FEATURES

    def __init__(self) -> None:
        self.finished: list[Genotype] = []
        self.steps = 0

    def evaluate(
        self, genotype: Genotype, *, report: Callable[[int, float], None] | None = None
    ) -> Evaluation:
        end = 0.5 - genotype.blocks[-1].dense_width / 1e4
        path = [(step, end + 0.2 / (step + 1)) for step in range(4)]
        for step, value in path:
            self.steps += 1
            if report:
                report(step, value)
        self.finished.append(genotype)
        return Evaluation(path[-1][1], auc=0.7, intermediate=tuple(path))


PRUNERS = {
    "median": optuna.pruners.MedianPruner(n_startup_trials=2),
    "threshold": optuna.pruners.ThresholdPruner(upper=0.59, n_warmup_steps=1),
    "hyperband": optuna.pruners.HyperbandPruner(max_resource=4, reduction_factor=2),
}
SAMPLERS = {
    "random": lambda space: optuna.samplers.RandomSampler(seed=0),
    "evolution": lambda space: RegularizedEvolutionSampler(
        space, population_size=6, tournament_size=3, children_per_round=2, seed=0
    ),
}


@pytest.mark.parametrize(
    ("storage", "pruner", "sampler"),
    [
        *(("memory", pruner, sampler) for pruner in PRUNERS for sampler in SAMPLERS),
        ("sqlite", "hyperband", "evolution"),
    ],
    indirect=["storage"],
)
def test_a_pruner_ends_trials_by_their_log_losses_on_the_way(storage, pruner, sampler):
    space, oracle = SearchSpace.nasrec_small(2), Learning()
    objective = Objective(space, oracle, constraints={"mflops": 0.5})
    study = optuna.create_study(
        study_name="pruned",  # from which hyperband draws its brackets
        storage=storage,
        pruner=PRUNERS[pruner],
        sampler=SAMPLERS[sampler](space),
    )
    study.optimize(objective, n_trials=16)
    pruned = study.get_trials(states=[TrialState.PRUNED])
    complete = study.get_trials(states=[TrialState.COMPLETE])
    assert len(pruned) + len(complete) == 16
    assert pruned
    assert complete
    assert oracle.steps < 16 * 4
    for trial in study.trials:
        genotype = Genotype.from_json(trial.user_attrs["genotype"])
        path = Learning().evaluate(genotype).intermediate
        assert tuple(trial.intermediate_values.items()) == path[: trial.last_step + 1]
        assert trial.value == path[trial.last_step][1]
        assert set(trial.user_attrs["seconds"]) == {"oracle", "cost"}
        assert trial.constraints == {"mflops": trial.user_attrs["mflops"] - 0.5}
        assert ("auc" in trial.user_attrs) == (trial.state == TrialState.COMPLETE)
    assert all(trial.last_step == 3 for trial in complete)


def test_a_pruned_model_is_forgotten_and_a_finished_one_is_judged_from_memory():
    oracle = Learning()
    objective = Objective(SPACE, oracle)
    strict = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(upper=0.5))
    lenient = optuna.create_study(pruner=optuna.pruners.NopPruner())
    path = Learning().evaluate(MODELS[64]).intermediate
    for study in (strict, lenient, strict):
        study.enqueue_trial(SPACE.encode(MODELS[64]))
        study.optimize(objective, n_trials=1)
    assert [trial.state for trial in strict.trials] == [TrialState.PRUNED] * 2
    assert [trial.intermediate_values for trial in strict.trials] == [dict(path[:1])] * 2
    assert lenient.trials[0].state == TrialState.COMPLETE
    assert lenient.trials[0].intermediate_values == dict(path)
    assert oracle.finished == [MODELS[64]]
    assert oracle.steps == 1 + 4  # nothing for the last trial


@pytest.mark.parametrize("objectives", [["log_loss", "mflops"], ["mflops"]])
def test_other_objectives_than_log_loss_alone_are_told_nothing(storage, objectives):
    objective = Objective(SPACE, Learning(), objectives=objectives)
    study = optuna.create_study(
        storage=storage,
        directions=["minimize"] * len(objectives),
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.ThresholdPruner(upper=0.0),
    )
    study.optimize(objective, n_trials=4)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert not any(trial.intermediate_values for trial in study.trials)


def test_oracles_that_report_nothing_never_hear_of_a_pruner():
    pruner = optuna.pruners.ThresholdPruner(upper=0.0)
    for oracle in (Counting(), TABLE, lambda genotype: 0.5):
        study = optuna.create_study(pruner=pruner, sampler=optuna.samplers.RandomSampler(seed=0))
        study.optimize(Objective(SPACE, oracle), n_trials=3)
        assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}


def test_an_oracle_may_prune_of_its_own_accord():
    def refuse(genotype: Genotype) -> float:
        raise optuna.TrialPruned

    study = optuna.create_study()
    study.optimize(Objective(SPACE, refuse), n_trials=1)
    assert study.trials[0].state == TrialState.PRUNED


def test_a_difference_from_a_reference_is_written_beside_the_value(storage):
    answer = Evaluation(0.5, difference=Difference(-0.01, 0.002, 400))
    study = run(Objective(SPACE, lambda genotype: answer), storage, 1)
    expected = {"log_loss": -0.01, "log_loss_se": 0.002, "num_rows": 400}
    assert study.trials[0].user_attrs["difference"] == expected


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"objectives": ["auc"]},
            "objectives: expected metrics of log_loss, latency_us, energy_uj, area_mm2, mflops, "
            "mflops_paper, parameters, got 'auc'",
        ),
        ({"constraints": {"area": 1}}, "constraints: expected metrics of log_loss,"),
        ({"objectives": ["energy_uj"]}, "objectives: energy_uj needs an accelerator, got none"),
        (
            {"objectives": ["log_loss"], "constraints": {"area_mm2": 1}},
            "constraints: area_mm2 needs an accelerator, got none",
        ),
        (
            {"objectives": ["mflops"]},
            "objectives: mflops needs the shape of the input: expected features, or an oracle "
            "that has them, got neither",
        ),
        ({"accelerator": ReRAM()}, "objectives: latency_us needs the shape of the input"),
        ({"constraints": {"parameters": 1}}, "constraints: parameters needs the shape"),
        ({"objectives": []}, "objectives: expected distinct metrics, got ()"),
        (
            {"objectives": ["log_loss", "log_loss"]},
            "objectives: expected distinct metrics, got ('log_loss', 'log_loss')",
        ),
        ({"constraints": {"log_loss": math.nan}}, "constraints: log_loss: expected a number"),
    ],
)
def test_what_cannot_be_computed_is_refused_at_the_door(options, sentence):
    with pytest.raises(StudyError) as caught:
        Objective(SPACE, Counting(), **options)
    assert str(caught.value).startswith(sentence)
