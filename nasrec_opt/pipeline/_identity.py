"""Everything that the stages of a run depend on, as values; if they change, a stage runs again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from hw import shipped_technology
from nasrec_opt._files import sha256
from nasrec_opt.data import Schema
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._folder import RunFolder, digest, plain
from nasrec_opt.pipeline._initial import initial_genotypes
from nasrec_opt.pipeline._tables import OracleConfig
from nasrec_opt.space import SearchSpace

STAMP_BYTES = 1 << 20


def prepare_settings(config: StudyConfig, folder: RunFolder, source: Path | None) -> dict[str, Any]:
    """Everything that the dataset depends on.

    Args:
        config: The study.
        folder: The run folder.
        source: The click log; None means the log that the folder was prepared from, or else the
            synthetic one.
    """
    data = config.data
    previous = folder.record().get("prepare", {}).get("settings", {})
    name = "synthetic" if source is None else str(source.resolve())
    if previous and (source is None or is_same_log(previous, source)):
        name = previous["source"]  # where the log was when it was read
    settings: dict[str, Any] = {"source": name, "format": format_of(data.format)}
    if name == "synthetic":
        return settings | {"rows": data.synthetic_rows, "seed": data.synthetic_seed}
    # A prepared log is no longer needed.
    log = source or Path(name)
    content = stamp(log) if log.is_file() else previous.get("content")
    return settings | {"split_seed": data.split_seed, "content": content}


def is_same_log(settings: dict[str, Any], log: Path) -> bool:
    """Whether a folder was prepared from a log, which may have been moved or removed since.

    Args:
        settings: Settings of the stage that prepared it.
        log: The path that is given now; if the file is gone, its name decides.
    """
    then = str(settings["source"])
    if then == str(log.resolve()):
        return True
    if log.exists():
        return log.is_file() and settings.get("content") == stamp(log)
    return settings.get("content") is not None and Path(then).name == log.name


def baselines_settings(folder: RunFolder) -> dict[str, Any]:
    """Everything that the baselines depend on; they read a log in their own way.

    Args:
        folder: The run folder, with the prepared log.
    """
    return {"prepare": folder.record().get("prepare", {}).get("settings")}


def train_settings(config: StudyConfig, folder: RunFolder, space: SearchSpace) -> dict[str, Any]:
    """Everything that the supernet's weights depend on."""
    return {
        "space": space.to_dict(),
        "supernet": config.supernet.identity(),
        "min_count": config.data.min_count,
        "binned_dense": config.data.binned_dense,
        "seed": config.seed,
        "prepare": folder.record().get("prepare", {}).get("settings"),
    }


def probe_settings(config: StudyConfig, folder: RunFolder, space: SearchSpace) -> dict[str, Any]:
    """Everything that the models trained before the supernet depend on."""
    shared = train_settings(config, folder, space)
    del shared["supernet"]
    settings = shared | {
        "ladder": plain(config.search.ladder),
        "model": plain(config.retrain.model),
    }
    if config.retrain.ensemble == 1:
        return settings
    return settings | {
        "ensemble": config.retrain.ensemble,
        "constraints": dict(config.search.constraints),
        "hardware": {"technology": digest_of(config.hardware.technology)},
    }


def search_settings(config: StudyConfig, folder: RunFolder, space: SearchSpace) -> dict[str, Any]:
    """Everything that the search's trials depend on."""
    pruner, pool = config.search.pruner, config.search.pool_bayes
    initial, ladder = initial_genotypes(config.search, space), config.search.ladder
    settings = {
        "train": digest(train_settings(config, folder, space)),
        "oracle": _oracle_settings(config.oracle),
        "hardware": {"technology": digest_of(config.hardware.technology)},
        "sampler": config.search.sampler,
        "evolution": plain(config.search.evolution),
        **({"pool_bayes": plain(pool)} if config.search.sampler == "pool_bayes" else {}),
        **({"ax": plain(config.search.ax)} if config.search.engine == "ax" else {}),
        "objectives": list(config.search.objectives),
        "constraints": plain(config.search.constraints),
        **({"pruner": pruner} if pruner != "none" else {}),
        **({"initial": [genotype.to_json() for genotype in initial]} if initial else {}),
        # Which ones they are follows from the space, the log and the seed.
        **({"probes": ladder.probes} if ladder and ladder.probes else {}),
    }
    return without_unread(settings)


