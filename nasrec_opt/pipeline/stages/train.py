"""The supernet, in `supernet/`."""

from __future__ import annotations

from nasrec_opt.pipeline._context import Context
from nasrec_opt.pipeline._identity import train_settings
from nasrec_opt.pipeline._precision import keep_precision
from nasrec_opt.pipeline._ranks import train
from nasrec_opt.pipeline._stage import Stage


def _run(context: Context) -> str:
    result = train(context.config, context.folder, context.reporter.advance)
    of = f"of {context.config.supernet.batch_size:,} rows"
    return f"supernet of {context.space.name} trained for {result.steps:,} steps {of}"


TRAIN = Stage(
    name="train",
    inputs=lambda context: train_settings(context.config, context.folder, context.space),
    output=lambda folder, _: folder.supernet / "model.json",
    run=_run,
    detail=lambda context: context.space.name,
    is_shared=True,
    keeps=lambda folder: folder.supernet,
    before=lambda context: keep_precision(context.config, context.folder),
    is_wanted=lambda config: config.has_search,
)
