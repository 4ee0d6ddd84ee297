"""A study file is read, and what is wrong with it said, before a heavy package is loaded.

One process, which begins from nothing, goes through all cases: it notes what each of them loads.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "sklearn", "pandas", "mlflow", "scipy", "safetensors", "matplotlib")
PROCESS = """
import json, sys, traceback
heavy, cases = json.load(sys.stdin)
found = {}
for name, (code, arguments) in cases.items():
    before, error = set(sys.modules), ""
    sys.argv[1:] = arguments
    try:
        exec(code, {})
    except BaseException:
        error = traceback.format_exc()
    found[name] = [sorted(set(heavy) & (set(sys.modules) - before)), error]
print(json.dumps(found))
"""
OPTIONS = "import nasrec_opt.options"
CHECK = """
import sys
from nasrec_opt.pipeline import StudyConfig
from nasrec_opt.pipeline._checks import check_study
check_study(StudyConfig.from_toml(sys.argv[1]))
"""
REFUSE = """
from nasrec_opt.cli import main
try:
    main()
except SystemExit as end:
    assert end.code == 2, end.code
else:
    raise AssertionError("the fault was not found")
"""
WITHOUT_A_LOG = """
import sys
from pathlib import Path
from nasrec_opt.errors import DataError
from nasrec_opt.pipeline import StudyConfig, run_study
try:
    run_study(StudyConfig.from_toml(sys.argv[1]), Path(sys.argv[2]), data=Path("gone.tsv"))
except DataError:
    pass
else:
    raise AssertionError("the log was not missed")
"""
STUDIES = ("quickstart.toml", "criteo_codesign.toml", "criteo_full.toml")
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
MISSED = "a log that is not there"


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def found(runs) -> dict[str, list]:
    """The heavy packages that each case loads, and the error that it ends with."""
    cases = {"options": (OPTIONS, [])}
    cases |= {study: (CHECK, [str(ROOT / "studies" / study)]) for study in STUDIES}
    for number, (name, text) in enumerate((FAULTS | {MISSED: ""}).items()):
        file, out = runs / f"{number}.toml", str(runs / name)
        file.write_text(text)
        cases[name] = (
            (WITHOUT_A_LOG, [str(file), out])
            if name == MISSED
            else (REFUSE, ["run", str(file), "--out", out])
        )
    done = subprocess.run(
        [sys.executable, "-c", PROCESS],
        input=json.dumps((HEAVY, cases)),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_options_need_no_heavy_package(found):
    assert found["options"] == [[], ""]


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_is_read_and_checked_without_heavy_packages(study, found):
    assert found[study] == [[], ""]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_said_before_a_heavy_package_is_loaded(name, found, runs):
    assert found[name] == [[], ""]
    assert not (runs / name).exists()


def test_a_missing_log_is_missed_before_a_heavy_package_is_loaded(found):
    assert found[MISSED] == [[], ""]
