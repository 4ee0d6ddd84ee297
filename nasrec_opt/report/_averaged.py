"""How many models an ensemble averages: two epochs of one model are two members, and one model."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any


def averaged_in_words(ensemble: Mapping[str, Any], kind: str = "model") -> str:
    """Say which models are averaged, and how many of them at two epochs.

    Args:
        ensemble: The entry of `results.json`, with its `members`.
        kind: What a model is called.

    Returns:
        Such as `3 models`, `2 models, one of them at two epochs` or `two epochs of one model`.
    """
    counts = Counter(
        json.dumps([member["genotype"], member["seed"]], sort_keys=True)
        for member in ensemble["members"]
    )
    models, twice = len(counts), sum(count > 1 for count in counts.values())
    if models == 1 and twice:
        return f"two epochs of one {kind}"
    named = f"{models} {kind}{'' if models == 1 else 's'}"
    if not twice:
        return named
    if twice == models:
        return f"{named}, each at two epochs"
    return f"{named}, {'one' if twice == 1 else twice} of them at two epochs"
