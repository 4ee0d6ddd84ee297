"""Ax over genotypes: the search space as Ax parameters, an objective as runner and metric.

Public names are loaded on first use: Ax takes seconds to import, and may not be installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nasrec_opt._lazy import loader

if TYPE_CHECKING:
    from nasrec_opt.ax._client import load_client, make_client
    from nasrec_opt.ax._evaluation import ObjectiveMetric, ObjectiveRunner
    from nasrec_opt.ax._node import PoolNode
    from nasrec_opt.ax._parameters import Encoding, genotype_of, parameters_of, to_ax
    from nasrec_opt.ax._sampler import AxSampler
    from nasrec_opt.options import Strategy

__all__ = [
    "AxSampler",
    "Encoding",
    "ObjectiveMetric",
    "ObjectiveRunner",
    "PoolNode",
    "Strategy",
    "genotype_of",
    "load_client",
    "make_client",
    "parameters_of",
    "to_ax",
]

_HOMES = {
    "AxSampler": "_sampler",
    "Encoding": "_parameters",
    "ObjectiveMetric": "_evaluation",
    "ObjectiveRunner": "_evaluation",
    "PoolNode": "_node",
    "Strategy": "_client",
    "genotype_of": "_parameters",
    "load_client": "_client",
    "make_client": "_client",
    "parameters_of": "_parameters",
    "to_ax": "_parameters",
}
_OF_AX = ("_evaluation", "_node")  # their classes inherit from Ax's


_load = loader(__name__, _HOMES)


def __getattr__(name: str) -> Any:
    if _HOMES.get(name) in _OF_AX:
        from nasrec_opt.ax._quiet import require_ax

        require_ax()
    return _load(name)
