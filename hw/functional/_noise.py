"""Noise in the cells of a chip: conductances that vary, and cells that are stuck."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hw._arrays import FloatArray, IntArray
from hw._plain import real
from hw.errors import DescriptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How the cells of a chip differ from what was written into them.

    Args:
        conductance_sigma: Standard deviation of a cell's conductance relative to its level (MNSIM
            2.0: 0.01; studies sweep up to 0.2).
        stuck_off: Share of cells stuck at their lowest level (MNSIM 2.0: 0.001).
        stuck_on: Share of cells stuck at their highest level (MNSIM 2.0: 0.001).

    Raises:
        DescriptionError: A figure is out of range.
    """

    conductance_sigma: float = 0.0
    stuck_off: float = 0.0
    stuck_on: float = 0.0

    def __post_init__(self) -> None:
        for name in ("conductance_sigma", "stuck_off", "stuck_on"):
            value = real(getattr(self, name))
            if value is None:
                raise DescriptionError(f"{name}: expected a number, got {getattr(self, name)!r}")
            object.__setattr__(self, name, value)
        if not 0 <= self.conductance_sigma < np.inf:
            raise DescriptionError(
                f"conductance_sigma: expected a number from 0, got {self.conductance_sigma}"
            )
        for name in ("stuck_off", "stuck_on"):
            if not 0 <= getattr(self, name) <= 1:
                raise DescriptionError(f"{name}: expected 0 to 1, got {getattr(self, name)}")
        if self.stuck_off + self.stuck_on > 1:
            raise DescriptionError(
                f"stuck_off, stuck_on: expected a sum up to 1, got {self.stuck_off + self.stuck_on}"
            )

    def cells(self, levels: IntArray, highest: int, rng: np.random.Generator) -> FloatArray:
        """Draw the conductances of written cells.

        Args:
            levels: What was written, 0 to `highest`, any shape.
            highest: The highest level.
            rng: Source of the draws; it decides which chip this is.

        Returns:
            Conductances in units of one level, in the shape of `levels`.
        """
        cells = levels.astype(np.float64)
        if self.stuck_off or self.stuck_on:
            drawn = rng.random(levels.shape)
            cells[drawn < self.stuck_off] = 0.0
            cells[drawn > 1 - self.stuck_on] = highest
        if self.conductance_sigma:
            cells *= 1 + self.conductance_sigma * rng.standard_normal(levels.shape)
        return cells
