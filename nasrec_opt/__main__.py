"""`python -m nasrec_opt`, the same as `nasrec-opt`."""

from __future__ import annotations

from nasrec_opt.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
