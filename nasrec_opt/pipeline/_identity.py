"""Everything that the stages of a run depend on, as values; if they change, a stage runs again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hw import shipped_technology
from nasrec_opt._files import sha256
from nasrec_opt.data import Schema
from nasrec_opt.errors import DataError, StudyError
from nasrec_opt.options import FORMATS, LadderConfig, OracleConfig, Racing, differences, json_values
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._initial import initial_genotypes, known_genotypes
from nasrec_opt.pipeline._log_source import (
    Source,
    content_of,
    is_dataset,
    is_same_log,
    named_source,
    source_name,
)
from nasrec_opt.pipeline._schema import USUAL, as_json, digest, ladder_read, stated
from nasrec_opt.space import Genotype, SearchSpace


def prepare_settings(
    config: StudyConfig, folder: RunFolder, source: Source | None
) -> dict[str, Any]:
    """Everything that the dataset depends on.

    Args:
        config: The study.
        folder: The run folder.
        source: The click log or a dataset; None means what the folder was prepared from, or else
            the synthetic log.
    """
    data = config.data
    previous = folder.record().get("prepare", {}).get("settings", {})
    name = "synthetic" if source is None else source_name(source)
    if previous and (source is None or is_same_log(previous, source)):
        name = previous["source"]  # where it was when it was read
    if name == "synthetic":
        made = {"synthetic_rows": data.synthetic_rows, "synthetic_seed": data.synthetic_seed}
        return stated({"source": name}, data=made)
    log = source or named_source(name)
    content = _content(log, previous.get("content"))
    if is_dataset(log) or (previous.get("is_dataset") and name == previous["source"]):
        return stated({"source": name, "content": content, "is_dataset": True})
    read = {
        "format": format_of(data.format),
        "split_seed": data.split_seed,
        "max_values": data.max_values,
        "layout": data.layout,
        "count": None if data.count == "line" else data.count,  # the default
        "users": None
        if data.users is None
        else _content(data.users, previous.get("data", {}).get("users")),
    }
    return stated({"source": name, "content": content}, data=read)


def _content(source: Source, known: str | None) -> str | None:
    """Identify a file or log as it is; one that is gone is no loss once it is prepared."""
    try:
        return content_of(source)
    except DataError:
        return known


def baselines_settings(folder: RunFolder) -> dict[str, Any]:
    """Everything that the baselines depend on; they read a log in their own way.

    Args:
        folder: The run folder, with the prepared log.
    """
    return stated({"prepare": _prepared(folder)})


def train_settings(config: StudyConfig, folder: RunFolder, space: SearchSpace) -> dict[str, Any]:
    """All that the supernet's weights depend on."""
    facts, tables = _of_the_log(config, folder, space)
    return stated(facts, supernet=config.supernet.in_force(), **tables)


def probe_settings(config: StudyConfig, folder: RunFolder, space: SearchSpace) -> dict[str, Any]:
    """All that the models trained before the supernet depend on."""
    facts, tables = _of_the_log(config, folder, space)
    ladder, retrain = config.search.ladder, config.retrain
    if ladder is not None:
        tables["ladder"] = {
            "probes": ladder.probes,
            "known": [g.to_json() for g in known_genotypes(ladder, space)],
            "epochs": ladder.epochs,
        }
    tables["retrain"] = {"model": as_json(retrain.model)}
    if retrain.ensemble > 1:
        tables["retrain"]["ensemble"] = retrain.ensemble
        tables["search"] = {"constraints": as_json(config.search.constraints)}
        tables["hardware"] = {"technology": digest_of(config.hardware.technology)}
    return stated(facts, **tables)


def search_settings(config: StudyConfig, folder: RunFolder, space: SearchSpace) -> dict[str, Any]:
    """All that the search's trials depend on."""
    search = as_json(config.search)
    del search["n_trials"], search["ladder"], search["workers"]
    for name in config.search.unread():
        del search[name]
    # What the files hold, not how they are called.
    search["initial"] = [g.to_json() for g in initial_genotypes(config.search, space)]
    if config.search.ladder is not None:  # which ones follows from the space, the log and the seed
        search["probes"] = config.search.ladder.probes
        search["known"] = [g.to_json() for g in known_genotypes(config.search.ladder, space)]
    return stated(
        {"train": digest(train_settings(config, folder, space))},
        oracle=_oracle_read(config.oracle),
        hardware={"technology": digest_of(config.hardware.technology)},
        search=search,
    )


