"""How a study's script meets the terminal: progress, a sentence for what goes wrong, exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from nasrec_opt.errors import NasrecError
from nasrec_opt.pipeline import ConsoleReporter, Reporter

INTERRUPTED = 130  # what shells report for a process ended by Ctrl-C


def execute(
    name: str, run: Callable[[argparse.Namespace, Reporter], None], options: argparse.Namespace
) -> int:
    """Run a study; every error of the user's is one sentence and exit code 2.

    Args:
        name: What the sentence begins with.
        run: The study.
        options: What it is given.

    Returns:
        The exit code.
    """
    try:
        with ConsoleReporter() as reporter:
            run(options, reporter)
    except NasrecError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: interrupted; run the same command again to continue", file=sys.stderr)
        return INTERRUPTED
    return 0
