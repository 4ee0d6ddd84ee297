"""What a workload costs on an accelerator: latency, energy, area. Stands alone."""

from hw._cost import Cost, CostModel, OperatorCost
from hw._cpu import CPU, RecNMP
from hw._crossbar import Geometry, Mapping, map_product
from hw._reram import ReRAM, element_area_um2, event_energies_pj
from hw._technology import Technology
from hw._workload import Digital, Lookup, MatrixVector, Operation, Workload
from hw.errors import DescriptionError, HwError

__all__ = [
    "CPU",
    "Cost",
    "CostModel",
    "DescriptionError",
    "Digital",
    "Geometry",
    "HwError",
    "Lookup",
    "Mapping",
    "MatrixVector",
    "Operation",
    "OperatorCost",
    "ReRAM",
    "RecNMP",
    "Technology",
    "Workload",
    "element_area_um2",
    "event_energies_pj",
    "map_product",
]
