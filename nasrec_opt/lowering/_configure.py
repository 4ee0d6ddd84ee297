"""What an accelerator has to be, and the one that a genotype asks for."""

from __future__ import annotations

from typing import Any, TypeVar

from hw import CostModel, ReRAM
from nasrec_opt.errors import StudyError, described
from nasrec_opt.space import HardwareGene

Model = TypeVar("Model", bound=CostModel)


def check_cost_model(accelerator: Any) -> None:
    """Refuse what has no `cost(workload)`.

    Raises:
        StudyError: It says what was given: a class, or an object without the method.
    """
    if isinstance(accelerator, type) or not callable(getattr(accelerator, "cost", None)):
        raise StudyError(
            f"accelerator: expected an object with cost(workload), got {described(accelerator)}"
        )


def configure(accelerator: Model, gene: HardwareGene) -> Model:
    """The accelerator with a genotype's accelerator genes; others than ReRAM stay as they are."""
    if not isinstance(accelerator, ReRAM):
        return accelerator
    return accelerator.with_parameters(**gene.to_dict())
