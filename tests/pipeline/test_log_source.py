"""A run takes a log in several files, or a dataset that is prepared already."""

from __future__ import annotations

import shutil

import pytest
from data.logs import SMALL, content, good_lines, small_table, write_csv

from nasrec_opt.data import Dataset, prepare
from nasrec_opt.errors import DataError, StudyError
from nasrec_opt.pipeline import StudyConfig, run_study
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._log_source import is_same_log, named_source, source_name

STUDY = 'name = "small"\n[data]\nformat = "shop.toml"\nmin_count = 2\n'
SHOP = 'label = "y"\ndense = ["a", "b"]\nsparse = ["u", "v"]\n'


@pytest.fixture
def study(tmp_path):
    """A study file, and three files of a log beside it."""
    (tmp_path / "shop.toml").write_text(SHOP)
    (tmp_path / "days").mkdir()
    for i in range(3):
        write_csv(tmp_path / "days" / f"day_{9 + i}.csv", small_table(60, i))
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path / "study.toml"


def prepared(study, out, **options) -> dict:
    run_study(StudyConfig.from_toml(study), out, until="prepare", **options)
    return content(out / "dataset")


@pytest.mark.parametrize(
    "source",
    ['"days/day_*.csv"', '"days"', '["days/day_10.csv", "days/day_9.csv", "days/day_11.csv"]'],
)
def test_a_study_names_several_files(study, tmp_path, source, monkeypatch):
    prepare(tmp_path / "days", tmp_path / "expected", format=SMALL)
    expected = content(tmp_path / "expected")
    study.write_text(STUDY.replace("[data]", f"[data]\nsource = {source}"))
    monkeypatch.chdir("/")  # paths are relative to the study file
    assert prepared(study, tmp_path / "run") == expected
    stamps = RunFolder(tmp_path / "run").record()["prepare"]
    assert prepared(study, tmp_path / "run") == expected
    assert RunFolder(tmp_path / "run").record()["prepare"] == stamps
    day = tmp_path / "days" / "day_10.csv"
    day.write_bytes(day.read_bytes().replace(b"x", b"z", 1))
    with pytest.raises(StudyError, match="made with other settings: content was"):
        prepared(study, tmp_path / "run")


def test_a_list_of_no_files_is_refused(study):
    study.write_text(STUDY.replace("[data]", "[data]\nsource = []"))
    with pytest.raises(StudyError, match="data: source: expected at least one file"):
        StudyConfig.from_toml(study)


def test_files_are_the_same_wherever_they_are(study, tmp_path):
    files = tuple((tmp_path / "days").iterdir())
    prepared(study, tmp_path / "run", data=files)
    settings = RunFolder(tmp_path / "run").record()["prepare"]["settings"]
    assert named_source(settings["source"]) == tuple(sorted(files))
    assert is_same_log(settings, tmp_path / "days")  # the same files, named in another way
    assert not is_same_log(settings, files[:2])
    shutil.copytree(tmp_path / "days", tmp_path / "moved")
    shutil.rmtree(tmp_path / "days")
    moved = tuple(tmp_path / "moved" / file.name for file in files)
    assert is_same_log(settings, moved)
    assert source_name(moved) != settings["source"]
    assert prepared(study, tmp_path / "run", data=files)  # gone, and prepared
    assert prepared(study, tmp_path / "run", data=moved)


def test_names_of_files_may_have_any_character(study, tmp_path):
    files = []
    for place, name in enumerate(["a:b.csv", "[1].csv", 'q";,.csv']):
        files.append(tmp_path / name)
        shutil.copy(sorted((tmp_path / "days").iterdir())[place % 2], files[-1])
    assert named_source(source_name(tuple(files))) == tuple(sorted(files))
    assert named_source(source_name((files[1],))) == named_source(source_name(files[1])) == files[1]
    prepared(study, tmp_path / "run", data=tuple(files))
    shutil.rmtree(tmp_path / "days")
    for file in files:
        file.unlink()
    prepared(study, tmp_path / "run", data=tuple(files))  # gone, and prepared


