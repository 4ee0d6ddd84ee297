"""How a run writes down what its stages depend on, and how older versions wrote it.

A stage's settings are the tables of the study file that it reads, as far as they differ from the
defaults, with the number of this scheme. A later version that adds a key finds in an old folder
what it would write itself. One that changes a default, or the scheme, counts `SCHEMA` up and says
in `_CONVERSIONS` how the settings of the scheme before become its own.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nasrec_opt.errors import StudyError
from nasrec_opt.options import (
    DataConfig,
    HardwareConfig,
    LadderConfig,
    OracleConfig,
    RetrainStageConfig,
    SearchConfig,
    TrainConfig,
    differences,
    json_values,
)
from nasrec_opt.space import SearchSpace

SCHEMA = 2
USUAL: dict[str, Any] = {
    "data": json_values(DataConfig()),
    "space": {"wide": [False], **SearchSpace().to_dict()},
    "supernet": json_values(TrainConfig()),
    "oracle": json_values(OracleConfig()),
    "hardware": json_values(HardwareConfig()),
    "search": json_values(SearchConfig()) | {"probes": 0, "known": []},
    "ladder": json_values(LadderConfig()),
    "retrain": json_values(RetrainStageConfig()),
}

Settings = dict[str, Any]
Renamed = Mapping[str, str]  # digests of settings as they were written: as they are now


def stated(facts: Mapping[str, Any], **tables: Mapping[str, Any]) -> Settings:
    """Settings of a stage.

    Args:
        facts: Whatever else the stage depends on, as JSON values.
        tables: Tables of the study file with the keys that the stage reads.
    """
    found = {name: differences(values, USUAL[name]) for name, values in tables.items()}
    return {"schema": SCHEMA, **facts, **{name: table for name, table in found.items() if table}}


def as_json(value: Any) -> Any:
    """Dataclasses, tuples and paths as the JSON values they become on disk."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): as_json(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


