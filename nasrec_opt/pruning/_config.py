"""How a model is pruned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from nasrec_opt._plain import put_plain
from nasrec_opt.errors import StudyError

Method = Literal["mask", "magnitude"]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneConfig:
    """Iterative structured pruning (paper, section 6.2).

    Args:
        method: What decides which units go: `mask`, by the masks that a model learns for its
            weights, or `magnitude`, by the weights themselves.
        rounds: Number of rounds. Each trains the model that is left from scratch and removes its
            lowest units.
        share: Share of the entries of the pruned weight matrices that a round removes of what is
            left.
        expansion: Hidden units of a mask's MLP for each row of its matrix.

    Raises:
        StudyError: An option is out of range.
    """

    method: Method = "mask"
    rounds: int = 5
    share: float = 0.2
    expansion: int = 2

    def __post_init__(self) -> None:
        put_plain(self)
        if self.method not in METHODS:
            raise StudyError(f"method: expected mask or magnitude, got {self.method!r}")
        for name in ("rounds", "expansion"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise StudyError(f"{name}: expected an integer of 1 or more, got {value!r}")
        if not 0 < self.share < 1:
            raise StudyError(f"share: expected above 0 and below 1, got {self.share}")
