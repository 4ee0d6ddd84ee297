"""Averages of trained models, if several are better on validation rows than each alone."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nasrec_opt.data import Dataset
from nasrec_opt.pipeline._baselines import fitted_baselines
from nasrec_opt.pipeline._conditions import Conditions
from nasrec_opt.pipeline._cost import ensemble_cost
from nasrec_opt.pipeline._folder import RunFolder, folder_in_run
from nasrec_opt.retrain import (
    Baseline,
    RetrainedModel,
    answers_of,
    auc,
    choose_members,
    compare,
    log_loss,
    refer_to,
)

Answers = npt.NDArray[np.float32]
Member = tuple[int, RetrainedModel]  # a trained model, after its seed


class Judge:
    """Logits of trained models on the rows that compare them, each computed once.

    Args:
        dataset: The log.
        reference: The baselines, by name.
    """

    def __init__(self, dataset: Dataset, reference: Mapping[str, Baseline]) -> None:
        self._dataset = dataset
        splits = {name: dataset.split(name) for name in ("validation", "test")}
        # Labels and weights of the rows, which all comparisons take.
        self.rows = {name: (split.labels, split.weights) for name, split in splits.items()}
        self.reference = reference
        self._known: dict[tuple[Path, str], Answers] = {}

    @classmethod
    def of_run(cls, folder: RunFolder, dataset: Dataset) -> Judge:
        """Compare with the baselines of a run.

        Args:
            folder: The run folder, with its baselines.
            dataset: The log, as the models read it.
        """
        return cls(dataset, fitted_baselines(folder, Dataset.open(folder.dataset)))

    def answers(self, weights: Path, split: str) -> Answers:
        """Logits of a trained model, `[rows]`.

        Args:
            weights: One of `RetrainedModel.weights()`.
            split: `validation` or `test`.
        """
        key = (weights, split)
        if key not in self._known:
            self._known[key] = answers_of(weights, self._dataset, split)
        return self._known[key]

    def against(self, logits: Mapping[str, Answers]) -> dict[str, Any]:
        """Differences from each baseline on test rows, and on validation rows.

        Args:
            logits: By split.
        """
        return {
            "against": {
                name: compare(logits["test"], baseline.test_logits, *self.rows["test"]).to_dict()
                for name, baseline in self.reference.items()
            },
            "against_on_validation": {
                name: compare(
                    logits["validation"], baseline.validation_logits, *self.rows["validation"]
                ).to_dict()
                for name, baseline in self.reference.items()
            },
        }


def ensemble_of(
    models: Sequence[Member],
    judge: Judge,
    conditions: Conditions,
    *,
    most: int,
    constraints: Mapping[str, float],
    where: Path,
) -> dict[str, Any] | None:
    """The ensemble that validation rows choose among trained models, each at two of its epochs.

    Args:
        models: Each with its seed.
        judge: Computes their logits.
        conditions: Conditions of their costs.
        most: Maximum number of members.
        constraints: Constraints of the study, which the ensemble has to meet as a whole.
        where: Folder of the ensemble.

    Returns:
        Figures as those of a model in `results.json`: `members`, each a `genotype`, a `seed` and
        the folder of its `weights` (`model` or `other_epoch`), log losses, AUC, costs, differences
        from the baselines, and from its best member, which is the first (`against_best`); None
        where no two are better than one.
    """
    known = [(seed, model, weights) for seed, model in models for weights in model.weights()]

    def is_allowed(places: Sequence[int]) -> bool:
        genotypes = [known[place][1].genotype for place in places]
        if any(genotype.hardware != genotypes[0].hardware for genotype in genotypes):
            return False  # one accelerator has one configuration
        if not constraints:
            return True
        cost = ensemble_cost(genotypes, conditions)
        return all(cost[name] <= largest for name, largest in constraints.items() if name in cost)

    shutil.rmtree(where, ignore_errors=True)  # of other models
    if most < 2 or len(known) < 2:
        return None
    on_validation = np.stack([judge.answers(weights, "validation") for *_, weights in known])
    labels, weights_of_rows = judge.rows["validation"]
    places = choose_members(
        on_validation, labels, most, weights=weights_of_rows, is_allowed=is_allowed
    )
    if len(places) < 2:
        return None
    members = [known[place] for place in places]
    logits = {
        split: np.mean([judge.answers(weights, split) for *_, weights in members], axis=0)
        for split in judge.rows
    }
    best = members[0][2]
    refer_to([weights for *_, weights in members], where)
    return {
        "members": [
            {
                "genotype": model.genotype.to_dict(),
                "seed": seed,
                "folder": folder_in_run(model.path),
                "weights": weights.name,
            }
            for seed, model, weights in members
        ],
        **{f"{split}_log_loss": log_loss(logits[split], *judge.rows[split]) for split in logits},
        **{f"{split}_auc": auc(logits[split], *judge.rows[split]) for split in logits},
        **judge.against(logits),
        "against_best": compare(
            logits["test"], judge.answers(best, "test"), *judge.rows["test"]
        ).to_dict(),
        **ensemble_cost([model.genotype for _, model, _ in members], conditions),
    }
