"""Types of everything that ships; a test, so that the other core does not wait for it."""

from __future__ import annotations

import subprocess
import sys

from conftest import REPOSITORY


def test_mypy_accepts_what_ships():
    checked = subprocess.run(
        [sys.executable, "-m", "mypy"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
