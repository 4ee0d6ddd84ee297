"""The baselines, in `baselines/`; they do not depend on the study file."""

from __future__ import annotations

from nasrec_opt.data import Dataset
from nasrec_opt.pipeline import _sentences as sentences
from nasrec_opt.pipeline._baselines import fitted_baselines
from nasrec_opt.pipeline._context import Context
from nasrec_opt.pipeline._identity import baselines_settings
from nasrec_opt.pipeline._stage import Stage


def _run(context: Context) -> str:
    dataset = Dataset.open(context.folder.dataset)
    return sentences.fitted(fitted_baselines(context.folder, dataset, context.reporter.advance))


BASELINES = Stage(
    name="baselines",
    inputs=lambda context: baselines_settings(context.folder),
    output=lambda folder, _: folder.baselines,
    run=_run,
    detail=lambda _: "fits of logistic regression",
    is_shared=True,
)
