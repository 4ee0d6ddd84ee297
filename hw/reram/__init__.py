"""What a workload costs on ReRAM crossbars, with a digital unit and DRAM beside them."""

from hw.reram._batch import Batch
from hw.reram._mapping import Mapping, map_product
from hw.reram._parts import COMPONENTS
from hw.reram._product import element_area_um2
from hw.reram._reram import ReRAM

__all__ = ["COMPONENTS", "Batch", "Mapping", "ReRAM", "element_area_um2", "map_product"]