def finished_search_settings(
    config: StudyConfig, folder: RunFolder, space: SearchSpace
) -> dict[str, Any]:
    """Everything that a finished search depends on: its trials, and their number."""
    return search_settings(config, folder, space) | {"n_trials": config.search.n_trials}


def retrain_settings(config: StudyConfig, folder: RunFolder, space: SearchSpace) -> dict[str, Any]:
    """All that the retrained models depend on."""
    facts: dict[str, Any] = {"search": digest(finished_search_settings(config, folder, space))}
    if config.search.ladder is not None:
        facts["ladder"] = differences(ladder_read(as_json(config.search.ladder)), USUAL["ladder"])
    retrain = as_json(config.retrain)
    del retrain["workers"], retrain["genotypes"]  # they change no winner
    return stated(facts, retrain=retrain)


def model_settings(
    config: StudyConfig, folder: RunFolder, genotypes: Sequence[Genotype]
) -> dict[str, Any]:
    """All that the models of given architectures depend on."""
    data = {"min_count": config.data.min_count, "binned_dense": config.data.binned_dense}
    facts = {
        "seed": config.seed,
        "prepare": _prepared(folder),
        "genotypes": [genotype.to_dict() for genotype in genotypes],
    }
    retrain = {"seeds": config.retrain.seeds, "model": as_json(config.retrain.model)}
    return stated(facts, data=data, retrain=retrain)


def ladder_settings(config: StudyConfig, folder: RunFolder, space: SearchSpace) -> dict[str, Any]:
    """All that the climb of searched models depends on."""
    return stated(
        {"search": digest(finished_search_settings(config, folder, space))},
        ladder=ladder_read(as_json(config.search.ladder or LadderConfig())),
        retrain={"top": config.retrain.top, "model": as_json(config.retrain.model)},
    )


def _prepared(folder: RunFolder) -> Any:
    return folder.record().get("prepare", {}).get("settings")


def _of_the_log(
    config: StudyConfig, folder: RunFolder, space: SearchSpace
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Facts and tables of every stage that trains on the log."""
    data = {"min_count": config.data.min_count, "binned_dense": config.data.binned_dense}
    facts = {"seed": config.seed, "prepare": _prepared(folder)}
    return facts, {"space": space.to_dict(), "data": data}


def _oracle_read(oracle: OracleConfig) -> dict[str, Any]:
    """What the oracle's answers depend on."""
    values = {name: value for name, value in as_json(oracle).items() if name not in oracle.unread()}
    if oracle.racing is not None:
        values["rows"] = differences(values["rows"], json_values(Racing()))
    scratch = values.get("scratch")
    if scratch is not None:
        if scratch["embedding_rate"] == scratch["learning_rate"]:
            del scratch["embedding_rate"]
        if scratch["embedding_prior"] == 0.0:  # as in a record of before there was a choice
            del scratch["embedding_prior"]
    return values


def settings_in_force(
    config: StudyConfig, source: str, *, is_dataset: bool = False
) -> dict[str, Any]:
    """A study's settings for reading, without those that it does not use.

    Args:
        config: The study.
        source: The click log, or `synthetic`.
        is_dataset: Whether the source was a dataset, prepared by options of its own.
    """
    settings: dict[str, Any] = as_json(config)
    for name in ("storage", "mlflow", "ray"):  # where things are is not a setting of the study
        del settings[name]
    data, oracle, search = settings["data"], settings["oracle"], settings["search"]
    del settings["retrain"]["workers"], search["workers"]
    data["source"] = source
    of_log, of_synthetic = (
        {"format", "layout", "users", "count", "split_seed", "max_values"},
        {"synthetic_rows", "synthetic_seed"},
    )
    unread = of_log | of_synthetic if is_dataset else of_synthetic
    for name in of_log if source == "synthetic" else unread:
        del data[name]
    for name in config.oracle.unread():
        del oracle[name]
    technology = config.hardware.technology
    if technology is not None and shipped_technology(technology.name) == technology:
        settings["hardware"]["technology"] = technology.name  # not where it is installed
    for name in config.search.unread():
        del search[name]
    if not search["initial"]:
        del search["initial"]
    return settings


def format_of(given: str) -> str:
    """The name of a public log, or the content of the schema: its path does not identify it."""
    return given if given in FORMATS else digest(Schema.from_toml(given).to_dict())


def digest_of(file: Path | None) -> str | None:
    """SHA-256 of a settings file; None without a file, which means the default one."""
    try:
        return None if file is None else sha256(file)
    except OSError as error:
        raise StudyError(f"{file}: expected a readable file, got: {error.strerror}") from error
