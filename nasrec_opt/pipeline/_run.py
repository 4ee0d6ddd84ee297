"""The stages of a run: what each of `_stages.py` does.

Each stage looks at what the run folder already holds, does what is missing, and writes itself down
in `run.json` at its end; a killed process finds its place again.
"""

from __future__ import annotations

import dataclasses
import time
from importlib.util import find_spec
from pathlib import Path

from nasrec_opt.data import Dataset, generate_synthetic, prepare
from nasrec_opt.objective import Objective
from nasrec_opt.pipeline import _sentences as sentences
from nasrec_opt.pipeline._baselines import fitted_baselines
from nasrec_opt.pipeline._checks import check_study
from nasrec_opt.pipeline._cost import accelerator_of
from nasrec_opt.pipeline._dashboard import (
    describe,
    files_of_models,
    show_front,
    show_importances,
)
from nasrec_opt.pipeline._facts import facts_of
from nasrec_opt.pipeline._folder import digest
from nasrec_opt.pipeline._identity import (
    baselines_settings,
    finished_search_settings,
    ladder_settings,
    prepare_settings,
    probe_settings,
    retrain_settings,
    settings_in_force,
    train_settings,
)
from nasrec_opt.pipeline._initial import initial_genotypes
from nasrec_opt.pipeline._ladder import climb_ladder, finalists_of
from nasrec_opt.pipeline._ladder_view import LadderView
from nasrec_opt.pipeline._log_recipe import with_recipe
from nasrec_opt.pipeline._logging import data_summary, describe_in_mlflow
from nasrec_opt.pipeline._open_run import OpenRun
from nasrec_opt.pipeline._precision import keep_precision
from nasrec_opt.pipeline._probes import Probed, probes_of, train_probes, trained_probes
from nasrec_opt.pipeline._proposer import name_of_proposer
from nasrec_opt.pipeline._results import read_results
from nasrec_opt.pipeline._retraining import folder_of_model, retrain_winners
from nasrec_opt.pipeline._search import (
    Found,
    finished_trials,
    search,
    winners,
)
from nasrec_opt.pipeline._searches import compare
from nasrec_opt.pipeline._stages import STAGES
from nasrec_opt.report import winner_in_words, write_report
from nasrec_opt.supernet import Supernet, best_device, train_supernet
from nasrec_opt.tracking import require_server


