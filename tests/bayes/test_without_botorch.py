"""What needs no BoTorch, and what is said where it is not installed."""

from __future__ import annotations

import subprocess
import sys

from conftest import environment


def test_botorch_is_asked_for_when_needed_and_imported_no_sooner():
    code = (
        "import sys\n"
        "from nasrec_opt.bayes import PoolBayesSampler\n"
        "from nasrec_opt.errors import MissingExtraError\n"
        "from nasrec_opt.space import SearchSpace\n"
        "assert 'torch' not in sys.modules\n"
        "sys.modules['botorch'] = None\n"  # as if it were not installed
        "try:\n"
        "    PoolBayesSampler(SearchSpace.nasrec_small())\n"
        "except MissingExtraError as error:\n"
        "    print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True
    )
    assert result.stdout == "BoTorch is not installed: pip install 'nasrec-opt[bayes]'\n"
