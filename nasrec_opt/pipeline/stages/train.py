"""The supernet, in `supernet/`."""

from __future__ import annotations

import dataclasses

from nasrec_opt.pipeline._context import Context
from nasrec_opt.pipeline._identity import train_settings
from nasrec_opt.pipeline._precision import keep_precision
from nasrec_opt.pipeline._stage import Stage
from nasrec_opt.supernet import Supernet, best_device, train_supernet


def _run(context: Context) -> str:
    seed, dataset = context.config.seed, context.dataset()
    train = dataclasses.replace(context.config.supernet, seed=seed)
    supernet = Supernet(
        context.space,
        dataset.features,
        seed=seed,
        max_table_rows=train.max_table_rows,
        initialization=train.initialization,
    ).to(best_device())
    result = train_supernet(
        supernet, dataset, context.folder.supernet, train, progress=context.reporter.advance
    )
    of = f"of {train.batch_size:,} rows"
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
