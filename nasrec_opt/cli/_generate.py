"""The command that writes a synthetic log."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nasrec_opt.data import GeneratedLog


def generate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The new folder.")],
    like: Annotated[
        str,
        typer.Option("--like", metavar="criteo|avazu|kdd2012", help="The public log to imitate."),
    ],
    rows: Annotated[int, typer.Option("--rows", metavar="N", help="Rows of the log.")],
    seed: Annotated[int, typer.Option(help="Seed of everything but the split.")] = 0,
    vocabulary: Annotated[
        str,
        typer.Option(
            "--vocabulary",
            metavar="realistic|small",
            help="Distinct values as in the public log, or 300 a column at most.",
        ),
    ] = "realistic",
    drift: Annotated[
        float,
        typer.Option(
            "--drift",
            metavar="D",
            help="How far popularity and effects move from the first row to the end, 0 to 1.",
        ),
    ] = 0.0,
    truth: Annotated[
        str | None,
        typer.Option(
            "--truth",
            metavar="GENOTYPE.json|RUN|results.json|MODEL|published:NAME",
            help="Draw clicks from this model with random weights (default: from planted "
            "interactions).",
        ),
    ] = None,
    signal: Annotated[
        float,
        typer.Option(
            "--signal", metavar="S", help="Standard deviation of the log odds of --truth."
        ),
    ] = 1.5,
    file_format: Annotated[
        str,
        typer.Option("--file-format", metavar="text|gz|zst|parquet", help="Of the log's file."),
    ] = "text",
    split_seed: Annotated[
        int, typer.Option(help="Seed of the split whose metrics are printed.")
    ] = 0,
) -> None:
    """Write a synthetic log in the raw format of a public one, with known probabilities."""
    from nasrec_opt.data import generate_log
    from nasrec_opt.pipeline import ConsoleReporter

    annotate = log_odds = None
    if truth is not None:
        from nasrec_opt.pipeline import read_target, truth_of

        genotype = read_target(truth).genotype
        annotate = partial(_write_genotype, genotype.to_json())
        log_odds = truth_of(genotype, like=like, vocabulary=vocabulary, seed=seed)  # type: ignore[arg-type]
    with ConsoleReporter() as reporter:
        reporter.begin("generate", str(out))
        log = generate_log(
            out,
            like=like,  # type: ignore[arg-type] # it checks
            rows=rows,
            seed=seed,
            vocabulary=vocabulary,  # type: ignore[arg-type]
            drift=drift,
            log_odds=log_odds,
            signal=signal,
            file_format=file_format,  # type: ignore[arg-type]
            split_seed=split_seed,
            progress=reporter.advance,
            annotate=annotate,
        )
    print(log.file)
    for line in _in_words(log):
        print(line)


def _write_genotype(text: str, folder: Path) -> None:
    (folder / "genotype.json").write_text(f"{text}\n", encoding="utf-8")


def _in_words(log: GeneratedLog) -> list[str]:
    """A sentence for each split that has clicks."""
    lines = []
    for name, found in log.metrics.items():
        if found["bayes_auc"] is not None:
            lines.append(
                f"{name}: {found['clicks']:,.0f} clicks of {found['shows']:,.0f}, log loss of the "
                f"click rate {found['constant_log_loss']:.4f}, of the true probabilities "
                f"{found['bayes_log_loss']:.4f} (AUC {found['bayes_auc']:.4f})"
            )
    return lines
