"""Which candidates of a pool to evaluate next, by a Gaussian process (BoTorch)."""

from __future__ import annotations

from nasrec_opt.errors import MissingExtraError
from nasrec_opt.samplers._selection import FloatArray


def require_botorch() -> None:
    """Refuse to start without BoTorch.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import botorch  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("BoTorch", "bayes") from error


def select_batch(
    candidates: FloatArray,
    observed: FloatArray,
    losses: FloatArray,
    constraints: FloatArray | None = None,
    *,
    batch_size: int,
    pending: FloatArray | None = None,
    max_observed: int = 400,
    seed: int,
) -> list[int]:
    """Candidates that promise most together.

    Args:
        candidates: The pool, `[candidates, dimensions]`.
        observed: Points that were evaluated, oldest first, `[observed, dimensions]`.
        losses: Their objective values, smaller is better, `[observed, objectives]`.
        constraints: Their constraint values, satisfied where not positive,
            `[observed, constraints]`.
        batch_size: How many to choose.
        pending: Points that are being evaluated, `[pending, dimensions]`.
        max_observed: Most points that the model learns from.
        seed: Of all draws; the global random state of torch stays as it is.

    Returns:
        Positions in `candidates`, the best first; all of them where the pool is smaller.

    Raises:
        MissingExtraError: BoTorch is not installed.
        StudyError: The arrays do not fit each other.
    """
    raise NotImplementedError
