"""The tables of a study file but `[search]` and those that belong to their packages."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nasrec_opt._settings import check_at_least
from nasrec_opt.errors import StudyError
from nasrec_opt.options import OracleOptions, PrecisionChoice, RetrainConfig
from nasrec_opt.space import SearchSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """`[data]`: which log, and how it is read.

    Args:
        source: The click log; None means the synthetic log, unless `--data` names one.
        format: `criteo`, or the path of a schema TOML.
        split_seed: Seed of the 80/10/10 split.
        min_count: Values seen less often in the training rows share the id of rare values; None =
            as the number of training rows wants it.
        binned_dense: Whether dense columns are read as binned sparse columns as well.
        synthetic_rows: Rows of the synthetic log.
        synthetic_seed: Seed of the synthetic log.
    """

    source: Path | None = None
    format: str = "criteo"
    split_seed: int = 0
    min_count: int | None = None
    binned_dense: bool = False
    synthetic_rows: int = 120_000
    synthetic_seed: int = 0

    def __post_init__(self) -> None:
        if self.min_count is not None:
            check_at_least("min_count", self.min_count, 1)
        check_at_least("synthetic_rows", self.synthetic_rows, 100)
        check_at_least("split_seed", self.split_seed, 0)
        check_at_least("synthetic_seed", self.synthetic_seed, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceConfig:
    """`[space]`: a preset with its options, or a file of the user's own.

    Args:
        preset: Name of the preset.
        file: TOML of a custom space; it replaces everything else here.
        num_blocks: Number of choice blocks.
        codesign: Whether bits and accelerator genes are searched as well.
        multi_operator: Whether a branch of a block may hold several operators.
        max_inputs: Maximum number of inputs of a branch, or None for any number.
        bits: Bits of an operator to choose from, each 4 to 8, `[weights, activations]`, or 32 for
            floating point; None for those of the preset.
        wide: Whether models have a first-order term, a weight for each value: `[false]` for none,
            as in the paper, `[false, true]` to search it, `[true]` for all.
    """

    preset: Literal["nasrec_small", "nasrec_full", "codesign"] = "nasrec_small"
    file: Path | None = None
    num_blocks: int = 7
    codesign: bool = False
    multi_operator: bool = False
    max_inputs: int | None = None
    bits: tuple[int | tuple[int, int], ...] | None = None
    wide: tuple[bool, ...] = (False,)

    def build(self) -> SearchSpace:
        """The search space that the table describes."""
        if self.file is not None:
            return SearchSpace.from_toml(self.file)
        options: dict[str, Any] = {
            "num_blocks": self.num_blocks,
            "multi_operator": self.multi_operator,
            "max_inputs": self.max_inputs,
            "wide": self.wide,
        }
        if self.preset != "codesign":
            options["codesign"] = self.codesign
        space: SearchSpace = getattr(SearchSpace, self.preset)(**options)
        return space if self.bits is None else dataclasses.replace(space, bits=self.bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class OracleConfig(OracleOptions):
    """`[oracle]`: how a trial's log loss is found; see `OracleOptions`, whose options these are.

    One default differs: a run folder records which precision `auto` came to, a script does not.
    """

    precision: PrecisionChoice = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareConfig:
    """`[hardware]`: the accelerator.

    Args:
        technology: Technology TOML of a ReRAM, RecNMP or CPU accelerator, or the name of one that
            ships, such as `cpu.toml`; None is the ReRAM accelerator that ships.
    """

    technology: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainStageConfig:
    """`[retrain]`: which winners are trained from scratch, and how (`[retrain.model]`).

    Args:
        top: How many searched architectures, best validation log loss first, or finalists of the
            ladder.
        seeds: Models of each architecture, alike but for their seeds; the best architecture is the
            one whose models are best on validation in the mean.
        ensemble: How many trained models may be averaged to one more competitor, each of which has
            to lower the validation log loss; 1 means none.
        workers: Models that are trained at once, each in a process of its own; None for as many as
            there are cores, 8 at most, and one where there is a GPU. It changes no model.
        model: Training of one model.
    """

    top: int = 4
    seeds: int = 1
    ensemble: int = 1
    workers: int | None = None
    model: RetrainConfig = field(default_factory=RetrainConfig)

    def __post_init__(self) -> None:
        check_at_least("top", self.top, 1)
        check_at_least("seeds", self.seeds, 1)
        check_at_least("ensemble", self.ensemble, 1)
        if self.workers is not None:
            check_at_least("workers", self.workers, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class MLflowConfig:
    """`[mlflow]`: where runs are logged; no stage depends on it.

    Args:
        uri: Tracking URI, for example of a company's server, whose artifact store is used as well;
            None means `mlflow.db` in the run folder. Credentials come from MLflow's own environment
            variables.
        experiment: Name of the experiment; None means the study's.
        tags: Tags of all runs.
        reference_point: Of the hypervolume, a value for each objective; None means the one of the
            experiment, which its first study sets.
    """

    uri: str | None = None
    experiment: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    reference_point: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if self.uri is not None and "://" not in self.uri and self.uri != "databricks":
            raise StudyError(
                "uri: expected the address of an MLflow store, such as "
                f"'http://mlflow.example:5000', got {self.uri!r}"
            )
        if self.experiment == "":
            raise StudyError("experiment: expected a name, got an empty one")
        for name, value in (self.reference_point or {}).items():
            if not math.isfinite(value):
                raise StudyError(f"reference_point: {name}: expected a finite number, got {value}")
