"""The Optuna study, in `study.db`, and its runs in MLflow's store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec

import optuna

from nasrec_opt._addresses import resolved
from nasrec_opt.distributed import Executor, executor_of
from nasrec_opt.objective import Objective, answer, finished_trials, search
from nasrec_opt.pipeline import _sentences as sentences
from nasrec_opt.pipeline._conditions import popularity_of, with_popularity
from nasrec_opt.pipeline._context import Context
from nasrec_opt.pipeline._cost import accelerator_of
from nasrec_opt.pipeline._dashboard import describe, show_front, show_importances
from nasrec_opt.pipeline._identity import finished_search_settings, settings_in_force
from nasrec_opt.pipeline._initial import initial_genotypes
from nasrec_opt.pipeline._logging import URI, describe_run
from nasrec_opt.pipeline._probes import probes_of
from nasrec_opt.pipeline._proposer import name_of_proposer
from nasrec_opt.pipeline._stage import Stage
from nasrec_opt.pipeline._workers import evaluators
from nasrec_opt.pipeline.stages.retrain import RETRAIN
from nasrec_opt.tracking import require_server


def _check(context: Context) -> None:
    uri = context.config.mlflow.uri
    if uri is not None and find_spec("mlflow"):
        require_server(resolved(URI, uri))


def _look_again(context: Context) -> None:
    """Make files again that a user removed since the search was finished."""
    if not SEARCH.is_done(context):
        return
    study = context.study()
    if len(finished_trials(study)) < context.config.search.n_trials:
        SEARCH.forget(context)
        return
    tracker = context.tracker()
    describe_run(study, tracker, context.config, context.folder, context.dataset())
    if tracker.sync(study):  # the store is another one than before
        show_front(study, context.folder.drawings, context.dataset().features, tracker)
        RETRAIN.forget(context)  # it reads the models there are, and logs them


def _run(context: Context) -> str:
    before = time.perf_counter()
    config, folder = context.config, context.folder
    study = _begun(context)
    objective = _objective(context)
    tracker = context.tracker()
    already = len(finished_trials(study))
    describe_run(study, tracker, config, folder, context.dataset())
    tracker.log_study(study, objective)
    tracker.sync(study)
    with _evaluators(context, study, objective, already) as (workers, lag):
        started = time.perf_counter()
        search(
            study,
            objective,
            n_trials=config.search.n_trials,
            callbacks=[tracker],
            progress=context.reporter.advance,
            workers=workers,
            lag=lag,
        )
    seconds = time.perf_counter() - started
    tracker.flush()
    show_importances(study)
    show_front(study, folder.drawings, context.dataset().features, tracker)
    return sentences.searched(
        study,
        name_of_proposer(config.search),
        config.search.n_trials,
        done=len(finished_trials(study)) - already,
        seconds=seconds,
        start_up=started - before,
    )


@contextmanager
def _evaluators(
    context: Context, study: optuna.Study, objective: Objective, already: int
) -> Iterator[tuple[int | Executor, int]]:
    """Who evaluates trials, and the lag: processes of a cluster, or a number of this machine's."""
    search, ray = context.config.search, context.config.ray.address
    workers, lag = evaluators(search, context.dataset(), study, on_cluster=ray is not None)
    if ray is None or workers == 1:
        yield workers, lag
        return
    workers = min(workers, search.n_trials - already)
    with executor_of(partial(answer, objective), workers, "trials are evaluated", ray=ray) as there:
        yield there, lag


def _begun(context: Context) -> optuna.Study:
    """The study, with its first trials enqueued and its settings in a note."""
    config = context.config
    study: optuna.Study = context.study(create=True)
    first = initial_genotypes(config.search, context.space)
    for genotype in (*first, *probes_of(config, context.dataset())):
        context.space.enqueue(study, genotype)
    prepared = context.folder.record()["prepare"]["settings"]
    is_dataset = "is_dataset" in prepared
    describe(study, settings_in_force(config, prepared["source"], is_dataset=is_dataset))
    return study


def _objective(context: Context) -> Objective:
    config = context.config
    accelerator = accelerator_of(config.hardware.technology)
    popularity = popularity_of(context.dataset(), accelerator, context.space)
    return Objective(
        context.space,
        context.oracle(),
        with_popularity(accelerator, popularity),
        objectives=config.search.objectives,
        constraints=config.search.constraints,
    )


SEARCH = Stage(
    name="search",
    inputs=lambda context: finished_search_settings(context.config, context.folder, context.space),
    output=lambda folder, _: folder.study_file,
    run=_run,
    detail=lambda context: name_of_proposer(context.config.search),
    check=_check,
    before=_look_again,
    is_wanted=lambda config: config.has_search,
)
