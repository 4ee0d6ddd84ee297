"""The command line: it parses arguments and prints; the packages below do the work.

Heavy packages are imported inside the commands, so that `nasrec-opt --help` answers at once.
"""

from __future__ import annotations

from nasrec_opt.cli._app import app, main

__all__ = ["app", "main"]