class Run(OpenRun):
    """One run folder with its study: a method for each stage; a context manager that ends logging.

    Args:
        config: The study.
        folder: Where everything is kept.
        source: The click log; None means the log that the folder was prepared from, or else the
            synthetic one.
        reporter: Who is told of progress.
    """

    def check(self) -> None:
        """Refuse now what a later stage would refuse after hours.

        Raises:
            DataError: The schema is bad.
            MissingExtraError: The sampler needs a package that is not installed.
            StudyError: The sampler's options are bad, or the tracking server does not answer.
            DescriptionError: The technology file is.
            GenotypeError: A genotype of `initial` cannot be read, or is not in the space.
        """
        check_study(self.config)
        if self.config.mlflow.uri is not None and find_spec("mlflow"):
            require_server(self.config.mlflow.uri)

    def prepare(self) -> None:
        """The click log as a dataset, in `dataset/`."""
        data, folder = self.config.data, self.folder
        settings = prepare_settings(self.config, folder, self._source)
        source = settings["source"]
        log = self._source or Path(source)
        folder.require_same("prepare", settings, folder.dataset)

        def work() -> str:
            if source == "synthetic":
                dataset = generate_synthetic(
                    folder.dataset,
                    rows=data.synthetic_rows,
                    seed=data.synthetic_seed,
                    progress=self._reporter.advance,
                )
            else:
                dataset = prepare(
                    log,
                    folder.dataset,
                    format=data.format if data.format == "criteo" else Path(data.format),
                    seed=data.split_seed,
                    progress=self._reporter.advance,
                )
            return sentences.prepared(dataset, source)

        self._stage("prepare", source, settings, work)
        rows = Dataset.open(folder.dataset).split("train").num_rows
        self.config = with_recipe(self.config, folder, rows)

    def baselines(self) -> None:
        """The first models in hand, in `baselines/`; no study file changes them."""

        def work() -> str:
            dataset = Dataset.open(self.folder.dataset)
            fitted = fitted_baselines(self.folder, dataset, self._reporter.advance)
            return sentences.fitted(fitted)

        settings = baselines_settings(self.folder)
        self._stage("baselines", "fits of logistic regression", settings, work)

    def probe(self) -> None:
        """A few models trained before there is a supernet; nothing without a ladder's probes."""
        ladder = self.config.search.ladder
        if ladder is None or not ladder.probes:
            return

        def work() -> str:
            dataset = self.dataset()
            probed = Probed(self.config, self.folder, dataset, self.place)
            train_probes(
                self.config, self.folder, dataset, self._reporter.advance, on_model=probed.take
            )
            return sentences.probed(probed.models, probed.ensemble)

        settings = probe_settings(self.config, self.folder, self._space)
        self._stage("probe", "models trained before the supernet", settings, work)

    def train(self) -> None:
        """The supernet, in `supernet/`."""
        settings = train_settings(self.config, self.folder, self._space)
        self.folder.require_same("train", settings, self.folder.supernet)
        train = dataclasses.replace(self.config.supernet, seed=self.config.seed)
        keep_precision(self.config, self.folder)

        def work() -> str:
            dataset = self.dataset()
            supernet = Supernet(
                self._space,
                dataset.features,
                seed=self.config.seed,
                max_table_rows=train.max_table_rows,
                initialization=train.initialization,
            ).to(best_device())
            result = train_supernet(
                supernet, dataset, self.folder.supernet, train, progress=self._reporter.advance
            )
            of = f"of {train.batch_size:,} rows"
            return f"supernet of {self._space.name} trained for {result.steps:,} steps {of}"

        self._stage("train", self._space.name, settings, work)

    def search(self) -> None:
        """The Optuna study, in `study.db`; its runs in `mlflow.db`."""
        config = self.config
        sampler = name_of_proposer(config.search)
        settings = finished_search_settings(config, self.folder, self._space)
        if self.folder.is_done(self._key("search"), settings):
            self._check_search()

        def work() -> str:
            before = time.perf_counter()
            study = self.study(create=True)
            first = initial_genotypes(config.search, self._space)
            for genotype in (*first, *probes_of(config, self.dataset())):
                self._space.enqueue(study, genotype)
            source = self.folder.record()["prepare"]["settings"]["source"]
            describe(study, settings_in_force(config, source))
            oracle = self._oracle()
            objective = Objective(
                self._space,
                oracle,
                accelerator_of(config.hardware.technology),
                objectives=config.search.objectives,
                constraints=config.search.constraints,
            )
            logger = self.logger()
            already = len(finished_trials(study))
            if logger:
                describe_in_mlflow(study, logger, config, self.folder, self.dataset())
                logger.sync(study)
            started = time.perf_counter()
            search(
                study,
                objective,
                n_trials=config.search.n_trials,
                callbacks=[logger] if logger else [],
                progress=self._reporter.advance,
            )
            seconds = time.perf_counter() - started
            if logger:
                logger.flush()
            show_importances(study)
            show_front(study, self.folder.drawings, self.dataset().features, logger)
            return sentences.searched(
                study,
                sampler,
                config.search.n_trials,
                done=len(finished_trials(study)) - already,
                seconds=seconds,
                start_up=started - before,
            )

        self._stage("search", sampler, settings, work)

    def ladder(self) -> None:
        """Searched models trained rung by rung, in `ladder.json`; nothing without a ladder."""
        config = self.config
        if config.search.ladder is None:
            return
        settings = ladder_settings(config, self.folder, self._space)

        def work() -> str:
            record = self.folder.record()
            return climb_ladder(
                config,
                self.folder,
                self.study(),
                self.dataset(),
                self._reporter.advance,
                place=self.place,
                settings=settings,
                spent=sum(record[key]["seconds"] for key in ("train", self._key("search"))),
            )

        self._stage("ladder", "models trained for a while", settings, work)

    def retrain(self) -> None:
        """The best searched models trained from scratch, in `retrained/`."""
        top = self.config.retrain.top
        settings = retrain_settings(self.config, self.folder, self._space)

        def work() -> str:
            study, dataset = self.study(), self.dataset()
            others: list[Found] = []
            if self.config.search.ladder is None:
                chosen, ladder = winners(study, top), None
            else:
                chosen, ladder = finalists_of(self.folder, self.place, study)
                others = trained_probes(self.config, study, dataset)
            results = retrain_winners(
                self.config,
                self.folder,
                study,
                dataset,
                chosen,
                ladder,
                self._reporter.advance,
                others=others,
                file=self.folder.results_of(self.place),
                ensemble_folder=self.folder.ensemble_of(self.place),
                at_bits=self._oracle("genotype") if self.config.oracle.bits == "float" else None,
            )
            models = results["models"]
            if ladder is not None:
                key = digest(ladder_settings(self.config, self.folder, self._space))
                LadderView(study, key).finish(models)
            logger = self.logger()
            if logger:
                folders = [folder_of_model(self.folder, self.config, model) for model in models]
                winner = " ".join(winner_in_words(results))
                with files_of_models(models, folders, dataset.features) as files:
                    logger.log_models(
                        study,
                        models,
                        files=files,
                        winner=winner,
                        ensemble=results.get("ensemble"),
                    )
            return sentences.retrained(results)

        recipe = self.config.retrain.model.recipe(self.dataset().split("train").num_rows)
        detail = f"{top} models in steps of {recipe.batch_size:,} rows"
        self._stage("retrain", detail, settings, work)

    def _check_search(self) -> None:
        """What a person removed since the search was finished is made again."""
        study = self.study()
        if len(finished_trials(study)) < self.config.search.n_trials:
            self.folder.forget(self._key("search"))
        elif logger := self.logger():
            describe_in_mlflow(study, logger, self.config, self.folder, self.dataset())
            if logger.sync(study):  # the store is another one than before
                show_front(study, self.folder.drawings, self.dataset().features, logger)
                self.folder.forget(self._key("retrain"))  # reads the models there are, logs them

    def report(self) -> None:
        """The HTML page, `report.html`, and one that compares the searches of the folder.

        Written anew each time, since it is quick.
        """
        started = time.perf_counter()
        self._reporter.begin("report")
        study = self.study()
        record, path = self.folder.record(), self.folder.report_of(self.place)
        seconds = {stage: record.get(self._key(stage), {}).get("seconds") for stage in STAGES}
        data = data_summary(self.folder, self.dataset())
        write_report(
            path,
            study=study,
            results=read_results(self.folder.results_of(self.place)),
            dataset_summary=data,
            facts=facts_of(
                self.config, self._space, source=data["source"], rows=data["rows"]["train"]
            ),
            stages={stage: took for stage, took in seconds.items() if took is not None},
            title=self.study_name,
            proposer=name_of_proposer(self.config.search),
        )
        logger = self.logger()
        if logger:
            logger.log_artifact(study, path)
        self.folder.finish(self._key("report"), {}, time.perf_counter() - started)
        is_compared = compare(self.folder)
        more = f", all searches in {self.folder.comparison}" if is_compared else ""
        self._reporter.end(f"{path}{more}")
