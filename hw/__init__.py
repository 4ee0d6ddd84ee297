"""What a workload costs on an accelerator: latency, energy, area. Stands alone."""

from hw._accelerator import Accelerator, read_accelerator
from hw._analog import AnalogLinear
from hw._batch import Batch
from hw._cost import ComponentCost, Cost, CostModel, OperatorCost, critical_path
from hw._costs import Costs
from hw._cpu import CPU
from hw._geometry import Geometry, Mapping, map_product
from hw._noise import Chip, Noise, Result
from hw._parts import COMPONENTS
from hw._product import element_area_um2
from hw._recnmp import RecNMP
from hw._reram import ReRAM
from hw._sections import shipped_technology
from hw._technology import Technology
from hw._technology_file import TechnologyFile
from hw._workload import Digital, Lookup, MatrixVector, Operation, Workload, join
from hw.errors import DescriptionError, HwError

__all__ = [
    "COMPONENTS",
    "CPU",
    "Accelerator",
    "AnalogLinear",
    "Batch",
    "Chip",
    "ComponentCost",
    "Cost",
    "CostModel",
    "Costs",
    "DescriptionError",
    "Digital",
    "Geometry",
    "HwError",
    "Lookup",
    "Mapping",
    "MatrixVector",
    "Noise",
    "Operation",
    "OperatorCost",
    "ReRAM",
    "RecNMP",
    "Result",
    "Technology",
    "TechnologyFile",
    "Workload",
    "critical_path",
    "element_area_um2",
    "join",
    "map_product",
    "read_accelerator",
    "shipped_technology",
]
