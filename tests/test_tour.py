"""The product in sixty lines of user code; read it before anything else."""

from __future__ import annotations

import numpy as np
import torch

from hw import ReRAM
from nasrec_opt import (
    Genotype,
    MLflowLogger,
    Objective,
    RegularizedEvolutionSampler,
    SearchSpace,
    Supernet,
    SupernetOracle,
    lower,
    search,
)
from nasrec_opt.data import generate_synthetic
from nasrec_opt.report import write_report
from nasrec_opt.retrain import RetrainConfig, baselines, retrain
from nasrec_opt.supernet import TrainConfig, train_supernet


def test_tour(tmp_path):
    # A click log, prepared once; `prepare("train.txt", out)` does the same for one of yours.
    dataset = generate_synthetic(tmp_path / "dataset", rows=4000, seed=0)

    # The choices: blocks, operators, widths, connections. A genotype is one of them.
    space = SearchSpace.nasrec_small(num_blocks=2)
    genotype = space.sample(np.random.default_rng(0))
    assert Genotype.from_json(genotype.to_json()) == genotype
    assert space.decode(space.encode(genotype)) == genotype  # native Optuna parameters

    # One supernet holds the weights of all of them, and is trained once.
    supernet = Supernet(space, dataset.features, seed=0)
    train_supernet(supernet, dataset, tmp_path / "supernet", TrainConfig(batch_size=128))
    subnet = supernet.extract(genotype)  # a plain torch module, equal to the one inside
    batch = dataset.split("test").rows(slice(0, 8))
    dense, sparse = torch.from_numpy(batch.dense), torch.from_numpy(batch.sparse)
    torch.testing.assert_close(subnet(dense, sparse), supernet(genotype, dense, sparse))

    # The oracle scores any of them in a moment; the accelerator says what it costs.
    oracle = SupernetOracle.load(tmp_path / "supernet")
    accelerator = ReRAM()
    assert 0.3 < oracle.evaluate(genotype).log_loss < 1.0
    assert accelerator.cost(lower(genotype, dataset.features)).energy_pj > 0

    # The search is an ordinary Optuna study, logged in MLflow; killed, it continues where it was.
    objective = Objective(space, oracle, accelerator)
    study = objective.create_study(
        study_name="tour",
        storage=f"sqlite:///{tmp_path}/study.db",
        sampler=RegularizedEvolutionSampler(space, population_size=8, tournament_size=4, seed=0),
    )
    with MLflowLogger(f"sqlite:///{tmp_path}/mlflow.db") as logger:
        search(study, objective, n_trials=16, callbacks=[logger])

    # The best is trained from scratch, beside honest baselines, and shown in one page.
    best = min(study.best_trials, key=lambda trial: trial.values[0])
    winner = Genotype.from_trial(best)
    model = retrain(winner, dataset, tmp_path / "model", RetrainConfig(batch_size=128, epochs=1))
    results = {"models": [model.to_dict()], "baselines": baselines(dataset)}
    assert model.test_log_loss < results["baselines"]["constant"].test_log_loss + 0.05
    write_report(tmp_path / "report.html", study=study, results=results)
    assert "Pareto front" in (tmp_path / "report.html").read_text()
