"""An open run: its dataset, study, oracle and tracker, as its stages ask for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner

from nasrec_opt.data import Dataset
from nasrec_opt.errors import MissingExtraError, StudyError
from nasrec_opt.oracle import RankedBits, SupernetOracle
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._console import Reporter
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._identity import search_settings
from nasrec_opt.pipeline._log_source import Source
from nasrec_opt.pipeline._logging import open_tracker
from nasrec_opt.pipeline._precision import with_precision
from nasrec_opt.pipeline._proposer import make_proposer
from nasrec_opt.pipeline._search import require_settings
from nasrec_opt.pipeline._searches import name_of_search, place_of, studies_of
from nasrec_opt.pipeline._storage import home_of, open_study
from nasrec_opt.supernet import Supernet, best_device
from nasrec_opt.tracking import NullTracker, Tracker

if TYPE_CHECKING:
    from nasrec_opt.pipeline._stage import Stage

PRUNERS: dict[str, Callable[[], BasePruner]] = {
    "none": NopPruner,
    "median": lambda: MedianPruner(n_warmup_steps=1),  # before a step no subnet has learnt anything
    "hyperband": HyperbandPruner,
}


class Context:
    """One run folder with its study; a context manager that ends the tracking.

    Args:
        config: The study.
        folder: Where everything is kept.
        source: The click log or a dataset; None means what the folder was prepared from, or else
            the synthetic log.
        reporter: Receives the progress.
        stages: All stages of the run, in their order.

    Attributes:
        config: The study, with what it leaves open filled in as soon as that is known.
        space: What is searched.
    """

    def __init__(
        self,
        config: StudyConfig,
        folder: RunFolder,
        source: Source | None,
        reporter: Reporter,
        stages: Sequence[Stage] = (),
    ) -> None:
        self.space = config.space.build()
        self.config = with_precision(config, folder, self.space)
        self.folder = folder
        self.source = source
        self.reporter = reporter
        self.stages = tuple(stages)
        self._tracker: Tracker | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._tracker is not None:
            self._tracker.__exit__(kind, error, traceback)

    def dataset(self) -> Dataset:
        """Open the dataset as this study reads it.

        Returns:
            The dataset, with the study's `min_count` and `binned_dense`.
        """
        return dataset_of(self.config, self.folder)

    def study(self, *, create: bool = False) -> Any:
        """Open the Optuna study of this run.

        Args:
            create: Whether a missing study is created.

        Returns:
            The `optuna.Study`, with the sampler and the pruner of the study file.

        Raises:
            StudyError: There is no study and `create` is false, or it belongs to another search.
        """
        config = self.config
        has_file = self.folder.study_db.exists()  # one that was emptied is searched anew
        if not (create or has_file or self.study_name in studies_of(self.folder)):
            raise StudyError(f"{home_of(self.folder)}: expected the study, found nothing there")
        study = open_study(
            self.folder,
            self.study_name,
            space=self.space,
            metric_names=config.search.objectives,
            sampler=make_proposer(config.search, self.space, config.seed),
            pruner=PRUNERS[config.search.pruner](),
        )
        settings = search_settings(self.config, self.folder, self.space)
        require_settings(study, self.folder, settings)
        return study

    @property
    def study_name(self) -> str:
        """Name of the Optuna study: the study file's, unless another search has taken it."""
        return self._search[0]

    @property
    def place(self) -> str:
        """Of this search in the folder: empty for the first one, else the study's name."""
        return self._search[1]

    @cached_property
    def _search(self) -> tuple[str, str]:
        """The name of the study and its place, settled before the study is there."""
        studies = studies_of(self.folder)
        settings = search_settings(self.config, self.folder, self.space)
        name = name_of_search(self.config.name, settings, studies)
        return name, place_of(name, studies)

    def tracker(self) -> Tracker:
        """Open the tracker of the study, once.

        Returns:
            MLflow's, or one that records nothing where MLflow is not installed.
        """
        if self._tracker is None:
            fingerprint = self.dataset().fingerprint
            try:
                self._tracker = open_tracker(self.config, self.folder, fingerprint)
            except MissingExtraError as error:
                self.reporter.note(f"runs are not logged: {error}")
                self._tracker = NullTracker()
        return self._tracker

    def oracle(self, bits: RankedBits | None = None) -> SupernetOracle:
        """Load the trained supernet as the oracle of this study.

        Args:
            bits: Whether to score genotypes at their own bits or in floating point, or None for
                what the study says.

        Returns:
            The oracle.
        """
        options = self.config.oracle.with_seed(self.config.seed)
        if bits is not None:
            options = replace(options, bits=bits)
        if bits == "genotype":  # what is rounded is not left to the eight bits of a bfloat16
            options = replace(options, precision="float32")
        supernet = Supernet.load(self.folder.supernet).to(best_device())
        return SupernetOracle(supernet, self.dataset(), options)


def dataset_of(config: StudyConfig, folder: RunFolder) -> Dataset:
    """The dataset of a run as its study reads it."""
    data = config.data
    return Dataset.open(
        folder.dataset, min_count=data.min_count or 1, binned_dense=data.binned_dense
    )
