"""`nasrec-opt motifs`: of a run, of files, of the paper's models; and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import optuna
import pytest
from conftest import REPOSITORY

from nasrec_opt import SearchSpace
from nasrec_opt.errors import GenotypeError, StudyError
from nasrec_opt.motifs import motifs_of
from nasrec_opt.objective import describe_study
from nasrec_opt.pipeline import motif_groups
from nasrec_opt.report import motif_cells
from nasrec_opt.space import published_model

SPACE = SearchSpace.nasrec_full(num_blocks=2, max_inputs=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with two searches of 30 trials."""
    folder = tmp_path_factory.mktemp("runs") / "motifs"
    folder.mkdir()
    for seed, name in enumerate(("first", "second")):
        study = optuna.create_study(
            study_name=name,
            directions=["minimize", "minimize"],
            sampler=optuna.samplers.RandomSampler(seed=seed),
        )
        describe_study(study, SPACE, ["log_loss", "mflops"])

        def objective(trial):
            genotype = SPACE.suggest(trial)
            trial.set_user_attr("genotype", genotype.to_json())
            width = sum(block.dense_width for block in genotype.blocks)
            return 1 / width, float(width)

        study.optimize(objective, n_trials=30)
        optuna.copy_study(
            from_study_name=name,
            from_storage=study._storage,
            to_storage=f"sqlite:///{folder / 'study.db'}",
        )
    return folder


def studied(run, name):
    return optuna.load_study(study_name=name, storage=f"sqlite:///{run / 'study.db'}")


def genotypes_of(run, name, trials):
    found = {t.number: t.user_attrs["genotype"] for t in studied(run, name).trials}
    return [found[number] for number in trials]


def test_a_run_shows_its_front_or_its_best_trials(run):
    front, best = motif_groups([str(run)], samples=20), motif_groups([str(run)], top=3, samples=20)
    assert front[0].space == best[0].space == SPACE
    numbers = {trial.number for trial in studied(run, "first").best_trials}
    assert {int(name.removeprefix("trial ")) for name in front[0].names} <= numbers
    trials = sorted(studied(run, "first").trials, key=lambda trial: trial.values)
    assert best[0].names[0] == f"trial {trials[0].number}"
    assert len(best[0].names) == 3


def test_another_search_of_a_run_is_named(run):
    first, second = (motif_groups([str(run)], search=s, samples=20) for s in (None, "second"))
    assert first != second
    with pytest.raises(StudyError, match="--search: expected one of first, second, got 'third'"):
        motif_groups([str(run)], search="third")


def test_results_are_retrained_models_in_the_space_of_their_search(run, tmp_path):
    best = genotypes_of(run, "second", range(4))
    models = [{"genotype": json.loads(genotype)} for genotype in best]
    results = run / "searches" / "second" / "results.json"
    results.parent.mkdir(parents=True)
    results.write_text(json.dumps({"models": models, "baselines": {"constant": {}}}))
    (group,) = motif_groups([str(results)], samples=20)
    assert group.space == SPACE
    assert group.names == ("model 1", "model 2", "model 3", "model 4")
    assert motif_groups([str(results)], top=2, samples=20)[0].names == group.names[:2]
    alone = tmp_path / "results.json"
    alone.write_text(results.read_text())
    (group,) = motif_groups([str(alone)], samples=20)
    assert group.space != SPACE  # nobody can tell, so it is the preset that they name
    with pytest.raises(StudyError, match="--search: expected only with a run folder"):
        motif_groups([str(results)], search="second")


def test_genotypes_of_one_space_stand_in_one_table(tmp_path):
    paths = []
    for name in ("criteo-full", "kdd-full"):
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(published_model(name).genotype.to_json())
    (group,) = motif_groups([*map(str, paths), "published:criteo-full"], samples=20)
    assert group.names == ("criteo-full.json", "kdd-full.json")  # each model once
    figure = next(row for row in group.rows if row.name == "dense_width")
    expected = [
        motifs_of(published_model(n).genotype)["dense_width"] for n in (p.stem for p in paths)
    ]
    assert list(figure.models) == expected


def test_a_space_of_ones_own_is_given(tmp_path):
    genotype = replace(SPACE, name="mine").sample(np.random.default_rng(0))
    path, space = tmp_path / "mine.json", tmp_path / "space.toml"
    path.write_text(genotype.to_json())
    with pytest.raises(GenotypeError, match=r"space 'mine': expected a preset .*--space"):
        motif_groups([str(path)])
    space.write_text('name = "mine"\nnum_blocks = 2\ndense_ops = ["fc"]\n')
    (group,) = motif_groups([str(path)], space=space, samples=20)
    assert next(row for row in group.rows if row.name == "fc").random == 1


def test_the_page_has_the_figures_of_the_command():
    page = (REPOSITORY / "docs" / "motifs.md").read_text()
    _, full = motif_groups(["published"])
    for row in full.rows:
        if not row.is_constant:
            models, (_, *others) = row.models, motif_cells(row)
            shown = motif_cells(row, with_models=True)[: len(models)]
            assert f"| {' | '.join([row.label, *shown, *others])} |" in page


def test_json_and_tables_have_the_same_figures(cli):
    result = cli("motifs", "published", "--samples", 50, "--json")
    assert result.returncode == 0, result.stderr
    small, full = json.loads(result.stdout)
    assert small["models"] == ["criteo-small", "avazu-small", "kdd-small"]
    motifs = {row["name"]: row for row in full["motifs"]}
    assert motifs["raw_self_gating"]["models"] == [1, 0, 1]
    printed = cli("motifs", "published", "--samples", 50)
    assert "self-gating on raw dense features" in printed.stdout
    assert "Attn" not in printed.stdout.split("nasrec_full")[0]  # which no model of Small can have


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.json"], "none.json: expected a genotype in JSON, or a run, got No such"),
        (["published:cirteo"], "published model: expected one of criteo-small"),
        (["."], ": expected a run with a search, found none"),
    ],
)
def test_what_is_no_model_is_refused(cli, tmp_path, arguments, message):
    result = cli("motifs", *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
