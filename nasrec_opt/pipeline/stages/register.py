"""The winner in MLflow's registry, in `retrained/registered.json`; only where models are logged."""

from __future__ import annotations

from nasrec_opt.errors import NasrecError
from nasrec_opt.pipeline._context import Context
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._identity import retrain_settings
from nasrec_opt.pipeline._registering import register_winner
from nasrec_opt.pipeline._stage import Stage


def _run(context: Context) -> str:
    folder, place = context.folder, context.place
    folder.registered_of(place).unlink(missing_ok=True)  # of a model before
    try:
        found = register_winner(folder, place, context.study(), context.tracker())
    except NasrecError as error:
        return f"no model registered: {error}"  # and tried again by the next run
    return f"version {found.version} of {found.name} is the champion: {found.address}"


REGISTER = Stage(
    name="register",
    inputs=lambda context: {
        "retrain": retrain_settings(context.config, context.folder, context.space),
        "uri": context.config.mlflow.uri,
    },
    output=RunFolder.registered_of,
    run=_run,
    is_wanted=lambda config: config.has_search and config.mlflow.register,
)
