"""Hand-made click models of other libraries, tuned and trained on the same rows as ours.

Public names are loaded on first use: training needs torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasrec_opt._lazy import loader

if TYPE_CHECKING:
    from nasrec_opt.baselines._fit import FittedNetwork, fit
    from nasrec_opt.baselines._network import Network
    from nasrec_opt.baselines._options import BaselineOptions
    from nasrec_opt.baselines._registry import BASELINES, BaselineSpec, baseline_spec
    from nasrec_opt.baselines._train import TrainedBaseline, train_baseline
    from nasrec_opt.baselines._tune import TunedBaseline, Tuning, tune_baseline

__all__ = [
    "BASELINES",
    "BaselineOptions",
    "BaselineSpec",
    "FittedNetwork",
    "Network",
    "TrainedBaseline",
    "TunedBaseline",
    "Tuning",
    "baseline_spec",
    "fit",
    "train_baseline",
    "tune_baseline",
]

_HOMES = {
    "BASELINES": "_registry",
    "BaselineOptions": "_options",
    "BaselineSpec": "_registry",
    "FittedNetwork": "_fit",
    "Network": "_network",
    "TrainedBaseline": "_train",
    "TunedBaseline": "_tune",
    "Tuning": "_tune",
    "baseline_spec": "_registry",
    "fit": "_fit",
    "train_baseline": "_train",
    "tune_baseline": "_tune",
}

__getattr__ = loader(__name__, _HOMES)
