"""The HTML page, `report.html`, and one that compares the searches of the folder.

Both are written again each time, since that is quick.
"""

from __future__ import annotations

from nasrec_opt._results import read_results
from nasrec_opt.pipeline._context import Context
from nasrec_opt.pipeline._facts import facts_of
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._logging import data_summary
from nasrec_opt.pipeline._proposer import name_of_proposer
from nasrec_opt.pipeline._searches import compare
from nasrec_opt.pipeline._stage import Stage
from nasrec_opt.report import write_report


def _run(context: Context) -> str:
    config, folder, place = context.config, context.folder, context.place
    study, path = context.study(), folder.report_of(place)
    data = data_summary(folder, context.dataset())
    write_report(
        path,
        study=study,
        results=read_results(folder.results_of(place)),
        dataset_summary=data,
        facts=facts_of(config, context.space, source=data["source"], rows=data["rows"]["train"]),
        stages=_seconds(context),
        title=context.study_name,
        proposer=name_of_proposer(config.search),
    )
    context.tracker().log_artifact(study, path)
    more = f", all searches in {folder.comparison}" if compare(folder) else ""
    return f"{path}{more}"


def _seconds(context: Context) -> dict[str, float]:
    """Wall time of each stage that is done, by name, s."""
    record = context.folder.record()
    keys = {stage.name: stage.key(context.place) for stage in context.stages}
    return {name: record[key]["seconds"] for name, key in keys.items() if key in record}


REPORT = Stage(
    name="report",
    inputs=lambda _: {},
    output=RunFolder.report_of,
    run=_run,
    is_repeated=True,
)
