"""Errors of the hardware models, under one root."""

from __future__ import annotations


class HwError(Exception):
    """Root of the errors of this package."""


class DescriptionError(HwError, ValueError):
    """A workload or an accelerator that cannot be; names the field, what was expected and found."""