def digest(value: Any) -> str:
    """Sixteen hexadecimal digits that change with any setting in `value`."""
    text = json.dumps(as_json(value), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def first_difference(then: Any, now: Any, key: str = "") -> tuple[str, Any, Any]:
    """The first setting that differs, as `(key, then, now)`; one that is not stated is the default.

    Args:
        then: Settings of a stage.
        now: Others of the same stage.
        key: What both are the value of, with dots.
    """
    if isinstance(then, dict) and isinstance(now, dict):
        for name in sorted({*then, *now}):
            if then.get(name) != now.get(name):
                inner = f"{key}.{name}" if key else name
                usual = _usual(inner)
                return first_difference(then.get(name, usual), now.get(name, usual), inner)
    return key, then, now


def upgraded_record(
    record: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[str, dict[str, Any]], Renamed]:
    """The finished stages of a folder as this version writes them.

    Args:
        record: By stage, as `run.json` has it.

    Returns:
        The same with settings of this scheme, and what became of their digests.

    Raises:
        StudyError: A newer version has written them.
    """
    found: dict[str, dict[str, Any]] = {name: dict(entry) for name, entry in record.items()}
    renamed: dict[str, str] = {}
    for stage in sorted(record, key=_order):
        entry, then = found[stage], record[stage]["settings"]
        now = upgraded(stage.partition(" ")[0], then, renamed)
        if now != then:
            # Kept with the stage: studies, and stages that are done, still name it by the old ones.
            entry |= {"settings": now, "was": [*entry.get("was", []), digest(then)]}
        renamed |= dict.fromkeys(entry.get("was", []), digest(now))
    return found, renamed


def upgraded(stage: str, settings: Any, renamed: Renamed) -> Any:
    """Settings of a stage as this version writes them; what is none of ours stays as it is.

    Args:
        stage: Its name.
        settings: As some version wrote them.
        renamed: Digests of the settings of the stages before.

    Raises:
        StudyError: A newer version wrote them.
    """
    if stage not in _CONVERSIONS or not isinstance(settings, dict):
        return settings  # of a stage that is not ours
    schema = settings.get("schema", 1)
    if not isinstance(schema, int) or schema > SCHEMA:
        raise StudyError(
            f"{stage}: its settings were written by a newer version (scheme {schema!r}, and this "
            f"one knows up to {SCHEMA}): expected nasrec-opt as new as that one, or another --out"
        )
    if schema == SCHEMA:
        return settings
    try:
        return _CONVERSIONS[stage](settings, renamed)
    except (KeyError, TypeError, AttributeError):
        return settings  # damaged, or before scheme 1: the stage compares it, and says so


def ladder_read(values: Mapping[str, Any]) -> Settings:
    """What a climb reads of `[search.ladder]`.

    Args:
        values: The table.
    """
    unread = {"known"}  # they are among the search's first trials
    if values["models"] is not None:
        unread.add("share")
    return {name: value for name, value in values.items() if name not in unread}


def _usual(key: str) -> Any:
    """The default of a key with dots, or None."""
    value: Any = USUAL
    for name in key.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


ORDER = (
    "prepare",
    "baselines",
    "probe",
    "train",
    "search",
    "ladder",
    "retrain",
    "register",
    "report",
)


def _order(stage: str) -> int:
    name = stage.partition(" ")[0]
    return ORDER.index(name) if name in ORDER else len(ORDER)


def _prepare(then: Settings, _: Renamed) -> Settings:
    if then["source"] == "synthetic":
        data = {"synthetic_rows": then["rows"], "synthetic_seed": then["seed"]}
        return stated({"source": "synthetic"}, data=data)
    data = {"format": then["format"], "split_seed": then["split_seed"]}
    return stated({"source": then["source"], "content": then["content"]}, data=data)


def _baselines(then: Settings, renamed: Renamed) -> Settings:
    return stated({"prepare": upgraded("prepare", then["prepare"], renamed)})


def _shared(then: Settings, renamed: Renamed) -> tuple[Settings, Settings]:
    """Facts and tables of the stages that train on the log."""
    facts = {"seed": then["seed"], "prepare": upgraded("prepare", then["prepare"], renamed)}
    data = {name: then[name] for name in ("min_count", "binned_dense")}
    return facts, {"space": then["space"], "data": data}


def _train(then: Settings, renamed: Renamed) -> Settings:
    facts, tables = _shared(then, renamed)
    supernet = dict(then["supernet"])
    if supernet["path_sampling"] == "single-single":
        del supernet["connections"]
    return stated(facts, supernet=supernet, **tables)


def _probe(then: Settings, renamed: Renamed) -> Settings:
    facts, tables = _shared(then, renamed)
    ladder = {name: then["ladder"][name] for name in ("probes", "epochs")}
    retrain = {"model": then["model"]}
    if "ensemble" in then:
        retrain["ensemble"] = then["ensemble"]
        tables |= {
            "search": {"constraints": then["constraints"]},
            "hardware": then["hardware"],
        }
    return stated(facts, ladder=ladder, retrain=retrain, **tables)


def _search(then: Settings, renamed: Renamed) -> Settings:
    facts = {"train": renamed.get(then["train"], then["train"])}
    facts |= {"n_trials": then["n_trials"]} if "n_trials" in then else {}
    names = ("objectives", "constraints", "pruner", "initial", "probes")
    search = {name: then[name] for name in names if name in then}
    if "ax" in then:
        search |= {"engine": "ax", "ax": then["ax"]}
    else:
        sampler = then["sampler"]
        search |= {"sampler": sampler} | ({sampler: then[sampler]} if sampler in then else {})
    oracle = {"bits": "float", **then["oracle"]}  # which was not written down
    if oracle["fidelity"] in ("fine_tune", "scratch"):
        oracle.pop("precision", None)
    return stated(facts, oracle=oracle, hardware=then["hardware"], search=search)


def _ladder(then: Settings, renamed: Renamed) -> Settings:
    return stated(
        {"search": renamed.get(then["search"], then["search"])},
        ladder=ladder_read(then["ladder"]),
        retrain={"top": then["finalists"], "model": then["model"]},
    )


def _retrain(then: Settings, renamed: Renamed) -> Settings:
    if then["winner"] != "by validation rows":
        return then  # its results are written anew
    facts: Settings = {"search": renamed.get(then["search"], then["search"])}
    if "ladder" in then:
        facts["ladder"] = differences(ladder_read(then["ladder"]), USUAL["ladder"])
    return stated(facts, retrain=then["retrain"])


_CONVERSIONS: Mapping[str, Callable[[Settings, Renamed], Settings]] = {
    "prepare": _prepare,
    "baselines": _baselines,
    "probe": _probe,
    "train": _train,
    "search": _search,
    "ladder": _ladder,
    "retrain": _retrain,
}
