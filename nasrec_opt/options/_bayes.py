"""Options of a search by Bayesian optimization: from a pool, or by Ax."""

from __future__ import annotations

from dataclasses import dataclass

from nasrec_opt._plain import put_plain
from nasrec_opt.options._choices import Strategy, check_choice
from nasrec_opt.options._sizes import check_counts, pool_sizes


# Without slots, since the defaults of sampler and node are the attributes of this class.
@dataclass(frozen=True, kw_only=True)
class PoolBayesConfig:
    """Options of a `PoolBayesSampler`, and `[search.pool_bayes]` of a study file.

    A size that is None is filled in.

    Args:
        num_startup: Completed trials before the model chooses; they are random.
        pool_size: Genotypes that a round chooses from. None means 256, or the batch's size if that
            is larger.
        batch_size: Trials of a round, for which the model is fitted once; not less than the number
            of workers, or some of them fit again. None means 8, or the whole of a smaller pool.
        max_observed: Maximum number of trials that the model learns from: the best, and the latest
            of the others.

    Raises:
        StudyError: A size is not positive, or the batch is larger than the pool.
    """

    num_startup: int = 32
    pool_size: int | None = None
    batch_size: int | None = None
    max_observed: int = 300

    def __post_init__(self) -> None:
        put_plain(self)
        check_counts(num_startup=self.num_startup, max_observed=self.max_observed)
        for name, size in zip(("pool_size", "batch_size"), self.sizes, strict=True):
            object.__setattr__(self, name, size)

    @property
    def sizes(self) -> tuple[int, int]:
        """Size of the pool and of a batch."""
        return pool_sizes(self.pool_size, self.batch_size)


# Without slots, as above.
@dataclass(frozen=True, kw_only=True)
class AxConfig:
    """Options of an Ax search, and `[search.ax]` of a study file.

    Args:
        strategy: `pool_bayes`: BoTorch picks from what evolution proposes; `ax`: Ax's default.

    Raises:
        StudyError: There is no such strategy.
    """

    strategy: Strategy = "pool_bayes"

    def __post_init__(self) -> None:
        check_choice("strategy", self.strategy, Strategy)
