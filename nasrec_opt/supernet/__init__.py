"""The weight-sharing supernet: operators, slices, path sampling, training."""

from nasrec_opt.options import (
    AdagradOptions,
    Initialization,
    Precision,
    PrecisionChoice,
    TrainConfig,
    check_precision,
)
from nasrec_opt.space import balanced_vectors
from nasrec_opt.supernet._axes import DENSE, PAIRS, SPARSE, VECTORS, WITH_AXES, Signal, axes_of
from nasrec_opt.supernet._embedding import PartialEmbedding
from nasrec_opt.supernet._inputs import SparseOutput
from nasrec_opt.supernet._network import Activations, Network, best_device
from nasrec_opt.supernet._optimizer import (
    FIRST_ORDER_PRIOR,
    SliceAdagrad,
    clip_gradients,
    gradient_of,
    learning_rate_at,
)
from nasrec_opt.supernet._paths import (
    AnyOperatorAnyConnection,
    FairOperators,
    PathSampling,
    SandwichWidths,
    SingleOperatorAnyConnection,
    SingleOperatorSingleConnection,
    WarmUp,
    full_supernet,
)
from nasrec_opt.supernet._precision import (
    choose_precision,
    has_bfloat16,
)
from nasrec_opt.supernet._quantize import learns_in_floats, round_to, trained_as
from nasrec_opt.supernet._ranks import Ranks
from nasrec_opt.supernet._readers import (
    CastingReader,
    LeafReader,
    SliceRecorder,
    ViewReader,
    WeightReader,
    multiply,
)
from nasrec_opt.supernet._start import log_odds, start_at_click_rate
from nasrec_opt.supernet._subnet import Subnet
from nasrec_opt.supernet._supernet import Supernet
from nasrec_opt.supernet._train import (
    TRAINING,
    TrainResult,
    batch_tensors,
    learning_rates_at,
    row_prior,
    train_batches,
    train_step,
    train_supernet,
    training_steps,
)

__all__ = [
    "DENSE",
    "FIRST_ORDER_PRIOR",
    "PAIRS",
    "SPARSE",
    "TRAINING",
    "VECTORS",
    "WITH_AXES",
    "Activations",
    "AdagradOptions",
    "AnyOperatorAnyConnection",
    "CastingReader",
    "FairOperators",
    "Initialization",
    "LeafReader",
    "Network",
    "PartialEmbedding",
    "PathSampling",
    "Precision",
    "PrecisionChoice",
    "Ranks",
    "SandwichWidths",
    "Signal",
    "SingleOperatorAnyConnection",
    "SingleOperatorSingleConnection",
    "SliceAdagrad",
    "SliceRecorder",
    "SparseOutput",
    "Subnet",
    "Supernet",
    "TrainConfig",
    "TrainResult",
    "ViewReader",
    "WarmUp",
    "WeightReader",
    "axes_of",
    "balanced_vectors",
    "batch_tensors",
    "best_device",
    "check_precision",
    "choose_precision",
    "clip_gradients",
    "full_supernet",
    "gradient_of",
    "has_bfloat16",
    "learning_rate_at",
    "learning_rates_at",
    "learns_in_floats",
    "log_odds",
    "multiply",
    "round_to",
    "row_prior",
    "start_at_click_rate",
    "train_batches",
    "train_step",
    "train_supernet",
    "trained_as",
    "training_steps",
]
