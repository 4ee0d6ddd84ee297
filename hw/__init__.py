"""What a workload costs on an accelerator: latency, energy, area. Stands alone."""

from hw._accelerator import Accelerator, read_accelerator
from hw._cost import ComponentCost, Cost, CostModel, OperatorCost, critical_path
from hw._costs import Costs
from hw._cpu import CPU
from hw._geometry import Geometry
from hw._popularity import Popularity
from hw._recnmp import RecNMP
from hw._technology_file import TechnologyFile
from hw._workload import Digital, Lookup, MatrixVector, Operation, Workload, join
from hw.errors import DescriptionError, HwError
from hw.files import Technology, shipped_technology
from hw.functional import AnalogLinear, Chip, Noise, Result
from hw.reram import COMPONENTS, Batch, Mapping, ReRAM, element_area_um2, map_product

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
    "Popularity",
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
