"""Oracles, which score genotypes: a supernet, a table of answers, a user's own object.

`SupernetOracle` is loaded on first use, so that tables of answers need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasrec_opt._lazy import loader
from nasrec_opt.options import (
    AdagradFit,
    FineTune,
    OracleOptions,
    Racing,
    RankedBits,
    Scratch,
    check_ranked_bits,
)
from nasrec_opt.oracle._function import FunctionOracle
from nasrec_opt.oracle._metrics import auc, difference, log_losses, score
from nasrec_opt.oracle._protocol import (
    Difference,
    Evaluation,
    Oracle,
    RacingOracle,
    Report,
    architecture,
)
from nasrec_opt.oracle._settled import settled
from nasrec_opt.oracle._tabular import TabularOracle

if TYPE_CHECKING:
    from nasrec_opt.oracle._adagrad_fit import fit_adagrad
    from nasrec_opt.oracle._last_layer import fit_newton
    from nasrec_opt.oracle._noisy import Cells, NoisyOracle
    from nasrec_opt.oracle._supernet_oracle import MEMORY_BYTES, SupernetOracle

__all__ = [
    "MEMORY_BYTES",
    "AdagradFit",
    "Cells",
    "Difference",
    "Evaluation",
    "FineTune",
    "FunctionOracle",
    "NoisyOracle",
    "Oracle",
    "OracleOptions",
    "Racing",
    "RacingOracle",
    "RankedBits",
    "Report",
    "Scratch",
    "SupernetOracle",
    "TabularOracle",
    "architecture",
    "auc",
    "check_ranked_bits",
    "difference",
    "fit_adagrad",
    "fit_newton",
    "log_losses",
    "score",
    "settled",
]

_HOMES = {
    "MEMORY_BYTES": "_supernet_oracle",
    "Cells": "_noisy",
    "NoisyOracle": "_noisy",
    "SupernetOracle": "_supernet_oracle",
    "fit_adagrad": "_adagrad_fit",
    "fit_newton": "_last_layer",
}

__getattr__ = loader(__name__, _HOMES)
