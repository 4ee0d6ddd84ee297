"""What crossbars compute, bit for bit: products through cells, drivers and converters."""

from hw.functional._chip import Chip, Result
from hw.functional._linear import AnalogLinear
from hw.functional._noise import Noise

__all__ = ["AnalogLinear", "Chip", "Noise", "Result"]
