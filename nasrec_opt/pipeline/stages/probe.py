"""A few models trained before the supernet; only for a ladder that asks for some."""

from __future__ import annotations

from nasrec_opt.pipeline import _sentences as sentences
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._context import Context
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._identity import probe_settings
from nasrec_opt.pipeline._probes import Probed, train_probes
from nasrec_opt.pipeline._stage import Stage


def _is_wanted(config: StudyConfig) -> bool:
    ladder = config.search.ladder
    return config.has_search and ladder is not None and bool(ladder.probes or ladder.known)


def _run(context: Context) -> str:
    config, folder, dataset = context.config, context.folder, context.dataset()
    probed = Probed(config, folder, dataset, context.place)
    train_probes(config, folder, dataset, context.reporter.advance, on_model=probed.take)
    return sentences.probed(probed.models, probed.ensemble)


PROBE = Stage(
    name="probe",
    inputs=lambda context: probe_settings(context.config, context.folder, context.space),
    output=RunFolder.probes_of,
    run=_run,
    detail=lambda _: "models trained before the supernet",
    is_wanted=_is_wanted,
)
