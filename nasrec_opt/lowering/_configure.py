"""Checks of a cost model, and the accelerator with a genotype's genes."""

from __future__ import annotations

from typing import Any, TypeVar

from hw import CostModel, ReRAM
from nasrec_opt.errors import StudyError, described
from nasrec_opt.space import HardwareGene

Model = TypeVar("Model", bound=CostModel)


def check_cost_model(accelerator: Any) -> None:
    """Refuse an object without `cost(workload)`.

    Args:
        accelerator: What was given as a cost model.

    Raises:
        StudyError: It is a class, or an object without the method.
    """
    if isinstance(accelerator, type) or not isinstance(accelerator, CostModel):
        raise StudyError(
            f"accelerator: expected an object with cost(workload), got {described(accelerator)}"
        )


def configure(accelerator: Model, gene: HardwareGene) -> Model:
    """Configure an accelerator with a genotype's accelerator genes.

    Args:
        accelerator: Any cost model.
        gene: The accelerator genes.

    Returns:
        A `ReRAM` with these genes; any other cost model as it is.

    Raises:
        DescriptionError: The accelerator cannot be built with these genes.
    """
    if not isinstance(accelerator, ReRAM):
        return accelerator
    return accelerator.with_parameters(**gene.to_dict())
