"""Search CTR models and their ReRAM accelerators with Optuna and a weight-sharing supernet.

Public names are loaded on first use (PEP 562), so that importing the package loads neither torch
nor MLflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasrec_opt._lazy import loader

if TYPE_CHECKING:
    from nasrec_opt._foreign.optuna_rdb import SQLiteStorage
    from nasrec_opt.features import FeatureSpec
    from nasrec_opt.lowering import lower
    from nasrec_opt.objective import Objective, search
    from nasrec_opt.options import OracleOptions
    from nasrec_opt.oracle import Evaluation, FunctionOracle, Oracle, SupernetOracle, TabularOracle
    from nasrec_opt.samplers import RegularizedEvolutionSampler
    from nasrec_opt.serving import CTRClassifier, Predictor
    from nasrec_opt.space import BlockGene, Genotype, HardwareGene, SearchSpace, published
    from nasrec_opt.supernet import Subnet, Supernet
    from nasrec_opt.tracking import MLflowLogger

__version__ = "0.1.0"

__all__ = [
    "BlockGene",
    "CTRClassifier",
    "Evaluation",
    "FeatureSpec",
    "FunctionOracle",
    "Genotype",
    "HardwareGene",
    "MLflowLogger",
    "Objective",
    "Oracle",
    "OracleOptions",
    "Predictor",
    "RegularizedEvolutionSampler",
    "SQLiteStorage",
    "SearchSpace",
    "Subnet",
    "Supernet",
    "SupernetOracle",
    "TabularOracle",
    "lower",
    "published",
    "search",
]

_HOMES = {
    "BlockGene": "space",
    "CTRClassifier": "serving",
    "Evaluation": "oracle",
    "FeatureSpec": "features",
    "FunctionOracle": "oracle",
    "Genotype": "space",
    "HardwareGene": "space",
    "MLflowLogger": "tracking",
    "Objective": "objective",
    "Oracle": "oracle",
    "OracleOptions": "options",
    "Predictor": "serving",
    "RegularizedEvolutionSampler": "samplers",
    "SQLiteStorage": "_foreign.optuna_rdb",
    "SearchSpace": "space",
    "Subnet": "supernet",
    "Supernet": "supernet",
    "SupernetOracle": "oracle",
    "TabularOracle": "oracle",
    "lower": "lowering",
    "published": "space",
    "search": "objective",
}

__getattr__ = loader(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
