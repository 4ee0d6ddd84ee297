"""The command line: it parses arguments and prints; the packages below do the work.

Heavy packages are imported inside the commands, so that `nasrec-opt --help` answers at once.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from nasrec_opt.errors import NasrecError, StudyError

INTERRUPTED = 130  # what shells report for a process ended by Ctrl-C


class _Commands(typer.core.TyperGroup):
    """Prints a sentence when a command is interrupted, which Typer alone does not."""

    def invoke(self, ctx: Any) -> Any:  # Click's context, which newer Typers keep private
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print(
                "nasrec-opt: interrupted; run the same command again to continue", file=sys.stderr
            )
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    name="nasrec-opt",
    cls=_Commands,
    help="Search click-through-rate models and their accelerators with Optuna.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

StudyPath = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study file.")]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DATA", help="The click log (default: the study's, or the synthetic one)."
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="The run folder (default: runs/<study name>)."),
]
TargetPath = Annotated[
    str,
    typer.Argument(
        metavar="GENOTYPE.json|RUN|results.json|MODEL|published:NAME",
        help="A genotype, a run folder, the results.json of a run, the folder of a trained model, "
        "or a model of the paper, such as published:criteo-small.",
    ),
]
ModelOption = Annotated[
    int | None,
    typer.Option(
        "--model", metavar="N", help="Rank of the retrained model of a run (default: 1, the best)."
    ),
]
RankOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="N|best|ensemble",
        help="Rank of the retrained model, the run's winner, or its ensemble.",
    ),
]
RunOption = Annotated[
    Path | None,
    typer.Option(
        "--run", metavar="RUN", help="The run whose columns and accelerator to use for a genotype."
    ),
]


def main() -> None:
    """Run the command line; an error that a user can cause is one sentence with exit code 2."""
    from hw.errors import HwError

    try:
        app(standalone_mode=True)
    except (NasrecError, HwError) as error:
        print(f"nasrec-opt: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a place that cannot be written, a name too long, a full disk
        place = f"{error.filename}: " if error.filename else ""
        reason = error.strerror or error
        print(
            f"nasrec-opt: {place}expected a path that can be read and written, got: {reason}",
            file=sys.stderr,
        )
        sys.exit(2)


@app.command()
def prepare(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The click log, plain or .gz.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the dataset.")],
    log_format: Annotated[
        str,
        typer.Option("--format", metavar="criteo|SCHEMA.toml", help="How the log is laid out."),
    ] = "criteo",
    seed: Annotated[int, typer.Option(help="Seed of the 80/10/10 split.")] = 0,
    min_count: Annotated[
        int | None, typer.Option(help="Rarer values share one id (default: the schema's).", min=1)
    ] = None,
) -> None:
    """Turn a click log into a dataset: split, vocabularies, memory-mapped columns."""
    from nasrec_opt.data import prepare as prepare_log
    from nasrec_opt.pipeline import ConsoleReporter

    with ConsoleReporter() as reporter:
        reporter.begin("prepare", str(data))
        dataset = prepare_log(
            data,
            out,
            format=log_format if log_format == "criteo" else Path(log_format),
            seed=seed,
            min_count=min_count,
            progress=reporter.advance,
        )
    rows = ", ".join(
        f"{dataset.split(name).num_rows:,} {name}" for name in ("train", "validation", "test")
    )
    print(f"{out}: {rows} rows")


@app.command()
def run(study: StudyPath, data: DataOption = None, out: OutOption = None) -> None:
    """Run all stages of a study; finished ones are skipped, an interrupted one continues."""
    _run_stages(study, data, out)


@app.command()
def baselines(study: StudyPath, data: DataOption = None, out: OutOption = None) -> None:
    """Fit the click rate and logistic regression (prepares the log first if needed)."""
    _run_stages(study, data, out, "baselines")


@app.command()
def train(study: StudyPath, data: DataOption = None, out: OutOption = None) -> None:
    """Train the supernet of a study (runs missing earlier stages first)."""
    _run_stages(study, data, out, "train")


@app.command()
def search(study: StudyPath, data: DataOption = None, out: OutOption = None) -> None:
    """Search with the trained supernet (runs missing earlier stages first)."""
    _run_stages(study, data, out, "search")


@app.command()
def retrain(
    study: Annotated[
        Path | None,
        typer.Argument(metavar="[STUDY.toml]", help="The study file; optional with --genotype."),
    ] = None,
    genotype: Annotated[
        list[str] | None,
        typer.Option(
            "--genotype",
            metavar="GENOTYPE.json|RUN|results.json|MODEL|published:NAME",
            help="Train this model instead, without a search; may be given several times. "
            "published:criteo-small, say, is a model of the paper; published means all six.",
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
    out: OutOption = None,
) -> None:
    """Train the best found models from scratch, or given models without a search."""
    if genotype:
        _train_given(genotype, model, recipe, study, data, out)
        return
    if study is None:
        raise StudyError("retrain: expected a study file, or --genotype, got neither")
    for option, value in {"--model": model, "--recipe": recipe}.items():
        if value is not None:
            raise StudyError(f"{option}: expected only with --genotype")
    _run_stages(study, data, out, "retrain")


@app.command()
def report(study: StudyPath, data: DataOption = None, out: OutOption = None) -> None:
    """Write the HTML report of a run (runs missing earlier stages first)."""
    _run_stages(study, data, out, "report")


@app.command(name="open")
def open_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The run folder.")],
) -> None:
    """Print the commands that open a run; after a move, point MLflow at its artifacts."""
    from nasrec_opt.pipeline import open_run

    print(open_run(folder))


@app.command()
def predict(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|results.json|MODEL",
            help="A run, or the folder of a trained or exported model.",
        ),
    ],
    rows: Annotated[
        Path,
        typer.Argument(
            metavar="ROWS", help="Rows in the log's layout, text or .parquet; - is standard input."
        ),
    ],
    model: RankOption = "1",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="A .csv or .parquet file (default: standard output)."
        ),
    ] = None,
) -> None:
    """Predict the click probability of each row of a file."""
    from nasrec_opt.serving import check_out, load_predictor, predict_path, write_probabilities

    check_out(out)
    predictor = load_predictor(run, model=_rank(model))
    write_probabilities(predict_path(predictor, rows), out)


@app.command()
def export(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|results.json|MODEL", help="A run, or the folder of a trained model."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="The new folder of the exported model.")
    ],
    model: RankOption = "1",
    format_: Annotated[
        str,
        typer.Option(
            "--format", metavar="onnx|torch|mlflow", help="For ONNX Runtime, torch, or MLflow."
        ),
    ] = "onnx",
    int8: Annotated[
        bool,
        typer.Option(
            "--int8",
            help="Compute products of 8 bits in int8; prints what that costs in log loss on the "
            "run's rows.",
        ),
    ] = False,
) -> None:
    """Write a trained model for ONNX Runtime, torch or MLflow, with what reads raw rows."""
    from nasrec_opt.serving import Predictor, check_format, check_new, export_int8
    from nasrec_opt.serving import export as write_export

    check_new(out)  # first: loading a model takes a while
    chosen = check_format(format_)
    if int8:
        if chosen != "onnx":
            raise StudyError(f"--int8: expected --format onnx, got {chosen}")
        print(export_int8(run, out, model=_rank(model)).in_words())
        print(out)
        return
    write_export(Predictor.load(run, model=_rank(model)), out, format=chosen)
    print(out)


@app.command()
def register(
    run: Annotated[
        Path, typer.Argument(metavar="RUN|results.json", help="A run with retrained models.")
    ],
    model: RankOption = "best",
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name in the registry (default: the study's)."),
    ] = None,
) -> None:
    """Make a trained model of a run the champion of its name in MLflow's registry."""
    from nasrec_opt.pipeline import register_model

    found = register_model(run, model=_rank(model), name=name)
    print(f"{found.address}: version {found.version}{'' if found.is_new else ', as before'}")


