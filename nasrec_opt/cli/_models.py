"""Commands for the trained models of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nasrec_opt.cli._arguments import ModelOption, RunPath, run_at
from nasrec_opt.cli._reporting import reporting
from nasrec_opt.errors import StudyError

RankOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="N|best|ensemble",
        help="Rank of the retrained model, the run's winner, or its ensemble.",
    ),
]


def predict(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|results.json|STUDY.toml|MODEL",
            help="A run, its results or study, or the folder of a trained or exported model.",
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
    predictor = load_predictor(run_at(run), model=_rank(model))
    write_probabilities(predict_path(predictor, rows), out)


def export(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|results.json|STUDY.toml|MODEL",
            help="A run, its results or study, or the folder of a trained model.",
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
    run = run_at(run)
    chosen = check_format(format_)
    if int8:
        if chosen != "onnx":
            raise StudyError(f"--int8: expected --format onnx, got {chosen}")
        print(export_int8(run, out, model=_rank(model)).in_words())
        print(out)
        return
    write_export(Predictor.load(run, model=_rank(model)), out, format=chosen)
    print(out)


def register(
    run: RunPath,
    model: RankOption = "best",
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name in the registry (default: the study's)."),
    ] = None,
) -> None:
    """Make a trained model of a run the champion of its name in MLflow's registry."""
    from nasrec_opt.pipeline import register_model

    found = register_model(run_at(run), model=_rank(model), name=name)
    print(f"{found.address}: version {found.version}{'' if found.is_new else ', as before'}")


def prune(
    run: RunPath,
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
    run = run_at(run)
    with reporting() as reporter:
        from nasrec_opt.pipeline import print_pruning, prune_model
        from nasrec_opt.pruning import PruneConfig

        config = PruneConfig(method=method, rounds=rounds)  # type: ignore[arg-type] # it checks
        figures = prune_model(run, config, model=model, out=out, reporter=reporter)
    print_pruning(figures)


def _rank(model: str) -> Any:
    return int(model) if model.isdecimal() else model
