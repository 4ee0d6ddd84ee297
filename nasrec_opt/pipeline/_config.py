"""The study file: TOML, read into a frozen dataclass."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hw import shipped_technology
from nasrec_opt._files import read_toml
from nasrec_opt._settings import build_settings, check_at_least
from nasrec_opt.errors import GenotypeError, StudyError
from nasrec_opt.options import (
    FORMATS,
    DataConfig,
    HardwareConfig,
    MLflowConfig,
    OracleConfig,
    RayConfig,
    RetrainStageConfig,
    SearchConfig,
    SpaceConfig,
    StorageConfig,
    TrainConfig,
)
from nasrec_opt.options._winners import on_recipe
from nasrec_opt.space import is_named


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyConfig:
    """A whole study file; docs/reference/study_file.md describes every key.

    Args:
        name: Name of the study and of its default run folder, `runs/<name>`.
        seed: Seed of everything: weights, order of rows, paths, trials, retraining.
        data: Table `[data]`: the click log and how it is read.
        space: Table `[space]`: the genotypes to search.
        supernet: Table `[supernet]`: how the supernet is trained.
        oracle: Table `[oracle]`: how trials are scored.
        hardware: Table `[hardware]`: the accelerator that the models run on.
        search: Table `[search]`: sampler, objectives, constraints and number of trials.
        retrain: Table `[retrain]`: how the best models are trained from scratch.
        storage: Table `[storage]`: where the Optuna study is.
        mlflow: Table `[mlflow]`: where runs are logged.
        ray: Table `[ray]`: the cluster that evaluates trials and trains models.

    Raises:
        StudyError: A value is out of range, or two values contradict each other.
    """

    name: str
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    space: SpaceConfig = field(default_factory=SpaceConfig)
    supernet: TrainConfig = field(default_factory=TrainConfig)
    oracle: OracleConfig = field(default_factory=OracleConfig)
    hardware: HardwareConfig = field(default_factory=HardwareConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    retrain: RetrainStageConfig = field(default_factory=RetrainStageConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    mlflow: MLflowConfig = field(default_factory=MLflowConfig)
    ray: RayConfig = field(default_factory=RayConfig)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            raise StudyError(f"name: expected letters, digits, '.', '_' or '-', got {self.name!r}")
        check_at_least("seed", self.seed, 0)
        point = self.mlflow.reference_point
        if point is not None and set(point) != set(self.search.objectives):
            raise StudyError(
                "[mlflow]: reference_point: expected a value for each of "
                f"{', '.join(self.search.objectives)}, got {', '.join(point) or 'none'}"
            )
        if self.oracle.racing is not None and "log_loss" not in self.search.objectives:
            raise StudyError(
                "[oracle]: rows: expected a number of rows where log_loss is no objective, got "
                "racing"
            )
        if self.search.pruner != "none" and self.oracle.trained(self.seed) is None:
            raise StudyError(
                "[search]: pruner: expected a fidelity that trains, 'fine_tune' or 'scratch', got "
                f"{self.oracle.fidelity!r}, which reports no intermediate log losses"
            )

    @property
    def has_search(self) -> bool:
        """Whether models are searched; otherwise `[retrain]` names them."""
        return not self.retrain.genotypes

    @classmethod
    def from_toml(cls, path: Path | str) -> StudyConfig:
        """Read a study file; paths in it are relative to its folder.

        Args:
            path: The study file.

        Returns:
            The study.

        Raises:
            StudyError: The file is missing, not TOML, or has an unknown key or a wrong value; or a
                stage has a seed of its own.
        """
        path = Path(path)
        values = read_toml(path, StudyError)
        values.setdefault("name", path.stem)
        _refuse_own_seeds(values, path)
        if "retrain" in values:
            values["retrain"] = on_recipe(values["retrain"])
        config = build_settings(cls, values, str(path))
        config = based(config, path.parent)
        technology = config.hardware.technology
        if technology is not None and not technology.exists():  # one beside the study comes first
            shipped = shipped_technology(Path(values["hardware"]["technology"])) or technology
            config = dataclasses.replace(config, hardware=HardwareConfig(technology=shipped))
        if config.space.file is None:
            try:
                config.space.build()
            except GenotypeError as error:
                raise StudyError(f"{path}: [space]: {error}") from error
        return config


def based(config: StudyConfig, base: Path) -> StudyConfig:
    """A study whose paths begin at a folder, unless they are absolute.

    Args:
        config: The study.
        base: The folder.
    """
    data, space, hardware = config.data, config.space, config.hardware
    search, ladder, retrain = config.search, config.search.ladder, config.retrain
    if data.source is not None:
        paths = (data.source,) if isinstance(data.source, Path) else data.source
        log = tuple(base / path for path in paths)
        data = dataclasses.replace(data, source=log if len(log) > 1 else log[0])
    if data.format not in FORMATS:
        data = dataclasses.replace(data, format=str(base / data.format))
    if data.users is not None:
        data = dataclasses.replace(data, users=base / data.users)
    if space.file is not None:
        space = dataclasses.replace(space, file=base / space.file)
    if hardware.technology is not None:
        hardware = dataclasses.replace(hardware, technology=base / hardware.technology)
    if ladder is not None:
        ladder = dataclasses.replace(ladder, known=_beside(base, ladder.known))
    search = dataclasses.replace(search, initial=_beside(base, search.initial), ladder=ladder)
    retrain = dataclasses.replace(retrain, genotypes=_beside(base, retrain.genotypes))
    return dataclasses.replace(
        config, data=data, space=space, hardware=hardware, search=search, retrain=retrain
    )


def _beside(base: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Genotypes that a study names; names of models that ship are no paths."""
    return tuple(name if is_named(name) else str(base / name) for name in names)


def _refuse_own_seeds(values: Mapping[str, Any], path: Path) -> None:
    """Refuse a seed of a single stage, which would be ignored."""
    for name in (
        "supernet",
        "oracle.adagrad",
        "oracle.fine_tune",
        "oracle.scratch",
        "retrain.model",
    ):
        table: Any = values
        for part in name.split("."):
            table = table.get(part) if isinstance(table, Mapping) else None
        if isinstance(table, Mapping) and "seed" in table:
            raise StudyError(
                f"{path}: [{name}]: expected the seed at the top of the file, since all stages "
                f"share it, got seed = {table['seed']!r} here"
            )
