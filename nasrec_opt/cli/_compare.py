"""The command that compares the models of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from nasrec_opt.cli._arguments import RunPath, run_at
from nasrec_opt.cli._reporting import reporting
from nasrec_opt.errors import StudyError


def compare(
    run: RunPath,
    baselines: Annotated[
        str | None,
        typer.Option(
            "--baselines",
            metavar="NAME,...|all",
            help="Tune and train these on the run's log first: wide-deep, deepfm, xdeepfm, "
            "autoint, dcn, dcn-v2, dlrm, finalmlp; all: those whose library is installed.",
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(metavar="N", help="Trainings that tune each (default: 10 without --seconds)."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds of tuning for each.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", help="Trained models of each (default: 3).")
    ] = None,
    random: Annotated[
        bool,
        typer.Option(
            "--random", help="Run a random search with the budget of the run's search first."
        ),
    ] = False,
    published: Annotated[
        bool,
        typer.Option("--published", help="Train the six models of the paper on the log first."),
    ] = False,
    like: Annotated[
        bool,
        typer.Option(
            "--like",
            help="Train genotypes that are like DLRM, DeepFM and Wide & Deep on the log first.",
        ),
    ] = False,
) -> None:
    """Compare all trained models and baselines of a run; also in its report and as .md and .csv."""
    from nasrec_opt.pipeline import compare_models, write_table
    from nasrec_opt.report import to_markdown

    run = run_at(run)
    genotypes = [name for name, is_given in (("published", published), ("like", like)) if is_given]
    for option, value in {"--trials": trials, "--seconds": seconds}.items():
        if value is not None and baselines is None:
            raise StudyError(f"{option}: expected only with --baselines")
    if seeds is not None and baselines is None and not genotypes:
        raise StudyError("--seeds: expected only with --baselines, --published or --like")
    if random or genotypes or baselines is not None:
        with reporting() as reporter:
            from nasrec_opt.pipeline import Budget, Competitors, train_competitors

            budget = Budget(trials=trials, seconds=seconds)
            if seeds is not None:
                budget = replace(budget, seeds=seeds)
            competitors = Competitors(
                random=random, genotypes=tuple(genotypes), baselines=baselines, budget=budget
            )
            train_competitors(run, competitors, reporter)
    rows = compare_models(run)
    files = write_table(rows, run)
    print(to_markdown(rows))
    print(*files, sep="\n")
    if all(file.suffix != ".html" for file in files):
        print("`nasrec-opt report STUDY.toml` writes the report, with this table in it")
