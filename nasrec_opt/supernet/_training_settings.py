"""What a supernet's training depends on: its checkpoint states it, and so does `training.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from nasrec_opt.options import TrainConfig, differences, json_values
from nasrec_opt.space import SearchSpace
from nasrec_opt.supernet._paths import PathSampling
from nasrec_opt.supernet._supernet import Supernet

OF_PATHS = ("path_sampling", "connections", "warmup_fraction")  # not read beside a strategy
OF_CONFIG = "that of the configuration"


def training_settings(
    config: TrainConfig, supernet: Supernet, fingerprint: str, strategy: PathSampling | None
) -> dict[str, Any]:
    """All that the weights depend on, as JSON values.

    Args:
        config: How it is trained, without open fields.
        supernet: What is trained.
        fingerprint: Of the dataset.
        strategy: A user's own path sampling, or None for the configuration's.
    """
    settings = config.in_force()
    if strategy is not None:
        settings = {name: v for name, v in settings.items() if name not in OF_PATHS}
        settings["strategy"] = described(strategy)
    return settings | {
        "masking": supernet.masking,
        "balance": supernet.balance,
        "dataset": fingerprint,
        "space": supernet.space.to_dict(),
    }


def described(strategy: Any) -> Any:
    """A strategy's class and, of a dataclass, its fields; the space is stated elsewhere."""
    name = f"{type(strategy).__module__}.{type(strategy).__qualname__}"
    if not is_dataclass(strategy):
        return name  # nothing else of it is sure to be the same in another process
    values = {field.name: getattr(strategy, field.name) for field in fields(strategy)}
    stated = {k: _stated(v) for k, v in values.items() if not isinstance(v, SearchSpace)}
    return {"class": name, **stated}


def first_difference(
    then: Mapping[str, Any], now: Mapping[str, Any]
) -> tuple[str, Any, Any] | None:
    """The first setting in which two trainings differ, as `(name, then, now)`, or None.

    What one of them does not state is the default: its version did not have the option yet.

    Args:
        then: Settings of a checkpoint, perhaps of an older version.
        now: Those of the training that would continue it.
    """
    usual = json_values(TrainConfig())
    usual |= {"masking": "slice", "balance": True, "strategy": OF_CONFIG}
    for name in dict.fromkeys(name for name in (*now, *then) if name != "space"):
        before, after = then.get(name, usual.get(name)), now.get(name, usual.get(name))
        if before != after:
            return name, before, after
    usual = SearchSpace().to_dict()
    before, after = (differences(s.get("space", {}), usual) for s in (then, now))
    return None if before == after else ("space", before, after)


def _stated(value: Any) -> Any:
    """The field of a strategy as a JSON value."""
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    return [_stated(entry) for entry in value] if isinstance(value, tuple) else described(value)