@app.command()
def compare(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|results.json|STUDY.toml",
            help="A finished run, its results, or the study of the run in runs/<study name>.",
        ),
    ],
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
) -> None:
    """Compare all trained models and baselines of a run; also in its report and as .md and .csv."""
    from nasrec_opt.pipeline import compare_models, write_table
    from nasrec_opt.report import to_markdown

    run = _run_of(run)
    if baselines is not None:
        _train_baselines(run, baselines, trials, seconds, seeds)
    for option, value in {"--trials": trials, "--seconds": seconds, "--seeds": seeds}.items():
        if value is not None and baselines is None:
            raise StudyError(f"{option}: expected only with --baselines")
    rows = compare_models(run)
    files = write_table(rows, run)
    print(to_markdown(rows))
    print(*files, sep="\n")
    if all(file.suffix != ".html" for file in files):
        print("`nasrec-opt report STUDY.toml` writes the report, with this table in it")


@app.command()
def show(
    target: TargetPath,
    out: Annotated[Path, typer.Option("--out", metavar="x.svg|x.png", help="The picture.")],
    model: ModelOption = None,
    run: RunOption = None,
) -> None:
    """Draw one architecture as SVG or PNG."""
    from nasrec_opt.pipeline import read_target
    from nasrec_opt.report import draw

    found = read_target(target, model=model, run=run)
    draw(found.genotype, out, None if found.conditions.assumed else found.conditions.features)
    print(out)


