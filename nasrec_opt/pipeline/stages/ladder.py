"""Searched models trained rung by rung, in `ladder.json`; only for a study with a ladder."""

from __future__ import annotations

from nasrec_opt.pipeline._context import Context
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._identity import ladder_settings
from nasrec_opt.pipeline._ladder import climb_ladder
from nasrec_opt.pipeline._stage import Stage
from nasrec_opt.pipeline.stages.search import SEARCH
from nasrec_opt.pipeline.stages.train import TRAIN


def _run(context: Context) -> str:
    record = context.folder.record()
    return climb_ladder(
        context.config,
        context.folder,
        context.study(),
        context.dataset(),
        context.reporter.advance,
        place=context.place,
        settings=LADDER.inputs(context),
        spent=sum(record[stage.key(context.place)]["seconds"] for stage in (TRAIN, SEARCH)),
    )


LADDER = Stage(
    name="ladder",
    inputs=lambda context: ladder_settings(context.config, context.folder, context.space),
    output=RunFolder.ladder_of,
    run=_run,
    detail=lambda _: "models trained for a while",
    is_wanted=lambda config: config.has_search and config.search.ladder is not None,
)
