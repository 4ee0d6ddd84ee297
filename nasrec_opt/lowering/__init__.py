"""From genotypes to hardware workloads: the one bridge between the two.

Operators, shapes and the order of their parts are those of the supernet. Parts that cannot reach
the logit are left out (`liveness`). Layer norms, activations, residuals and the addition of several
operators' outputs are digital work at the bits of the activations, and count no MACs, as in the
paper's Table 5. That table counts a Gate as if the narrower of its inputs were padded with zeros.
Here padded zeros are not multiplied; `paper_macs` of such products has the table's count.

Models with a first-order term, which the paper's do not have, read a weight of 32 bits for each
sparse feature from a table beside that of the embeddings, and count a MAC and a parameter for each
dense feature; adding up is digital work at the bits of the final layer.
"""

from nasrec_opt.lowering._cells import CrossbarCells
from nasrec_opt.lowering._configure import check_cost_model, configure
from nasrec_opt.lowering._cost import cost_many
from nasrec_opt.lowering._counts import Counts, count_many
from nasrec_opt.lowering._many import lower_many
from nasrec_opt.lowering._one import lower, lower_ensemble

__all__ = [
    "Counts",
    "CrossbarCells",
    "check_cost_model",
    "configure",
    "cost_many",
    "count_many",
    "lower",
    "lower_ensemble",
    "lower_many",
]