def test_a_run_takes_a_prepared_dataset(study, tmp_path):
    prepare(tmp_path / "days", tmp_path / "made", format=SMALL, seed=3)
    expected = content(tmp_path / "made")
    assert prepared(study, tmp_path / "run", data=tmp_path / "made") == expected
    shutil.rmtree(tmp_path / "made")  # the run is whole by itself, and may move
    (tmp_path / "run").rename(tmp_path / "moved")
    assert prepared(study, tmp_path / "moved", data=tmp_path / "made") == expected
    assert prepared(study, tmp_path / "moved") == expected
    assert Dataset.open(tmp_path / "moved" / "dataset").split("train").num_rows == 144
    with pytest.raises(DataError, match="other: expected a click log, found nothing there"):
        prepared(study, tmp_path / "moved", data=tmp_path / "other")


def test_another_dataset_is_another_run(study, tmp_path):
    for seed in (1, 2):
        prepare(tmp_path / "days", tmp_path / f"made-{seed}", format=SMALL, seed=seed)
        found = prepared(study, tmp_path / "run", data=tmp_path / f"made-{seed}")
        assert found == content(tmp_path / f"made-{seed}")
    assert (tmp_path / "run-1" / "dataset").is_dir()  # set aside


def test_a_damaged_dataset_is_refused(study, tmp_path):
    prepare(tmp_path / "days", tmp_path / "made", format=SMALL)
    (tmp_path / "made" / "test" / "dense.npy").unlink()
    with pytest.raises(DataError, match=r"made/test/dense\.npy: expected an array"):
        prepared(study, tmp_path / "run", data=tmp_path / "made")
    assert not (tmp_path / "run" / "dataset").exists()


def test_the_command_line_takes_files_and_a_format(study, tmp_path, cli):
    days, out = sorted((tmp_path / "days").iterdir()), tmp_path / "made"
    done = cli("prepare", *days, "--format", tmp_path / "shop.toml", "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("rows\n")
    again = cli("prepare", *days, "--format", tmp_path / "shop.toml", "--out", out)
    assert again.stdout == done.stdout.replace("\n", ", as before: nothing to do\n")
    study.write_text('name = "small"\n[baselines]\n'.partition("[")[0])
    data = [argument for day in days for argument in ("--data", day)]
    options = ["--format", tmp_path / "shop.toml", "--out", tmp_path / "run"]
    run = cli("baselines", study, *data, *options)
    assert run.returncode == 0, run.stderr
    assert content(tmp_path / "run" / "dataset") == content(out)


HINT = (
    "; for other tables name a schema: [data] format or --format "
    "(nasrec-opt schema FILE writes one)"
)


def test_another_table_as_criteo_is_answered_with_the_key(study, tmp_path, cli):
    wide = tmp_path / "wide.csv"
    wide.write_text("a,b,c,d,e,f,g,h,i,j,k\n" + "1,2,3,4,5,6,7,8,9,10,11\n" * 20)
    refused = cli("prepare", wide, "--out", tmp_path / "out")
    assert refused.returncode == 2
    sentence = "wide.csv:1: expected 40 columns separated by tab, got 11 separated by comma"
    assert refused.stderr.rstrip().endswith(sentence + HINT)
    (tmp_path / "short.txt").write_text("\n".join(line[:-9] for line in good_lines(20)))
    with pytest.raises(DataError, match=r"short\.txt:1: expected 40 columns .* got 39; for other"):
        prepare(tmp_path / "short.txt", tmp_path / "out")
    (tmp_path / "header.txt").write_text("label\tI1\n".replace("\n", "\tx" * 38 + "\n") * 20)
    with pytest.raises(DataError, match="got 'label'; line 1 looks like a header: remove it"):
        prepare(tmp_path / "header.txt", tmp_path / "out")
    with pytest.raises(DataError, match="expected a column 'y', got a, b") as caught:
        prepare(wide, tmp_path / "out", format=tmp_path / "shop.toml")
    assert "nasrec-opt schema" not in str(caught.value)
