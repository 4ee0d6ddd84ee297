"""Options of the last stage of a run: `[retrain]` of a study file."""

from __future__ import annotations

from dataclasses import dataclass, field

from nasrec_opt._settings import check_at_least
from nasrec_opt.options._retrain import RetrainConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainStageConfig:
    """Which winners are trained from scratch, and how: `[retrain]` of a study file.

    Args:
        top: Number of architectures to retrain, each once whatever its accelerator: the finalists
            of the ladder; without a ladder, those of the Pareto front by log loss, then others.
        seeds: Models of each architecture, with this many seeds counted from `seed`; architectures
            are ordered by their mean validation log loss, and each is represented by its seed that
            is best on validation.
        ensemble: Maximum number of members that are averaged to one more competitor; each trained
            model, probes included, may be a member at its best epoch and at its second best. The
            best comes first, then each that lowers the validation log loss of the mean by 0.0001 or
            more while the constraints hold for all together (docs/decisions/ensemble.md).
        workers: Models that are trained at once, each by a process of its own with one thread:
            probes, the ladder's rungs after the first, and the retrained ones. It changes no model.
            The default is smaller if half of the memory does not hold them; it is 1 with a GPU, and
            below 50,000 training rows, where a model trains as fast as a process starts. None means
            as many as there are cores, at most 8.
        model: Training of one model.

    Raises:
        StudyError: A number is not positive.
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
