"""The facts that the report lists are those of the study file."""

from __future__ import annotations

from pathlib import Path

from nasrec_opt.pipeline import StudyConfig
from nasrec_opt.pipeline._facts import facts_of

STUDY = """
name = "facts"
seed = 7
[space]
preset = "nasrec_small"
num_blocks = 3
[supernet]
batch_size = 100
epochs = 2
[oracle]
fidelity = "scratch"
rows = 5000
[oracle.scratch]
epochs = 3
[search]
constraints = { area_mm2 = 4.0 }
[search.evolution]
population_size = 16
tournament_size = 8
"""


def facts(tmp_path: Path, text: str) -> dict[str, str]:
    (tmp_path / "study.toml").write_text(text)
    config = StudyConfig.from_toml(tmp_path / "study.toml")
    return facts_of(config, config.space.build(), source="log.csv", rows=1050)


def test_facts_are_those_of_the_study_file(tmp_path):
    found = facts(tmp_path, STUDY)
    assert found["seed"] == "7"
    assert found["space"].startswith("nasrec_small, 3 choice blocks, ")
    assert found["sampler"].startswith("evolution, population_size 16, tournament_size 8, ")
    assert found["fidelity"].startswith("scratch, ")
    assert "epochs 3" in found["fidelity"]
    assert "steps" not in found["fidelity"]  # of fine-tuning, which this study does not do
    assert found["fidelity"].endswith("scored on 5,000 validation rows")
    assert found["supernet"] == "20 steps of 100 rows"
    assert found["retraining"] == "at most 4,000 steps of 32 rows, stopped on validation rows"
    assert found["constraints"] == "area_mm2 at most 4.0"
    assert found["technology"] == "reram_32nm.toml, which ships"


def test_another_sampler_has_none_of_its_options(tmp_path):
    text = STUDY.replace("[search]", '[search]\nsampler = "tpe"')
    assert facts(tmp_path, text)["sampler"] == "tpe"
