"""What a study of rankings is about: the log, the space, the subnets, and how they are trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nasrec_opt._files import read_json, write_json
from nasrec_opt._weights import refuse_weights
from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.retrain import RetrainConfig
from nasrec_opt.space import Genotype, SearchSpace
from nasrec_opt.supernet import SingleOperatorAnyConnection

FILE = "setup.json"
MIN_COUNT = 4
GROWING = ("num_subnets", "num_repeated")  # more of them change no result that is there
# Where subnets are drawn from by default: the operators and connections of NASRec-Full, with fewer
# blocks and widths, as the paper's own sample of 100 subnets has them (section 6.3), in floating
# point.
SPACE = SearchSpace(
    name="ranking",
    num_blocks=3,
    dense_widths=(16, 32, 64, 128),
    sparse_widths=(16, 32),
    bits=(32,),
)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """All that the results of a folder depend on.

    Args:
        source: Where the log comes from: a file, a prepared folder, or `synthetic` with its rows.
        dataset: Folder of the prepared log.
        fingerprint: Of the log, as `Dataset.fingerprint` has it.
        space: The space, as `SearchSpace.to_dict` has it.
        num_subnets: Subnets that are trained from scratch and scored.
        num_repeated: The first of them that are trained with a second seed as well.
        seed: Seed of everything.
        train: Options of `TrainConfig` for every supernet.
        truth: Options of `RetrainConfig` for every training from scratch.
    """

    source: str
    dataset: str
    fingerprint: str
    space: dict[str, Any]
    num_subnets: int
    num_repeated: int
    seed: int
    train: dict[str, Any]
    truth: dict[str, Any]

    def __post_init__(self) -> None:
        if self.num_subnets < 4:  # the better half of fewer has no ranking
            raise StudyError(f"subnets: expected 4 or more, got {self.num_subnets}")
        if not 0 <= self.num_repeated <= self.num_subnets:
            raise StudyError(
                f"repeated: expected 0 to {self.num_subnets}, the subnets, got {self.num_repeated}"
            )

    @classmethod
    def load(cls, folder: Path) -> Setup:
        """Read what `keep` wrote.

        Raises:
            StudyError: The folder holds no study of rankings.
        """
        file = folder / FILE
        try:
            return cls(**read_json(file))
        except (OSError, ValueError, TypeError) as error:
            raise StudyError(
                f"{file}: expected the setup of a ranking study, got: {error}"
            ) from error

    def keep(self, folder: Path) -> None:
        """Write the setup into the folder of its results.

        A folder may gain subnets and second seeds: those that it has stay as they are.

        Raises:
            StudyError: The folder holds results of another setup, or of more subnets.
        """
        if not (folder / FILE).exists():
            write_json(folder / FILE, asdict(self))
            return
        before: Mapping[str, Any] = asdict(self.load(folder))
        for name, value in json.loads(json.dumps(asdict(self))).items():
            if before[name] != value and not (name in GROWING and value > before[name]):
                raise StudyError(
                    f"{folder}: holds results of another setup: {name} was {before[name]}, is "
                    f"{value} now; name another folder"
                )
        write_json(folder / FILE, asdict(self))

    @cached_property
    def search_space(self) -> SearchSpace:
        """The space."""
        return SearchSpace.from_dict(self.space)

    def open_dataset(self) -> Dataset:
        """The log, read as a small log likes it."""
        return open_log(Path(self.dataset))

    def subnets(self) -> list[Genotype]:
        """Distinct subnets: one operator and any connections a branch, as the paper draws them."""
        strategy = SingleOperatorAnyConnection(self.search_space)
        rng = np.random.default_rng([self.seed, 1])
        found: dict[Genotype, Genotype] = {}
        for _ in range(1000 * self.num_subnets):
            genotype = strategy.sample(rng, 1.0)
            found.setdefault(genotype.canonical(), genotype)
            if len(found) == self.num_subnets:
                return list(found.values())
        raise StudyError(f"subnets: the space has fewer than {self.num_subnets}")

    def truth_config(self, seed: int, *, balance: bool) -> RetrainConfig:
        """How a subnet is trained from scratch."""
        return RetrainConfig(**self.truth, seed=seed, balance=balance)


def open_log(folder: Path) -> Dataset:
    """A prepared log with rare values joined and numbers also as bins.

    Raises:
        DataError: Its rows have weights.
    """
    dataset = Dataset.open(folder, min_count=MIN_COUNT, binned_dense=True)
    refuse_weights(dataset, "this study")
    return dataset


def true_probabilities(dataset: Dataset, split: str) -> npt.NDArray[np.float64] | None:
    """The true click probabilities of a split's rows, `[rows]`, where the log is synthetic."""
    file = dataset.path / split / "probabilities.npy"
    return np.load(file) if file.exists() else None
