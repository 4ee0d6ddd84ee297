"""The HTML page, `report.html`, and one that compares the searches of the folder.

Both are written again each time, since that is quick.
"""

from __future__ import annotations

from nasrec_opt.pipeline._context import Context
from nasrec_opt.pipeline._facts import facts_of
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._logging import data_summary
from nasrec_opt.pipeline._proposer import name_of_proposer
from nasrec_opt.pipeline._report import begin_report, write_page
from nasrec_opt.pipeline._search_cost import search_cost
from nasrec_opt.pipeline._searches import compare
from nasrec_opt.pipeline._stage import Stage


def _run(context: Context) -> str:
    config, folder, place = context.config, context.folder, context.place
    study, data = context.study(), data_summary(folder, context.dataset())
    facts = facts_of(config, context.space, source=data["source"], rows=data["rows"]["train"])
    stages = _seconds(context)
    begin_report(
        folder,
        place,
        {
            "study": context.study_name,
            "proposer": name_of_proposer(config.search),
            "facts": facts,
            "data": data,
            "stages": stages,
        },
    )
    path = write_page(folder, place, study)
    tracker = context.tracker()
    tracker.log_artifact(study, path)
    found = search_cost(folder, place, context.stages)
    spent = {"seconds": sum(stages.values()), "search_seconds": found.seconds}
    tracker.log_metrics(study, {name: value for name, value in spent.items() if value is not None})
    more = f", all searches in {folder.comparison}" if compare(folder) else ""
    return f"{path}{more}"


def _seconds(context: Context) -> dict[str, float]:
    """Wall time of each stage that is done, by name, s."""
    record = context.folder.record()
    keys = {stage.name: stage.key(context.place) for stage in context.stages}
    keys.pop(REPORT.name, None)  # it is on its way
    return {name: record[key]["seconds"] for name, key in keys.items() if key in record}


REPORT = Stage(
    name="report",
    inputs=lambda _: {},
    output=RunFolder.report_of,
    run=_run,
    is_repeated=True,
    is_wanted=lambda config: config.has_search,
)
