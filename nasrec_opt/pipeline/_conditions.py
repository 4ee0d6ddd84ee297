"""The conditions of a cost: the columns that an architecture reads, and the accelerator.

The figures of a genotype depend on both. A run stores its conditions in its results, so that
costing one of its models later gives the figures of its report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hw import Accelerator, Popularity, ReRAM, TechnologyFile, shipped_technology
from nasrec_opt._files import sha256
from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._schema import USUAL
from nasrec_opt.space import Genotype, SearchSpace

if TYPE_CHECKING:
    from nasrec_opt.data import Dataset

NUM_DENSE, NUM_SPARSE = 13, 26  # columns of Criteo's log


@dataclass(frozen=True, slots=True)
class Conditions:
    """Everything besides the genotype that a cost depends on.

    Args:
        features: The columns.
        technology: The accelerator's technology file.
        assumed: Whether the number of columns is assumed.
        balance: Whether dot products project their vectors (section 4.2).
        layer_norm: Whether models have layer norms.
        popularity: How often the log reads each embedding row, where some are kept on chip.
    """

    features: FeatureSpec
    technology: TechnologyFile
    assumed: bool = False
    balance: bool = True
    layer_norm: bool = True
    popularity: Popularity | None = None

    @property
    def of_model(self) -> dict[str, bool]:
        """What a genotype does not say of a model, as `lower` takes it."""
        return {"balance": self.balance, "layer_norm": self.layer_norm}

    @property
    def entry(self) -> dict[str, bool]:
        """What an entry of `results.json` states of a model; nothing of what is usual."""
        return {} if self.layer_norm else {"layer_norm": False}

    @property
    def accelerator(self) -> Accelerator:
        """The accelerator, before a genotype's accelerator genes configure it."""
        return with_popularity(self.technology.accelerator, self.popularity)

    def on(self, technology: Path | None) -> Conditions:
        """The same columns on another accelerator, if one is given."""
        if technology is None:
            return self
        return replace(self, technology=TechnologyFile.read(technology))

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON values, for a run's results."""
        values: dict[str, Any] = {
            "features": self.features.to_dict(),
            "technology": {"name": self.technology.name, "toml": self.technology.text},
        }
        if not self.balance:  # absent otherwise, as in older results
            values["balance"] = False
        if self.popularity is not None:
            values["popularity"] = asdict(self.popularity)
        return values | self.entry

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Conditions:
        """Inverse of `to_dict`."""
        technology, popularity = values["technology"], values.get("popularity")
        return cls(
            FeatureSpec.from_dict(values["features"]),
            TechnologyFile(str(technology["name"]), str(technology["toml"])),
            balance=bool(values.get("balance", True)),
            layer_norm=bool(values.get("layer_norm", True)),
            popularity=None if popularity is None else Popularity(**popularity),
        )

    def in_words(self) -> dict[str, Any]:
        """The conditions that a reader of the figures has to know, as JSON values."""
        technology = self.technology
        return {
            "num_dense": self.features.num_dense,
            "num_sparse": self.features.num_sparse,
            "embedding_dim": self.features.embedding_dim,
            "columns_are_assumed": self.assumed,
            "technology": technology.name,
            "technology_ships": technology.is_shipped,
            "accelerator": technology.kind,
            "nodes": list(technology.nodes),
        }


def assumed_conditions(
    technology: Path | None, num_dense: int | None = None, num_sparse: int | None = None
) -> Conditions:
    """The conditions of a genotype without a run: Criteo's columns, unless numbers are given.

    Args:
        technology: Technology TOML, or None for the default ReRAM accelerator.
        num_dense: Dense columns.
        num_sparse: Sparse columns; their vocabularies do not enter the cost.
    """
    features = FeatureSpec(
        NUM_DENSE if num_dense is None else num_dense,
        (1,) * (NUM_SPARSE if num_sparse is None else num_sparse),
    )
    is_assumed = num_dense is None or num_sparse is None
    return Conditions(features, TechnologyFile.read(technology), is_assumed)


def with_popularity(accelerator: Accelerator, popularity: Popularity | None) -> Accelerator:
    """An accelerator that knows how often embedding rows are read, if it can keep some on chip."""
    if popularity is None or not isinstance(accelerator, ReRAM):
        return accelerator
    return replace(accelerator, popularity=popularity)


def popularity_of(
    dataset: Dataset,
    accelerator: Accelerator,
    space: SearchSpace,
    genotypes: Iterable[Genotype] = (),
) -> Popularity | None:
    """Count how often each embedding row is read, if some accelerator keeps rows on chip.

    Args:
        dataset: The log.
        accelerator: Before accelerator genes configure it.
        space: Its genotypes may keep rows on chip.
        genotypes: Others that may.

    Raises:
        DataError: The files of the training rows are damaged.
    """
    if not isinstance(accelerator, ReRAM):
        return None
    sizes = [accelerator.technology.hot_rows.kib]
    sizes += space.hardware.hot_rows_kib if space.hardware else ()
    sizes += (gene.hot_rows_kib for genotype in genotypes if (gene := genotype.hardware))
    return Popularity.of(dataset.row_counts()) if any(sizes) else None


def conditions_of_study(
    config: StudyConfig, dataset: Dataset, *, balance: bool, genotypes: Iterable[Genotype] = ()
) -> Conditions:
    """The conditions of the models that a study trains.

    Args:
        config: The study.
        dataset: Its log.
        balance: Whether dot products project their vectors, where the study does not say.
        genotypes: Models that are not of its space.

    Raises:
        HwError: The study's technology file cannot be read.
    """
    model, technology = config.retrain.model, TechnologyFile.read(config.hardware.technology)
    space = config.space.build()
    return Conditions(
        dataset.features,
        technology,
        balance=balance if model.balance is None else model.balance,
        layer_norm=model.layer_norm,
        popularity=popularity_of(dataset, technology.accelerator, space, genotypes),
    )


def conditions_of_run(folder: RunFolder, technology: Path | None = None) -> Conditions:
    """The conditions of a run whose results do not state them, from its dataset and record.

    Args:
        folder: The run folder.
        technology: Technology TOML that replaces the run's own.

    Raises:
        StudyError: The folder holds no trained supernet, or the run's technology file is not known.
    """
    from nasrec_opt.data import Dataset

    record = folder.record()
    if "train" not in record:
        raise StudyError(
            f"{folder.path}: expected a run folder with a trained supernet, got none; its columns "
            "are not known yet"
        )
    data = USUAL["data"] | record["train"]["settings"]["data"]
    dataset = Dataset.open(
        folder.dataset, min_count=data["min_count"], binned_dense=data["binned_dense"]
    )
    searched = record.get("search", {}).get("settings", {})
    digest = searched.get("hardware", {}).get("technology")
    if technology is None and digest is not None:
        technology = _shipped_with(digest)
        if technology is None:
            raise StudyError(
                f"{folder.path}: expected the technology file of the run, which its folder does "
                "not hold; give it with --accelerator"
            )
    return Conditions(dataset.features, TechnologyFile.read(technology))


def _shipped_with(digest: str) -> Path | None:
    """The technology file that ships with these contents, if there is one."""
    default = shipped_technology("reram_32nm.toml")
    known = default.parent.glob("*.toml") if default else ()
    return next((file for file in known if sha256(file) == digest), None)
