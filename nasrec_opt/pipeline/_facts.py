"""The facts of a run in words: how it searched, with which seed, on which technology."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasrec_opt.options import OracleConfig
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._identity import settings_in_force
from nasrec_opt.pipeline._proposer import name_of_proposer
from nasrec_opt.space import SearchSpace
from nasrec_opt.supernet import training_steps

SHIPPED = "reram_32nm.toml, which ships"


def facts_of(config: StudyConfig, space: SearchSpace, *, source: str, rows: int) -> dict[str, str]:
    """Settings of a run that decide its result, as the report shows them.

    Args:
        config: The study.
        space: What was searched.
        source: The click log, or `synthetic`.
        rows: Training rows.
    """
    settings = settings_in_force(config, source)
    search, oracle = settings["search"], settings["oracle"]
    sampler = name_of_proposer(config.search)
    options = search.get("ax" if config.search.engine == "ax" else sampler)
    limits = {name: f"at most {most}" for name, most in search["constraints"].items()}
    fidelity = {k: v for k, v in oracle.items() if k not in ("fidelity", "rows")}
    technology = config.hardware.technology
    first = [Path(name).name for name in config.search.initial]
    steps = training_steps(rows, config.supernet)
    size = f"{space.num_blocks} choice blocks, {space.cardinality():.2g} genotypes"
    return {
        "space": f"{space.name}, {size}",
        "sampler": _with_options(sampler, options),
        **({"first trials": ", ".join(first)} if first else {}),
        "seed": str(config.seed),
        "objectives": ", ".join(config.search.objectives),
        **({"constraints": _with_options("", limits)} if limits else {}),
        "fidelity": _with_options(oracle["fidelity"], fidelity)
        + f", scored on {_rows(config.oracle)}",
        "technology": SHIPPED if technology is None else technology.name,
        "supernet": f"{steps:,} steps of {config.supernet.for_rows(rows).batch_size:,} rows",
        "retraining": _training(config, rows),
    }


def _training(config: StudyConfig, rows: int) -> str:
    """How the winners are trained, with the values for this log."""
    recipe, least = config.retrain.model.recipe(rows), config.data.min_count or 1
    most = max(1, rows // recipe.batch_size) * recipe.epochs
    return f"at most {most:,} steps of {recipe.batch_size:,} rows, stopped on validation rows" + (
        f"; values of fewer than {least:,} rows are one" if least > 1 else ""
    )


def _with_options(name: str, options: Mapping[str, Any] | None) -> str:
    """`evolution, population_size 128, tournament_size 64`; an option that is None is left out."""
    given = [name] if name else []
    for key, value in (options or {}).items():
        if isinstance(value, Mapping):
            given.append(_with_options("", value))
        elif value is not None:
            given.append(f"{key} {value}")
    return ", ".join(given)


def _rows(oracle: OracleConfig) -> str:
    if oracle.racing is not None:
        return f"{oracle.racing.first:,} validation rows, and on more where they may decide"
    return "all validation rows" if oracle.rows is None else f"{oracle.rows:,} validation rows"
