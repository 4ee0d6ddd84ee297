"""The motifs of a front in the report."""

from __future__ import annotations

import optuna

from nasrec_opt import SearchSpace
from nasrec_opt.objective import describe_study
from nasrec_opt.report import read_study, space_of, write_report
from nasrec_opt.report._motifs import motif_table

SPACE = SearchSpace.nasrec_full(num_blocks=3)


def searched(*, with_space: bool) -> optuna.Study:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    if with_space:
        describe_study(study, SPACE, ["log_loss"])

    def objective(trial: optuna.Trial) -> float:
        genotype = SPACE.suggest(trial)
        trial.set_user_attr("genotype", genotype.to_json())
        return 0.5 - genotype.blocks[-1].dense_width / 1e5

    study.optimize(objective, n_trials=8)
    return study


def test_a_report_has_the_motifs_of_its_front(tmp_path):
    study = searched(with_space=True)
    assert space_of(study) == SPACE
    write_report(tmp_path / "report.html", study=study)
    page = (tmp_path / "report.html").read_text()
    assert "Motifs of the front" in page
    table = motif_table(read_study(study), SPACE)
    widths = next(row for row in table.rows if row.cells[0] == "mean dense width")
    best = read_study(study).front_trials[0].genotype
    assert SPACE.contains(best)
    assert all(cell in page for cell in widths.cells)


def test_a_study_that_names_no_space_has_none(tmp_path):
    study = searched(with_space=False)
    assert space_of(study) is None
    write_report(tmp_path / "report.html", study=study)
    assert "Motifs of the front" not in (tmp_path / "report.html").read_text()
