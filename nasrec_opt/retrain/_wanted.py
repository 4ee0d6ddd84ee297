"""Whether what a model's folder holds was trained as it would be trained now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nasrec_opt.options import RetrainConfig, json_values


def is_same_training(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Compare two trainings; an option that one of them does not state is at its default.

    Args:
        stored: All that the one in the folder depended on, perhaps as an older version wrote it.
        wanted: All that the other depends on.
    """
    usual = json_values(RetrainConfig())
    first, second = ({**how, "config": usual | how["config"]} for how in (stored, wanted))
    return first == second
