"""How long generated logs take: processor seconds, peak memory and size, each in its own process.

    python -m benchmarks.generate [--rows 1000000] [--like criteo avazu kdd2012]

Each line is one `nasrec-opt generate OUT --like LOG --rows N`, start-up included. The log is
removed afterwards.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FORMATS = ("text", "zst")


def main() -> None:
    """Print a line for each log and kind of file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of each log")
    parser.add_argument("--like", nargs="+", default=["criteo", "avazu", "kdd2012"])
    parser.add_argument("--file-format", nargs="+", default=FORMATS[:1], choices=FORMATS)
    options = parser.parse_args()
    print(f"{'log':16}{'rows':>12}{'CPU s':>8}{'rows/CPU s':>12}{'peak MB':>9}{'file MB':>9}")
    for like in options.like:
        for kind in options.file_format:
            with tempfile.TemporaryDirectory() as temporary:
                out = Path(temporary) / "log"
                seconds, peak = cost_of(
                    "generate", out, "--like", like, "--rows", options.rows, "--file-format", kind
                )
                size = max(path.stat().st_size for path in out.glob("train*")) / 1e6
            rate = options.rows / seconds
            name = like if kind == "text" else f"{like} {kind}"
            print(f"{name:16}{options.rows:12,}{seconds:8.1f}{rate:12,.0f}{peak:9.0f}{size:9.0f}")


def cost_of(*arguments: object) -> tuple[float, float]:
    """Processor seconds and peak memory (MB) of a command of nasrec-opt."""
    command = [sys.executable, "-m", "nasrec_opt", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
