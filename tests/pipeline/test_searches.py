"""Several searches in one run folder: which study a file means, and what each leaves."""

from __future__ import annotations

import json
import re
from pathlib import Path

import optuna
import pytest
from study_files import ONE_EPOCH, tiny_study_with

from nasrec_opt.pipeline import RunFolder, StudyConfig, run_study
from nasrec_opt.pipeline._schema import upgraded
from nasrec_opt.pipeline._searches import name_of_search, place_of, studies_of
from nasrec_opt.report import winner_in_words


def by(sampler: str, **evolution: int) -> dict[str, object]:
    """Settings of the first scheme, as this version reads them."""
    options = {"population_size": 8} | evolution
    then = {"sampler": sampler, "evolution": options, "oracle": {"fidelity": "supernet"}}
    then |= {"train": "", "hardware": {}, "objectives": ["log_loss"], "constraints": {}}
    return upgraded("search", then, {})


SMALL, LARGE = by("evolution"), by("evolution", population_size=16)


@pytest.mark.parametrize(
    ("settings", "studies", "expected"),
    [
        (by("nsga2"), {}, "a"),
        (SMALL, {"a": SMALL}, "a"),
        (by("nsga2"), {"a": SMALL}, "a-nsga2"),
        (LARGE, {"a": SMALL}, "a-evolution"),
        (by("evolution", population_size=32), {"a": SMALL, "a-evolution": LARGE}, "a-evolution-2"),
        (LARGE, {"a": SMALL, "a-evolution": LARGE}, "a-evolution"),
        (by("nsga2"), {"a-nsga2": by("nsga2")}, "a-nsga2"),  # as an older version named it
        (by("nsga2", population_size=3), {"a": by("nsga2")}, "a"),  # options it does not read
        (SMALL, {"a": None}, "a"),  # killed before it wrote its settings
        (SMALL, {"b": SMALL}, "a"),
        ({"search": {"engine": "ax", "ax": {"strategy": "ax"}}}, {"a": SMALL}, "a-ax-ax"),
    ],
)
def test_a_file_means_the_study_of_its_name_and_sampler(settings, studies, expected):
    assert name_of_search("a", settings, studies) == expected


def test_the_first_search_has_the_folder_and_others_a_place_in_it():
    assert place_of("a", {}) == ""
    assert place_of("a", {"a": None, "b": None}) == ""
    assert place_of("b", {"a": None, "b": None}) == "b"


def study_file(folder: Path, **changes: str) -> StudyConfig:
    """The tiny study, with other text in the places of some of its own."""
    text = tiny_study_with(search={"n_trials": 10}, retrain=ONE_EPOCH)
    for old, new in changes.items():
        text = re.sub(rf"^{old} = .*$", f"{old} = {new}", text, count=1, flags=re.MULTILINE)
    path = folder / "tiny.toml"
    path.write_text(text)
    return StudyConfig.from_toml(path)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A folder in which three searches ran, and what the first one left before the others."""
    place = tmp_path_factory.mktemp("searches")
    out = place / "run"
    run_study(study_file(place, name='"tiny-nsga2"', sampler='"nsga2"'), out)
    files = [out / "report.html", out / "retrained" / "results.json"]
    first = {file: file.read_bytes() for file in files}
    run_study(study_file(place, name='"tiny-nsga2"'), out)
    run_study(study_file(place, name='"other"', sampler='"random"'), out)
    return out, first


def test_a_study_has_the_name_of_its_file(searched):
    out, _ = searched
    assert list(studies_of(RunFolder(out))) == ["tiny-nsga2", "tiny-nsga2-evolution", "other"]


def test_the_results_of_searches_stand_side_by_side(searched):
    out, first = searched
    assert {file: file.read_bytes() for file in first} == first
    for name in ("tiny-nsga2-evolution", "other"):
        assert {file.name for file in (out / "searches" / name).iterdir()} == {
            "report.html",
            "report.json",
            "results.json",
            "study.json",
        }
    for path, name, sampler in (
        ("report.html", "tiny-nsga2", "nsga2"),
        ("searches/tiny-nsga2-evolution/report.html", "tiny-nsga2-evolution", "evolution"),
        ("searches/other/report.html", "other", "random"),
    ):
        text = (out / path).read_text()
        assert f"<h1>{name}</h1>" in text
        assert f"proposed by {sampler}," in text


def test_one_page_compares_the_searches(searched):
    out, _ = searched
    text = (out / "searches.html").read_text().partition("<body>")[2]
    for link in re.findall(r"href='(\S+?)'>", text):
        assert (out / link).exists()
    rows = re.findall(r"<tr><td>(.*?)</td></tr>", text)
    cells = [re.sub(r"</?a[^>]*>", "", row).split("</td><td>") for row in rows]
    assert [row[:3] for row in cells] == [
        ["tiny-nsga2", "nsga2", "10"],
        ["tiny-nsga2-evolution", "evolution", "10"],
        ["other", "random", "10"],
    ]
    for row in cells:
        study = optuna.load_study(study_name=row[0], storage=f"sqlite:///{out}/study.db")
        best = min(trial.values[0] for trial in study.trials)
        assert row[4] == f"{best:.4f}"
        assert 0 < float(row[5]) <= 1


def test_the_page_names_the_winner_of_each_search(searched):
    out, _ = searched
    text = (out / "searches.html").read_text().partition("<body>")[2]
    rows = re.findall(r"<tr><td>(.*?)</td></tr>", text)
    for row, place in zip(rows, ("", "tiny-nsga2-evolution", "other"), strict=True):
        results = json.loads(RunFolder(out).results_of(place).read_text())
        won = results["winner"]
        names = {
            "model": f"model 1 (trial {results['models'][0]['trial']})",
            "logistic_regression": "logistic regression",
            "constant": "constant click rate",
        }
        losses = [f"{won[f'{split}_log_loss']:.4f}" for split in ("validation", "test")]
        assert row.split("</td><td>")[-3:] == [names[won["name"]], *losses]
        [sentence] = winner_in_words(results)
        assert f"<li>{place or 'tiny-nsga2'}: {sentence}</li>" in text


def test_each_search_goes_on_by_itself(searched):
    out, _ = searched
    before = (out / "searches" / "other" / "results.json").read_bytes()
    longer = study_file(out.parent, name='"tiny-nsga2"', n_trials="12")
    run_study(longer, out)
    counts = {name: len(load(out, name).trials) for name in studies_of(RunFolder(out))}
    assert counts == {"tiny-nsga2": 10, "tiny-nsga2-evolution": 12, "other": 10}
    assert (out / "searches" / "other" / "results.json").read_bytes() == before
    record = RunFolder(out).record()
    assert {"search", "search tiny-nsga2-evolution", "retrain other"} <= record.keys()
    assert [stage for stage in record if stage.startswith("baselines")] == ["baselines"]


def load(out: Path, name: str) -> optuna.Study:
    return optuna.load_study(study_name=name, storage=f"sqlite:///{out}/study.db")
