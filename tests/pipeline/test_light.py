"""A study file is read, and what is wrong with it said, before a heavy package is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "sklearn", "pandas", "mlflow", "scipy", "safetensors", "matplotlib")
REPORT = f"""
import json
print(json.dumps([name for name in {HEAVY} if name in sys.modules]))
"""


def loaded(code: str, *arguments: str) -> list[str]:
    """Heavy packages that a process has loaded after some code, which gets the arguments."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}{REPORT}", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("study", ["quickstart.toml", "criteo_codesign.toml", "criteo_full.toml"])
def test_a_study_is_read_and_checked_without_heavy_packages(study):
    code = """
from nasrec_opt.pipeline import StudyConfig
from nasrec_opt.pipeline._checks import check_study
check_study(StudyConfig.from_toml(sys.argv[1]))
"""
    assert loaded(code, str(ROOT / "studies" / study)) == []


FAULTS = {
    "an unknown key": '[search]\nsampller = "tpe"\n',
    "a wrong value": '[supernet]\npath_sampling = "single-many"\n',
    "values that contradict each other": '[search]\npruner = "median"\n',
    "a technology that is not there": '[hardware]\ntechnology = "mine.toml"\n',
    "a schema that is not there": '[data]\nformat = "mine.toml"\n',
    "a genotype that is not there": '[search]\ninitial = ["mine.json"]\n',
    "bits that crossbars do not hold": "[space]\nbits = [32]\n",
    "bits that are not ranked as floats": '[space]\nbits = [4]\n[oracle]\nbits = "float"\n',
    "sizes that do not fit": "[search.evolution]\npopulation_size = 4\ntournament_size = 8\n",
}


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_said_before_a_heavy_package_is_loaded(text, tmp_path):
    study = tmp_path / "study.toml"
    study.write_text(text)
    code = """
from nasrec_opt.cli import main
try:
    main()
except SystemExit as end:
    assert end.code == 2, end.code
"""
    run = ("run", str(study), "--out", str(tmp_path / "run"))
    assert loaded(code, *run) == []
    assert not (tmp_path / "run").exists()


def test_a_missing_log_is_missed_before_a_heavy_package_is_loaded(tmp_path):
    study = tmp_path / "study.toml"
    study.write_text("")
    code = """
from pathlib import Path
from nasrec_opt.errors import DataError
from nasrec_opt.pipeline import StudyConfig, run_study
try:
    run_study(StudyConfig.from_toml(sys.argv[1]), Path(sys.argv[2]), data=Path("gone.tsv"))
except DataError:
    pass
"""
    assert loaded(code, str(study), str(tmp_path / "run")) == []


def test_options_need_no_heavy_package():
    assert loaded("import nasrec_opt.options\n") == []
