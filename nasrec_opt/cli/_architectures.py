"""Commands for architectures, trained or not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from nasrec_opt.cli._arguments import ModelOption, architecture_at

TargetPath = Annotated[
    str,
    typer.Argument(
        metavar="GENOTYPE.json|RUN|results.json|STUDY.toml|MODEL|published:NAME|like:NAME",
        help="A genotype, a run folder, the results.json of a run, a study whose run is in "
        "runs/<study name>, the folder of a trained model, a model of the paper, such as "
        "published:criteo-small, or a hand-made one: like:dlrm, like:deepfm or like:wide-deep.",
    ),
]
RunOption = Annotated[
    Path | None,
    typer.Option(
        "--run", metavar="RUN", help="The run whose columns and accelerator to use for a genotype."
    ),
]


def show(
    target: TargetPath,
    out: Annotated[Path, typer.Option("--out", metavar="x.svg|x.png", help="The picture.")],
    model: ModelOption = None,
    run: RunOption = None,
) -> None:
    """Draw one architecture as SVG or PNG."""
    from nasrec_opt.pipeline import read_target
    from nasrec_opt.report import draw

    found = read_target(architecture_at(target), model=model, run=run)
    draw(found.genotype, out, None if found.conditions.assumed else found.conditions.features)
    print(out)


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
        architecture_at(target),
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


def motifs(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|results.json|STUDY.toml|GENOTYPE.json|published...|like...",
            help="Runs or their studies (trials of the searches), their results.json (their "
            "retrained models), genotypes, the paper's six models (published) or one of them "
            "(published:criteo-full), hand-made ones (like, like:deepfm).",
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

    targets = [architecture_at(target) for target in targets]
    groups = motif_groups(targets, top=top, search=search, space=space, samples=samples, seed=seed)
    if as_json:
        print(json.dumps([group.to_dict() for group in groups], indent=2))
    else:
        print_motifs(groups)
