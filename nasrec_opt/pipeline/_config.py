"""A study file: TOML that people write, a frozen dataclass from the door on."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hw import shipped_technology
from nasrec_opt._files import read_toml
from nasrec_opt._settings import build_settings
from nasrec_opt.ax import Strategy
from nasrec_opt.errors import GenotypeError, StudyError
from nasrec_opt.ladder import LadderConfig
from nasrec_opt.objective import METRICS
from nasrec_opt.oracle import AdagradFit, FineTune, RankedBits, Scratch
from nasrec_opt.retrain import RetrainConfig
from nasrec_opt.samplers import children_bred, evolution_sizes, pool_sizes
from nasrec_opt.space import SearchSpace
from nasrec_opt.supernet import PrecisionChoice, TrainConfig

PUBLISHED = "published:"  # before the name of a model of the paper, in place of a file


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
            _at_least("min_count", self.min_count, 1)
        _at_least("synthetic_rows", self.synthetic_rows, 100)
        _at_least("split_seed", self.split_seed, 0)
        _at_least("synthetic_seed", self.synthetic_seed, 0)


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
    bits: tuple[int | tuple[int, ...], ...] | None = None
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
class EvolutionConfig:
    """`[search.evolution]`: options of regularized evolution alone (paper, section 5.1).

    See `RegularizedEvolutionSampler`.
    """

    population_size: int | None = None
    tournament_size: int | None = None
    children_per_round: int = 8
    tie_break: Literal["crowding", "hypervolume", "none"] = "hypervolume"
    archive: bool = False
    mutations: int = 1
    decay_rounds: int | None = None
    screening: int | None = None

    def __post_init__(self) -> None:
        for name in ("children_per_round", "mutations"):
            _at_least(name, getattr(self, name), 1)
        for name in ("population_size", "tournament_size", "decay_rounds", "screening"):
            if getattr(self, name) is not None:
                _at_least(name, getattr(self, name), 1)
        # What follows from the sizes that were given is written down with them.
        sizes = evolution_sizes(self.population_size, self.tournament_size)
        for name, size in zip(("population_size", "tournament_size"), sizes or (), strict=False):
            object.__setattr__(self, name, size)
        object.__setattr__(self, "screening", children_bred(self.screening, sizes))


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolBayesConfig:
    """`[search.pool_bayes]`: options of `sampler = "pool_bayes"` alone; see `PoolBayesSampler`."""

    num_startup: int = 32
    pool_size: int | None = None
    batch_size: int | None = None
    max_observed: int = 300

    def __post_init__(self) -> None:
        for name in ("num_startup", "max_observed"):
            _at_least(name, getattr(self, name), 1)
        for name in ("pool_size", "batch_size"):
            if getattr(self, name) is not None:
                _at_least(name, getattr(self, name), 1)
        sizes = pool_sizes(self.pool_size, self.batch_size)
        for name, size in zip(("pool_size", "batch_size"), sizes, strict=True):
            object.__setattr__(self, name, size)


@dataclass(frozen=True, slots=True, kw_only=True)
class AxConfig:
    """`[search.ax]`: options of `engine = "ax"` alone.

    Args:
        strategy: `pool_bayes`: BoTorch picks from what evolution proposes; `ax`: Ax's default.
    """

    strategy: Strategy = "pool_bayes"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchConfig:
    """`[search]`: the Optuna study.

    Args:
        engine: Whether one of the samplers proposes trials, or Ax.
        sampler: Who proposes trials, of `engine = "optuna"`.
        n_trials: Trials of the finished study.
        objectives: What is minimised, in order.
        constraints: Largest value allowed, by metric.
        pruner: Who stops trials on the way, where log loss is the only objective.
        initial: Genotypes that are the first trials: JSON files, or `published:` and the name of a
            model of the paper.
        evolution: Options of `sampler = "evolution"`.
        pool_bayes: Options of `sampler = "pool_bayes"`.
        ax: Options of `engine = "ax"`.
        ladder: How searched models are trained for a while before some are retrained, or None for
            winners by the search's scores alone.
    """

    engine: Literal["optuna", "ax"] = "optuna"
    sampler: Literal["evolution", "pool_bayes", "nsga2", "nsga3", "tpe", "gp", "random"] = (
        "evolution"
    )
    n_trials: int = 256
    objectives: tuple[str, ...] = ("log_loss", "latency_us", "energy_uj")
    constraints: Mapping[str, float] = field(default_factory=dict)
    pruner: Literal["none", "median", "hyperband"] = "none"
    initial: tuple[str, ...] = ()
    evolution: EvolutionConfig = field(default_factory=EvolutionConfig)
    pool_bayes: PoolBayesConfig = field(default_factory=PoolBayesConfig)
    ax: AxConfig = field(default_factory=AxConfig)
    ladder: LadderConfig | None = None

    def __post_init__(self) -> None:
        _at_least("n_trials", self.n_trials, 1)
        if self.engine == "ax" and self.sampler != "evolution":
            raise StudyError(
                'sampler: expected none beside engine = "ax", which proposes trials itself, got '
                f"{self.sampler!r}"
            )
        for key in ("objectives", "constraints"):
            for name in getattr(self, key):
                if name not in METRICS:
                    known = ", ".join(METRICS)
                    raise StudyError(f"{key}: expected metrics of {known}, got {name!r}")
        for name, largest in self.constraints.items():
            if not math.isfinite(largest):
                raise StudyError(f"constraints: {name}: expected a finite number, got {largest}")
        if len(set(self.objectives)) != len(self.objectives) or not self.objectives:
            raise StudyError(f"objectives: expected distinct metrics, got {self.objectives}")
        if len(set(self.initial)) > self.n_trials:
            raise StudyError(
                f"initial: expected at most the {self.n_trials} genotypes of n_trials, got "
                f"{len(set(self.initial))}"
            )
        probes = self.ladder.probes if self.ladder else 0
        if probes + len(set(self.initial)) > self.n_trials:
            raise StudyError(
                f"probes: expected, with those of initial, at most the {self.n_trials} genotypes "
                f"of n_trials, got {probes}"
            )
        if self.pruner != "none" and self.objectives != ("log_loss",):
            raise StudyError(
                "pruner: expected log_loss as the only objective, which is what trials are pruned "
                f"by, got {', '.join(self.objectives)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class OracleConfig:
    """`[oracle]`: how a trial's log loss is found.

    Args:
        rows: Number of validation rows of a query, or None for all of them.
        fidelity: `supernet`: weights as they are; `last_layer`: final layer fitted again;
            `fine_tune`: the subnet trained for some steps more; `scratch`: from fresh weights.
        last_layer: How the final layer is fitted, of `fidelity = "last_layer"`: `newton`: to the
            optimum on 8,192 training rows; `folds`: likewise on three quarters of the validation
            rows, to predict the fourth; `adagrad`: the published 500 steps on fresh rows.
        fit_rows: Rows of that fit, evenly spread: training rows of `newton`, validation rows of
            `folds`; None means 8,192, or 16,384. `adagrad` has options of its own.
        precision: Of products and block outputs where weights are shared; `auto` is `bfloat16`
            where the device has instructions for it and nothing is rounded to bits, else `float32`.
        bits: `genotype`: every model is scored at its bits; `float`: models of 8 bits are ranked
            in floating point, and those that are retrained are scored at their bits as well.
        adagrad: Options of `last_layer = "adagrad"`.
        fine_tune: Options of `fidelity = "fine_tune"`.
        scratch: Options of `fidelity = "scratch"`.
    """

    rows: int | None = None
    fidelity: Literal["supernet", "last_layer", "fine_tune", "scratch"] = "supernet"
    last_layer: Literal["newton", "folds", "adagrad"] = "newton"
    fit_rows: int | None = None
    precision: PrecisionChoice = "auto"
    bits: RankedBits = "genotype"
    adagrad: AdagradFit = field(default_factory=AdagradFit)
    fine_tune: FineTune = field(default_factory=FineTune)
    scratch: Scratch = field(default_factory=Scratch)

    def __post_init__(self) -> None:
        if self.fit_rows is not None and self.fit_rows < 1:
            raise StudyError(f"fit_rows: expected 1 or more, got {self.fit_rows}")

    def trained(self, seed: int) -> FineTune | Scratch | None:
        """How subnets are trained before they are scored, or None where they are not.

        Args:
            seed: Of that training.
        """
        how = {"fine_tune": self.fine_tune, "scratch": self.scratch}.get(self.fidelity)
        return None if how is None else dataclasses.replace(how, seed=seed)

    def fitted(self, seed: int) -> Literal["newton", "folds"] | AdagradFit:
        """How the final layer is fitted, where it is.

        Args:
            seed: Of the order of rows.
        """
        if self.last_layer != "adagrad":
            return self.last_layer
        return dataclasses.replace(self.adagrad, seed=seed)

    def unread(self) -> set[str]:
        """Names of the options that change no answer at this fidelity."""
        fits = self.fidelity == "last_layer"
        names = {"fine_tune", "scratch"} - {self.fidelity}
        names |= set() if fits else {"last_layer"}
        is_adagrad = fits and self.last_layer == "adagrad"
        names |= {"fit_rows"} if is_adagrad or not fits else set()
        return names | (set() if is_adagrad else {"adagrad"})


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
        model: Training of one model.
    """

    top: int = 4
    seeds: int = 1
    model: RetrainConfig = field(default_factory=RetrainConfig)

    def __post_init__(self) -> None:
        _at_least("top", self.top, 1)
        _at_least("seeds", self.seeds, 1)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyConfig:
    """A whole study file.

    Args:
        name: Name of the study and of its default run folder.
        seed: The one seed; every stage derives its own from it.
        data: See `DataConfig`; so on for the other tables.
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
    mlflow: MLflowConfig = field(default_factory=MLflowConfig)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            raise StudyError(f"name: expected letters, digits, '.', '_' or '-', got {self.name!r}")
        _at_least("seed", self.seed, 0)
        point = self.mlflow.reference_point
        if point is not None and set(point) != set(self.search.objectives):
            raise StudyError(
                "[mlflow]: reference_point: expected a value for each of "
                f"{', '.join(self.search.objectives)}, got {', '.join(point) or 'none'}"
            )
        if self.search.pruner != "none" and self.oracle.trained(self.seed) is None:
            raise StudyError(
                "[search]: pruner: expected a fidelity that trains, 'fine_tune' or 'scratch', got "
                f"{self.oracle.fidelity!r}, which has no log losses on the way"
            )

    @classmethod
    def from_toml(cls, path: Path | str) -> StudyConfig:
        """Read a study file; paths in it are relative to its folder.

        Raises:
            StudyError: The file is missing, not TOML, or has an unknown key or a wrong value; or a
                stage has a seed of its own.
        """
        path = Path(path)
        values = read_toml(path, StudyError)
        values.setdefault("name", path.stem)
        _refuse_own_seeds(values, path)
        config = build_settings(cls, values, str(path))
        base = path.parent
        data, space, hardware = config.data, config.space, config.hardware
        if data.source is not None:
            data = dataclasses.replace(data, source=base / data.source)
        if data.format != "criteo":
            data = dataclasses.replace(data, format=str(base / data.format))
        if space.file is not None:
            space = dataclasses.replace(space, file=base / space.file)
        if hardware.technology is not None:
            technology = base / hardware.technology
            if not technology.exists():  # a file beside the study goes before one that ships
                technology = shipped_technology(hardware.technology) or technology
            hardware = dataclasses.replace(hardware, technology=technology)
        if space.file is None:
            try:
                space.build()
            except GenotypeError as error:
                raise StudyError(f"{path}: [space]: {error}") from error
        search = dataclasses.replace(
            config.search,
            initial=tuple(
                name if name.startswith(PUBLISHED) else str(base / name)
                for name in config.search.initial
            ),
        )
        return dataclasses.replace(config, data=data, space=space, hardware=hardware, search=search)


def _refuse_own_seeds(values: Mapping[str, Any], path: Path) -> None:
    """A seed that a stage would not listen to is an error, not a surprise."""
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
                f"{path}: [{name}]: expected the seed at the top of the file, where it serves all "
                f"stages, got seed = {table['seed']!r} here"
            )


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise StudyError(f"{name}: expected {least} or more, got {value}")
