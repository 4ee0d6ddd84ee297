"""The stages of a run, in their order; a new stage is a file here and a line in the list."""

from nasrec_opt.pipeline._stage import Stage
from nasrec_opt.pipeline.stages.baselines import BASELINES
from nasrec_opt.pipeline.stages.ladder import LADDER
from nasrec_opt.pipeline.stages.models import MODELS
from nasrec_opt.pipeline.stages.prepare import PREPARE
from nasrec_opt.pipeline.stages.probe import PROBE
from nasrec_opt.pipeline.stages.register import REGISTER
from nasrec_opt.pipeline.stages.report import REPORT
from nasrec_opt.pipeline.stages.retrain import RETRAIN
from nasrec_opt.pipeline.stages.search import SEARCH
from nasrec_opt.pipeline.stages.train import TRAIN

STAGES: tuple[Stage, ...] = (
    PREPARE,
    BASELINES,
    MODELS,
    PROBE,
    TRAIN,
    SEARCH,
    LADDER,
    RETRAIN,
    REGISTER,
    REPORT,
)
