"""The application: its commands by name, and what happens to errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import typer
import typer.core

from nasrec_opt.cli import _architectures, _compare, _generate, _inspect, _models, _schema, _stages
from nasrec_opt.errors import NasrecError

COMMANDS: dict[str, Callable[..., None]] = {  # in the order of --help
    "generate": _generate.generate,
    "schema": _schema.schema,
    "prepare": _stages.prepare,
    "inspect": _inspect.inspect,
    "run": _stages.run,
    "baselines": _stages.baselines,
    "train": _stages.train,
    "search": _stages.search,
    "retrain": _stages.retrain,
    "report": _stages.report,
    "open": _stages.open_,
    "predict": _models.predict,
    "export": _models.export,
    "register": _models.register,
    "compare": _compare.compare,
    "show": _architectures.show,
    "cost": _architectures.cost,
    "motifs": _architectures.motifs,
    "prune": _models.prune,
}

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

for name, command in COMMANDS.items():
    app.command(name)(command)


def main() -> None:
    """Run the command line, in the first of the processes that `torchrun` starts."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ:
        _run()
        return
    from nasrec_opt.pipeline import help_to_train, joined

    with joined() as is_first:
        if not is_first:
            sys.exit(help_to_train())
        _run()


def _run() -> None:
    """Run a command; an error that a user can cause is one sentence with exit code 2."""
    from hw.errors import HwError

    # MLflow would print two lines for each run on a server that it closes.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
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
