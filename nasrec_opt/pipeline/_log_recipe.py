"""Values that a study leaves open and its log decides; they are fixed once for a run.

A later version may choose other values for the same log; a run that has begun keeps its values.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nasrec_opt._files import read_json, write_json
from nasrec_opt._recipe import (
    ModelRecipe,
    SupernetRecipe,
    filled,
    min_count,
    model_recipe,
    supernet_recipe,
)
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._schema import USUAL, as_json

Recipe = dict[str, Any]

FIRST_SCRATCH = {
    "batch_size": 512,
    "epochs": 1,
    "learning_rate": 0.12,
    "embedding_rate": 0.12,
    "embedding_prior": 0.0,
}


def with_recipe(config: StudyConfig, folder: RunFolder, rows: int) -> StudyConfig:
    """Fill in the values that follow the log; the folder keeps them.

    Args:
        config: The study.
        folder: Its run folder, with the prepared log.
        rows: Training rows.

    Raises:
        StudyError: The folder's record of them is damaged.
    """
    recipe = _kept(folder, rows, has_ladder=config.search.ladder is not None)
    if not folder.recipe.exists():
        write_json(folder.recipe, recipe)
    of_supernet, of_scratch, of_model = (
        SupernetRecipe(**recipe["supernet"]),
        SupernetRecipe(**recipe["scratch"]),
        ModelRecipe(**recipe["model"]),
    )
    data, oracle, retrain = config.data, config.oracle, config.retrain
    least = recipe["data"]["min_count"] if data.min_count is None else data.min_count
    scratch, model = oracle.scratch.with_recipe(of_scratch), filled(retrain.model, of_model)
    return replace(
        config,
        data=replace(data, min_count=least),
        supernet=config.supernet.with_recipe(of_supernet),
        oracle=replace(oracle, scratch=scratch),
        retrain=replace(retrain, model=model),
    )


def recipe_of(rows: int, *, has_ladder: bool = False) -> Recipe:
    """The values that follow a log's number of training rows, by table of a study file.

    Args:
        rows: Training rows.
        has_ladder: Whether the study that begins the run has a ladder.
    """
    return {
        "data": {"min_count": min_count(rows)},
        "supernet": as_json(supernet_recipe(rows, has_ladder=has_ladder)),
        "scratch": as_json(supernet_recipe(rows)),
        "model": as_json(model_recipe(rows)),
    }


def _kept(folder: RunFolder, rows: int, *, has_ladder: bool) -> Recipe:
    """The values that a run began with, or begins with now.

    Raises:
        StudyError: The file is damaged.
    """
    usual = recipe_of(rows, has_ladder=has_ladder)
    try:
        kept = read_json(folder.recipe)
        if {name: set(table) for name, table in kept.items()} == {
            name: set(table) for name, table in usual.items()
        }:
            return dict(kept)
        found = str(kept)
    except FileNotFoundError:
        return usual | _of_before(folder)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        found = repr(error)
    raise StudyError(
        f"{folder.recipe}: expected the recipe of a run, got: {found}; remove it to have it "
        "written again"
    )


def _of_before(folder: RunFolder) -> Recipe:
    """The values of a run from before recipes, when defaults did not follow the log."""
    try:
        settings = folder.record()["train"]["settings"]
        supernet = USUAL["supernet"] | settings["supernet"]
        trained = {name: supernet[name] for name in FIRST_SCRATCH}
        data = {"min_count": settings["data"]["min_count"]}
    except KeyError:
        return {}
    if trained["embedding_rate"] is None:
        trained["embedding_rate"] = trained["learning_rate"]
    return {"data": data, "supernet": trained, "scratch": FIRST_SCRATCH}
