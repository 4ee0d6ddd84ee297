"""The stages of a run in their order; `Run` has a method for each, of the same name."""

from __future__ import annotations

from typing import Literal, get_args

Stage = Literal["prepare", "baselines", "probe", "train", "search", "ladder", "retrain", "report"]
STAGES: tuple[Stage, ...] = get_args(Stage)
SHARED: frozenset[Stage] = frozenset({"prepare", "baselines", "train"})  # by a folder's searches


def key_of(stage: Stage, place: str) -> str:
    """What `run.json` calls a stage: searches but the first have entries of their own.

    Args:
        stage: Its name.
        place: Of the search in the folder: empty for the first one, else the study's name.
    """
    return stage if stage in SHARED or not place else f"{stage} {place}"