@app.command()
def cost(
    target: TargetPath,
    model: ModelOption = None,
    run: RunOption = None,
    accelerator: Annotated[
        Path | None,
        typer.Option(
            "--accelerator",
            metavar="TECH.toml",
            help="Technology of the accelerator, or the name of one that ships: handcrafted.toml, "
            "recnmp.toml, cpu.toml (default: the run's, or reram_32nm.toml).",
        ),
    ] = None,
    num_dense: Annotated[
        int | None, typer.Option(min=0, help="Dense columns without a run (default: 13).")
    ] = None,
    num_sparse: Annotated[
        int | None, typer.Option(min=1, help="Sparse columns without a run (default: 26).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="x.svg|x.png", help="Draw the cost by operator and component."
        ),
    ] = None,
) -> None:
    """Print what one architecture costs on the accelerator, by operator and by component."""
    from nasrec_opt.pipeline import architecture_cost, print_cost, read_target

    found = read_target(
        target,
        model=model,
        run=run,
        technology=accelerator,
        num_dense=num_dense,
        num_sparse=num_sparse,
    )
    figures = architecture_cost(found.genotype, found.conditions, plot=plot)
    if as_json:
        print(json.dumps(figures, indent=2))
    else:
        print_cost(figures)


@app.command()
def motifs(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|results.json|GENOTYPE.json|published...",
            help="Runs (trials of their searches), their results.json (their retrained models), "
            "genotypes, the paper's six models (published) or one of them (published:criteo-full).",
        ),
    ],
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="K",
            min=1,
            help="The K best trials of a run by its first objective (default: its Pareto front).",
        ),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option("--search", metavar="NAME", help="A search of a run (default: its first)."),
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(
            "--space",
            metavar="SPACE.toml",
            help="The space to compare genotypes with (default: the preset that they name, with at "
            "most 4 inputs of a branch).",
        ),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Number of random models.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random models.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what the best models have in common, against random models of the space."""
    from nasrec_opt.pipeline import motif_groups, print_motifs

    groups = motif_groups(targets, top=top, search=search, space=space, samples=samples, seed=seed)
    if as_json:
        print(json.dumps([group.to_dict() for group in groups], indent=2))
    else:
        print_motifs(groups)


@app.command()
def prune(
    run: Annotated[
        Path, typer.Argument(metavar="RUN|results.json", help="A run with retrained models.")
    ],
    model: ModelOption = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of training and removing.")] = 5,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="mask|magnitude",
            help="Remove units by learned masks, or by the size of their weights.",
        ),
    ] = "mask",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="The result (default: RUN/pruned/model-<N>-<method>)."
        ),
    ] = None,
) -> None:
    """Make a retrained model smaller; a finished round is skipped, a stopped one begins again."""
    _set_threads()
    from nasrec_opt.pipeline import ConsoleReporter, print_pruning, prune_model
    from nasrec_opt.pruning import PruneConfig

    config = PruneConfig(method=method, rounds=rounds)  # type: ignore[arg-type] # it checks
    with ConsoleReporter() as reporter:
        figures = prune_model(run, config, model=model, out=out, reporter=reporter)
    print_pruning(figures)


def _train_given(
    names: list[str],
    rank: int | None,
    recipe: str | None,
    study: Path | None,
    data: Path | None,
    out: Path | None,
) -> None:
    _set_threads()
    from nasrec_opt.pipeline import ConsoleReporter, GivenModels, StudyConfig, given_genotypes

    config = StudyConfig(name="retrained") if study is None else StudyConfig.from_toml(study)
    if recipe is not None:
        config = replace(config, retrain=config.retrain.with_recipe(recipe))  # type: ignore[arg-type]
    genotypes = given_genotypes(names, config, model=rank)
    given = GivenModels(genotypes, config, out or Path("runs") / config.name)
    with ConsoleReporter() as reporter:
        given.train(data, reporter)
    print(given.in_words())


def _run_of(target: Path) -> Path:
    """The run of a study file, or the run itself."""
    if target.suffix != ".toml":
        return target
    from nasrec_opt.pipeline import StudyConfig

    return Path("runs") / StudyConfig.from_toml(target).name


def _train_baselines(
    run: Path, names: str, trials: int | None, seconds: float | None, seeds: int | None
) -> None:
    _set_threads()
    import optuna

    from nasrec_opt.pipeline import Budget, ConsoleReporter, train_baselines

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # the reporter prints the progress
    budget = Budget(trials=trials, seconds=seconds)
    if seeds is not None:
        budget = replace(budget, seeds=seeds)
    with ConsoleReporter() as reporter:
        train_baselines(run, names, budget, reporter)


def _rank(model: str) -> Any:
    return int(model) if model.isdecimal() else model


def _set_threads() -> None:
    # Read when torch is loaded. Threads that spin while they wait for each other are a sixth faster
    # on idle cores, but four times slower as soon as another process needs one of the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def _run_stages(study: Path, data: Path | None, out: Path | None, until: str | None = None) -> None:
    _set_threads()
    from nasrec_opt.pipeline import StudyConfig

    config = StudyConfig.from_toml(study)  # first, so that a typo is reported at once
    import optuna

    from nasrec_opt.pipeline import ConsoleReporter, how_to_open, run_study

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # the reporter prints the progress
    with ConsoleReporter() as reporter:
        finished = run_study(
            config,
            out or Path("runs") / config.name,
            data=data,
            until=until,
            reporter=reporter,
        )
    if not config.has_search:
        if until not in ("prepare", "baselines"):
            compare(finished.folder.path)
    elif until in (None, "report"):
        print(how_to_open(finished.folder, finished.place))
