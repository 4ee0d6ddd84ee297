"""Options of the last stage of a run: `[retrain]` of a study file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from nasrec_opt._settings import check_at_least
from nasrec_opt.options._choices import check_choice
from nasrec_opt.options._retrain import PAPER, RetrainConfig

Recipe = Literal["small_log", "paper"]
RECIPES: Mapping[str, Mapping[str, Any]] = {"small_log": {}, "paper": PAPER}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainStageConfig:
    """Which winners are trained from scratch, and how: `[retrain]` of a study file.

    Args:
        recipe: What `[retrain.model]` begins from: `small_log`, its defaults, or `paper`, the
            published training. The table itself states what differs.
        top: Number of architectures to retrain, each once whatever its accelerator: the finalists
            of the ladder; without a ladder, those of the Pareto front by log loss, then others.
        seeds: Models of each architecture, with this many seeds counted from `seed`; architectures
            are ordered by their mean validation log loss, and each is represented by its seed that
            is best on validation.
        ensemble: Maximum number of members that are averaged to one more competitor; each trained
            model, probes included, may be a member at its best epoch and at its second best. The
            best comes first, then each that lowers the validation log loss of the mean by 0.0001 or
            more while the constraints hold for all together (docs/decisions/ensemble.md).
        workers: Models that are trained at once, each by a process of its own with one thread:
            probes, the ladder's rungs after the first, and the retrained ones. It changes no model.
            The default is smaller if half of the memory does not hold them; it is 1 with a GPU, and
            below 50,000 training rows, where a model trains as fast as a process starts. None means
            as many as there are cores, at most 8.
        genotypes: Architectures to train in place of those that a search finds; the run then has no
            supernet and no search. Each is a JSON file beside the study file, a run folder or its
            `results.json`, `published:criteo-small`, say, for a model of the paper or `like:deepfm`
            for a hand-made one, or `published` or `like` for all; these have the bits of `[space]`
            if it has one choice of them, and else are in floating point.
        model: Training of one model.

    Raises:
        StudyError: A number is not positive, or there is no such recipe.
    """

    recipe: Recipe = "small_log"
    top: int = 4
    seeds: int = 1
    ensemble: int = 1
    workers: int | None = None
    genotypes: tuple[str, ...] = ()
    model: RetrainConfig = field(default_factory=RetrainConfig)

    def __post_init__(self) -> None:
        check_choice("recipe", self.recipe, Recipe)
        if self.recipe == "paper" and self.model == RetrainConfig():
            object.__setattr__(self, "model", RetrainConfig.paper())  # no model was given
        check_at_least("top", self.top, 1)
        check_at_least("seeds", self.seeds, 1)
        check_at_least("ensemble", self.ensemble, 1)
        if self.workers is not None:
            check_at_least("workers", self.workers, 1)

    def with_recipe(self, recipe: Recipe) -> RetrainStageConfig:
        """Take another recipe; options of the model that differ from its own one stay.

        Args:
            recipe: `small_log` or `paper`.

        Returns:
            A copy.

        Raises:
            StudyError: There is no such recipe, or it does not read an option of the model.
        """
        check_choice("recipe", recipe, Recipe)
        usual = RECIPES[self.recipe]
        own = {
            known.name: getattr(self.model, known.name)
            for known in fields(self.model)
            if getattr(self.model, known.name) != usual.get(known.name, known.default)
        }
        return replace(self, recipe=recipe, model=RetrainConfig(**{**RECIPES[recipe], **own}))


def on_recipe(retrain: Any) -> Any:
    """The table `[retrain]` of a study file with what its recipe says about the model.

    Args:
        retrain: The table as it was read; anything that is no such table is left for the check of
            its types.
    """
    if not isinstance(retrain, Mapping) or not isinstance(retrain.get("model", {}), Mapping):
        return retrain
    recipe = RECIPES.get(str(retrain.get("recipe")), {})
    own = {name: list(v) if isinstance(v, tuple) else v for name, v in recipe.items()}
    return {**retrain, "model": {**own, **retrain.get("model", {})}}