def without_unread(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a search without the options of samplers that it does not use.

    Args:
        settings: From `search_settings`; older versions stored such options, too.
    """
    is_read = settings["sampler"] == "evolution" and "ax" not in settings
    return {name: v for name, v in settings.items() if is_read or name != "evolution"}


def _oracle_settings(oracle: OracleConfig) -> dict[str, Any]:
    """Everything that the oracle's answers depend on, without newer options at their default."""
    values = {name: value for name, value in plain(oracle).items() if name not in oracle.unread()}
    if values["bits"] == "float":
        del values["bits"]  # as in records from before the option, when bits were ignored
    if values.get("last_layer") == "newton":
        del values["last_layer"]
    if "fit_rows" in values and values["fit_rows"] is None:
        del values["fit_rows"]
    trained = {"fine_tune": oracle.fine_tune, "scratch": oracle.scratch}.get(oracle.fidelity)
    if trained is not None:
        usual = plain(type(trained)())
        table = values[oracle.fidelity]
        if "embedding_rate" in table and table["embedding_rate"] == table["learning_rate"]:
            table["embedding_rate"] = None
        later = {name: usual[name] for name in ("epsilon", "clip_norm", "rate_warmup_fraction")}
        for name, before in (later | {"embedding_rate": None, "embedding_prior": 0.0}).items():
            if name in table and table[name] == before:
                del table[name]
    return values


def finished_search_settings(
    config: StudyConfig, folder: RunFolder, space: SearchSpace
) -> dict[str, Any]:
    """Everything that a finished search depends on: its trials, and their number."""
    return search_settings(config, folder, space) | {"n_trials": config.search.n_trials}


def retrain_settings(config: StudyConfig, folder: RunFolder, space: SearchSpace) -> dict[str, Any]:
    """Everything that the retrained models depend on, without newer options at their default."""
    search, retrain = finished_search_settings(config, folder, space), plain(config.retrain)
    del retrain["workers"]  # changes no model
    for name in ("seeds", "ensemble"):
        if retrain[name] == 1:
            del retrain[name]
    ladder = config.search.ladder
    return {
        "search": digest(search),
        "retrain": retrain,
        "winner": "by validation rows",  # test rows decided in older versions
        **({} if ladder is None else {"ladder": plain(ladder)}),
    }


def ladder_settings(config: StudyConfig, folder: RunFolder, space: SearchSpace) -> dict[str, Any]:
    """Everything that the climb of searched models depends on."""
    return {
        "search": digest(finished_search_settings(config, folder, space)),
        "ladder": plain(config.search.ladder),
        "finalists": config.retrain.top,
        "model": plain(config.retrain.model),
    }


def settings_in_force(config: StudyConfig, source: str) -> dict[str, Any]:
    """A study's settings for reading, without those that it does not use.

    Args:
        config: The study.
        source: The click log, or `synthetic`.
    """
    settings: dict[str, Any] = plain(config)
    del settings["mlflow"]  # where runs are logged is not a setting of the study
    data, oracle, search = settings["data"], settings["oracle"], settings["search"]
    del settings["retrain"]["workers"]
    data["source"] = source
    is_synthetic = source == "synthetic"
    for name in ("format", "split_seed") if is_synthetic else ("synthetic_rows", "synthetic_seed"):
        del data[name]
    for name in config.oracle.unread():
        del oracle[name]
    technology = config.hardware.technology
    if technology is not None and shipped_technology(technology.name) == technology:
        settings["hardware"]["technology"] = technology.name  # not where it is installed
    proposer = "ax" if config.search.engine == "ax" else config.search.sampler
    for name in {"evolution", "pool_bayes", "ax"} - {proposer}:
        del search[name]
    if proposer == "ax":
        del search["sampler"]
    if not search["initial"]:
        del search["initial"]
    return settings


def format_of(given: str) -> str:
    """`criteo`, or the content of the schema: its path does not identify it."""
    return given if given == "criteo" else digest(Schema.from_toml(given).to_dict())


def digest_of(file: Path | None) -> str | None:
    """SHA-256 of a settings file; None without a file, which means the default one."""
    try:
        return None if file is None else sha256(file)
    except OSError as error:
        raise StudyError(f"{file}: expected a readable file, got: {error.strerror}") from error


def stamp(log: Path) -> str:
    """A digest of a log's size, beginning and end; cheap for any size."""
    size = log.stat().st_size
    found = hashlib.sha256(str(size).encode())
    with log.open("rb") as stream:
        found.update(stream.read(STAMP_BYTES))
        stream.seek(max(0, size - STAMP_BYTES))
        found.update(stream.read(STAMP_BYTES))
    return found.hexdigest()[:16]
