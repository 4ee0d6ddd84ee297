"""Errors of the hardware models, under one root."""

from __future__ import annotations


class HwError(Exception):
    """Root of the errors of this package."""


class DescriptionError(HwError, ValueError):
    """A workload or an accelerator is not valid; the text names field, expected and found value."""
