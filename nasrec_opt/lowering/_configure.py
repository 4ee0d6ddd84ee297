"""The accelerator that a genotype asks for, and costs of many genotypes."""

from __future__ import annotations

from typing import TypeVar

from hw import CostModel, ReRAM
from nasrec_opt.space import HardwareGene

Model = TypeVar("Model", bound=CostModel)


def configure(accelerator: Model, gene: HardwareGene) -> Model:
    """The accelerator with a genotype's accelerator genes; others than ReRAM stay as they are."""
    if not isinstance(accelerator, ReRAM):
        return accelerator
    return accelerator.with_parameters(**gene.to_dict())
