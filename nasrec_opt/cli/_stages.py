"""Commands that prepare a log and run the stages of a study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from nasrec_opt.cli._arguments import (
    DataOption,
    FormatOption,
    ModelOption,
    OutOption,
    RayOption,
    RunPath,
    StudyPath,
    architecture_at,
    run_at,
)
from nasrec_opt.cli._compare import compare
from nasrec_opt.cli._reporting import reporting
from nasrec_opt.errors import StudyError

if TYPE_CHECKING:
    from nasrec_opt.data import Count
    from nasrec_opt.options import Layout
    from nasrec_opt.pipeline import StudyConfig


def prepare(
    data: Annotated[
        list[Path],
        typer.Argument(metavar="DATA...", help="The click log: files, a folder, or a pattern."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the dataset.")],
    log_format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="criteo|avazu|kdd2012|SCHEMA.toml",
            help="How the log is laid out.",
        ),
    ] = "criteo",
    seed: Annotated[int, typer.Option(help="Seed of the 80/10/10 split.")] = 0,
    layout: Annotated[
        str,
        typer.Option(
            metavar="default|published",
            help="Columns of a public log: ours, or those of the paper's code.",
        ),
    ] = "default",
    count: Annotated[
        str | None,
        typer.Option(
            metavar="line|impression|weight",
            help="What a line of kdd2012 becomes: a row, a row for each show, weighted rows.",
        ),
    ] = None,
    users: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="User profiles of kdd2012: userid_profile.txt."),
    ] = None,
    min_count: Annotated[
        int | None, typer.Option(help="Rarer values share one id (default: the schema's).", min=1)
    ] = None,
    max_values: Annotated[
        int | None,
        typer.Option(min=1, help="Most values of a column with an id; others count as rare."),
    ] = None,
) -> None:
    """Turn a click log into a dataset: split, vocabularies, memory-mapped columns."""
    from nasrec_opt.data import prepare as prepare_log
    from nasrec_opt.inspection import dataset_warnings
    from nasrec_opt.pipeline import ConsoleReporter, print_findings

    with ConsoleReporter() as reporter:
        reporter.begin("prepare", ", ".join(map(str, data)))
        before = _written(out)
        dataset = prepare_log(
            data,
            out,
            format=log_format,
            layout=cast("Layout", layout),
            count=cast("Count | None", count),
            users=users,
            seed=seed,
            min_count=min_count,
            max_values=max_values,
            progress=reporter.advance,
        )
    rows = ", ".join(
        f"{dataset.split(name).num_rows:,} {name}" for name in ("train", "validation", "test")
    )
    is_same = _written(out) == before
    print(f"{out}: {rows} rows{', as before: nothing to do' if is_same else ''}")
    if not is_same:
        print_findings(dataset_warnings(dataset))


def _written(out: Path) -> int | None:
    """When a dataset was written, or None where there is none."""
    try:
        return (out / "dataset.json").stat().st_mtime_ns
    except OSError:
        return None


def run(
    study: StudyPath,
    data: DataOption = None,
    log_format: FormatOption = None,
    out: OutOption = None,
    ray: RayOption = None,
) -> None:
    """Run all stages of a study; finished ones are skipped, an interrupted one continues."""
    _run_stages(study, data, log_format, out, ray=ray)


def baselines(
    study: StudyPath,
    data: DataOption = None,
    log_format: FormatOption = None,
    out: OutOption = None,
) -> None:
    """Fit the click rate and logistic regression (prepares the log first if needed)."""
    _run_stages(study, data, log_format, out, "baselines")


def train(
    study: StudyPath,
    data: DataOption = None,
    log_format: FormatOption = None,
    out: OutOption = None,
) -> None:
    """Train the supernet of a study (runs missing earlier stages first)."""
    _run_stages(study, data, log_format, out, "train")


def search(
    study: StudyPath,
    data: DataOption = None,
    log_format: FormatOption = None,
    out: OutOption = None,
    ray: RayOption = None,
) -> None:
    """Search with the trained supernet (runs missing earlier stages first)."""
    _run_stages(study, data, log_format, out, "search", ray)


def retrain(
    study: Annotated[
        Path | None,
        typer.Argument(metavar="[STUDY.toml]", help="The study file; optional with --genotype."),
    ] = None,
    genotype: Annotated[
        list[str] | None,
        typer.Option(
            "--genotype",
            metavar="GENOTYPE.json|RUN|results.json|STUDY.toml|MODEL|published:NAME|like:NAME",
            help="Train this model instead, without a search; may be given several times. "
            "published:criteo-small, say, is a model of the paper, like:deepfm a hand-made one; "
            "published means all six, like all three.",
        ),
    ] = None,
    model: ModelOption = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="small_log|paper",
            help="How models of --genotype are trained (default: as the study says, or small_log).",
        ),
    ] = None,
    data: DataOption = None,
    log_format: FormatOption = None,
    out: OutOption = None,
    ray: RayOption = None,
) -> None:
    """Train the best found models from scratch, or given models without a search."""
    if genotype:
        names = [architecture_at(name) for name in genotype]
        _train_given(names, model, recipe, study, data, log_format, out, ray)
        return
    if study is None:
        raise StudyError("retrain: expected a study file, or --genotype, got neither")
    for option, value in {"--model": model, "--recipe": recipe}.items():
        if value is not None:
            raise StudyError(f"{option}: expected only with --genotype")
    _run_stages(study, data, log_format, out, "retrain", ray)


def report(
    study: StudyPath,
    data: DataOption = None,
    log_format: FormatOption = None,
    out: OutOption = None,
) -> None:
    """Write the HTML report of a run (runs missing earlier stages first)."""
    _run_stages(study, data, log_format, out, "report")


def open_(
    run: RunPath,
) -> None:
    """Print the commands that open a run; after a move, point MLflow at its artifacts."""
    from nasrec_opt.pipeline import open_run

    print(open_run(run_at(run)))


def _train_given(
    names: list[str],
    rank: int | None,
    recipe: str | None,
    study: Path | None,
    data: list[Path] | None,
    log_format: str | None,
    out: Path | None,
    ray: str | None,
) -> None:
    from nasrec_opt.pipeline import StudyConfig

    config = StudyConfig(name="retrained") if study is None else StudyConfig.from_toml(study)
    config = _with(config, log_format, ray)
    if recipe is not None:
        config = replace(config, retrain=config.retrain.with_recipe(recipe))  # type: ignore[arg-type]
    with reporting() as reporter:
        from nasrec_opt.pipeline import GivenModels, given_genotypes

        genotypes = given_genotypes(names, config, model=rank)
        given = GivenModels(genotypes, config, out or Path("runs") / config.name)
        given.train(_source(data), reporter)
    print(given.in_words())


def _source(data: list[Path] | None) -> Path | list[Path] | None:
    return data[0] if data and len(data) == 1 else data or None


def _with(config: StudyConfig, log_format: str | None, ray: str | None) -> StudyConfig:
    """The study with what its command says instead."""
    if log_format is not None:
        config = replace(config, data=replace(config.data, format=log_format))
    if ray is not None:
        try:
            config = replace(config, ray=replace(config.ray, address=ray))
        except StudyError as error:
            raise StudyError(f"--ray: {error}") from None
    return config


def _run_stages(
    study: Path,
    data: list[Path] | None,
    log_format: str | None,
    out: Path | None,
    until: str | None = None,
    ray: str | None = None,
) -> None:
    from nasrec_opt.pipeline import StudyConfig

    config = StudyConfig.from_toml(study)  # first, so that a typo is reported at once
    config = _with(config, log_format, ray)
    with reporting() as reporter:
        from nasrec_opt.pipeline import how_to_open, run_study

        finished = run_study(
            config,
            out or Path("runs") / config.name,
            data=_source(data),
            until=until,
            reporter=reporter,
        )
    if not config.has_search:
        if until not in ("prepare", "baselines"):
            compare(finished.folder.path)
    elif until in (None, "report"):
        print(how_to_open(finished.folder, finished.place))
