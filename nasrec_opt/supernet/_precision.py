"""The fastest precision of products on a device, from its list of features.

A measurement would differ from run to run on a busy machine, and with it every answer.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from nasrec_opt.options import Precision, PrecisionChoice

logger = logging.getLogger(__name__)

CPUINFO = Path("/proc/cpuinfo")


def has_bfloat16(device: torch.device) -> bool:
    """Check whether a device has instructions for products in bfloat16.

    Without them each product converts its inputs, and takes two to three times as long as in
    float32.

    Args:
        device: Where the products are computed.

    Returns:
        True if it has them.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    return any("bf16" in name for name in _processor_features())


def choose_precision(
    choice: PrecisionChoice, device: torch.device, *, is_quantized: bool
) -> Precision:
    """Choose the precision of products on a device.

    A choice of bfloat16 that is slower there is kept, and logged as a warning.

    Args:
        choice: `float32`, `bfloat16`, or `auto` for bfloat16 where the device has instructions for
            it. Where values are rounded to bits, `auto` means float32: bfloat16 would then change
            their order.
        device: Where the products are computed.
        is_quantized: Whether the model rounds weights and activations to bits.

    Returns:
        `float32` or `bfloat16`.
    """
    if choice == "auto":
        return "bfloat16" if has_bfloat16(device) and not is_quantized else "float32"
    if choice == "bfloat16" and not has_bfloat16(device):
        logger.warning(
            'precision = "bfloat16" is slower than "float32" here: this %s has no instructions '
            'for products in bfloat16; "auto" uses bfloat16 only where there are some',
            "processor" if device.type == "cpu" else f"{device.type} device",
        )
    return choice


def _processor_features() -> set[str]:
    """Names of the processor's extensions, lower case: of torch, and of Linux."""
    found: set[str] = set()
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # in torch 2.10, but not in 2.4
    if capabilities is not None:
        found |= {str(name).lower() for name, value in capabilities().items() if value is True}
    try:
        with CPUINFO.open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                name, _, value = line.partition(":")
                if name.strip() in ("flags", "Features"):  # x86; ARM
                    return found | set(value.lower().split())
    except OSError:
        pass
    return found
