"""The claims study: its page, its arithmetic, and a search from a kill to the tables."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import REPOSITORY

from hw import RecNMP, ReRAM, read_accelerator
from nasrec_opt.errors import GenotypeError, StudyError
from nasrec_opt.lowering import lower
from nasrec_opt.pipeline import StudyConfig, run_study
from nasrec_opt.space import Genotype, HardwareGene
from studies._page import fill
from studies._pim_assumptions import ASSUMPTIONS, PARAMETERS
from studies._pim_designs import BASELINES, CRITEO, Scene, dlrm, with_bits
from studies._pim_report import sensitivity, tables
from studies.pim_claims import SLACK, STUDIES, found_designs, main, read_designs

PAGE = REPOSITORY / "docs" / "pim_claims.md"
FRONTS = read_designs(REPOSITORY / "studies" / "pim_claims.jsonl")
DESIGN = FRONTS[0][0]
SCENE = Scene(genotype=DESIGN)
TINY = """
name = "tiny"
[data]
synthetic_rows = 2000
[space]
preset = "codesign"
num_blocks = 1
[supernet]
epochs = 1
[search]
sampler = "evolution"
n_trials = 6
objectives = ["log_loss", "latency_us", "energy_uj"]
"""


def test_the_page_shows_what_the_script_makes():
    page = PAGE.read_text(encoding="utf-8")
    assert fill(page, tables(FRONTS)) == page
    assert (REPOSITORY / "docs" / "pim_claims.svg").exists()


def test_a_design_like_the_handcrafted_one_is_as_good_as_it():
    same = with_bits(DESIGN, 8)
    for genotype in (same, replace(same, hardware=HardwareGene())):
        assert Scene(genotype=genotype).ratios("handcrafted") == (1.0, 1.0)


def test_a_dlrm_like_model_has_the_macs_of_its_layers():
    layers = [(13, 512), (512, 256), (256, 64), (64, 16), (367, 512), (512, 256), (256, 1)]
    assert dlrm().macs == sum(i * o for i, o in layers) + 27 * 27 * 16
    assert Scene(genotype=DESIGN, baseline_model="dlrm").baseline("CPU").latency_ns > 0


def test_bits_of_a_baseline_are_plain_and_its_model_the_searched_one():
    plain = lower(with_bits(DESIGN, 8), CRITEO)
    assert plain.macs == lower(DESIGN, CRITEO).macs
    bits = {o.weight_bits for o in plain.operations if hasattr(o, "weight_bits")}
    assert bits == {8}


def test_without_tables_nothing_is_read_and_the_rest_stays():
    bare = replace(SCENE, has_tables=False)
    for name in BASELINES:
        whole, rest = SCENE.baseline(name), bare.baseline(name)
        [embedding] = [part for part in whole.breakdown if part.operator == "embedding"]
        assert "embedding" not in {part.operator for part in rest.breakdown}
        assert rest.energy_pj <= whole.energy_pj - 0.9 * embedding.energy_pj


def test_streams_of_samples_pay_leakage_for_an_interval():
    cost = SCENE.searched()
    dynamic_pj = cost.energy_pj - cost.leakage_mw * cost.latency_ns
    expected = (dynamic_pj + cost.leakage_mw * cost.interval_ns) * 1e-6
    streamed = replace(SCENE, is_streamed=True)
    assert streamed.energy_uj(cost) == pytest.approx(expected, rel=1e-4)
    assert streamed.time_us(cost) == pytest.approx(cost.interval_ns * 1e-3)


@pytest.mark.parametrize(("name", "change"), ASSUMPTIONS, ids=[name for name, _ in ASSUMPTIONS])
def test_an_assumption_changes_what_it_is_about_and_nothing_else(name, change):
    # Choices that every assumption is about, whatever the search chose.
    gene = replace(DESIGN.hardware, cell_bits=2, dac_bits=2, adc_bits=9, replication=2)
    scene = Scene(genotype=replace(DESIGN, hardware=gene))
    before = {name: scene.baseline(name) for name in BASELINES} | {"searched": scene.searched()}
    other = change(scene)
    after = {name: other.baseline(name) for name in BASELINES} | {"searched": other.searched()}
    who = {
        "both": ("searched", "handcrafted"),
        "all": tuple(before),
        "host": ("RecNMP", "CPU"),
        "baselines run a DLRM-like model, not the searched one": BASELINES,
    }
    about = name.partition(":")[0]
    changed = {found for found in before if after[found] != before[found]}
    if other.is_streamed != scene.is_streamed:
        return  # the same costs, read otherwise
    assert changed <= set(who.get(about, (about,)))
    assert changed


def test_the_papers_own_parameters_are_those_of_the_files_that_ship():
    pim128 = read_accelerator("mnsim_2_0_pim128.toml")
    scene = dict(PARAMETERS)["MNSIM 2.0 pim128, bits alone"](SCENE)
    # By hand: the genotype's bits and 8 bits, both on the file's accelerator as it ships.
    mine, theirs = (
        pim128.cost(lower(genotype, CRITEO)) for genotype in (bare(DESIGN), with_bits(DESIGN, 8))
    )
    host = RecNMP().cost(lower(with_bits(DESIGN, 32), CRITEO))
    assert scene.ratios("handcrafted") == pytest.approx(
        (theirs.latency_ns / mine.latency_ns, theirs.energy_pj / mine.energy_pj)
    )
    assert scene.ratios("RecNMP") == pytest.approx(
        (host.latency_ns / mine.latency_ns, host.energy_pj / mine.energy_pj)
    )
    assert scene.area_and_power() == pytest.approx(
        (theirs.area_mm2 / mine.area_mm2, theirs.power_mw / mine.power_mw)
    )


def bare(genotype: Genotype) -> Genotype:
    return replace(genotype, hardware=None, space="custom")


def test_every_parameter_set_is_in_the_table_at_both_numbers_of_blocks():
    assert [front[0].num_blocks for front in FRONTS] == [4, 7]
    rows = [line.split(" | ")[:2] for line in tables(FRONTS)["parameters"].splitlines()[3:]]
    expected = [(name, str(front[0].num_blocks)) for front in FRONTS for name, _ in PARAMETERS]
    assert [(name.removeprefix("| "), blocks) for name, blocks in rows] == expected


def test_buffers_are_cactis_and_nothing_else_changes():
    given, changed = (
        dict(PARAMETERS)[name](SCENE).technology
        for name in ("MNSIM 2.0, bits alone", "MNSIM 2.0, CACTI's buffers, bits alone")
    )
    buffers = ReRAM().technology.tile
    assert changed.tile.buffer_access_ns == buffers.buffer_access_ns
    assert changed.tile.buffer_kib == given.tile.buffer_kib
    assert replace(changed, tile=given.tile) == given


def test_the_largest_mover_stands_first():
    (_, base), *rows = sensitivity(DESIGN)
    factors = [max(max(a / b, b / a) for a, b in zip(base, row, strict=True)) for _, row in rows]
    assert factors == sorted(factors, reverse=True)
    assert {name for name, _ in rows} == {name for name, _ in ASSUMPTIONS}


def test_a_search_goes_on_and_its_front_gives_the_design(tmp_path, capsys):
    study, out = tmp_path / "tiny.toml", tmp_path / "out"
    run = out / "tiny"
    study.write_text(TINY)
    run_study(StudyConfig.from_toml(study), run, until="train")  # then it was interrupted
    assert main(["--study", str(study), "--out", str(out)]) == 0
    found = (out / "designs.jsonl").read_text()
    front = [Genotype.from_json(line) for line in found.splitlines()]
    assert front == found_designs(run, SLACK)
    assert len(front) == len(set(front))
    assert main(["--run", str(run), str(run), "--out", str(out)]) == 2  # as many blocks twice
    assert "expected a different number of blocks in each, got [1, 1]" in capsys.readouterr().err
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- claims -->\nold\n<!-- end -->\nafter\n")
    before = (run / "run.json").read_bytes()
    again = ["--run", str(run), "--out", str(tmp_path / "again"), "--write", str(page)]
    assert main(again) == 0
    assert (tmp_path / "again" / "designs.jsonl").read_text() == found
    assert (run / "run.json").read_bytes() == before  # nothing was searched again
    assert "| speed against handcrafted | 1.5 |" in page.read_text()
    assert page.with_suffix(".svg").read_text().startswith("<?xml")


def test_studies_of_as_many_blocks_are_refused_before_they_are_searched(tmp_path, capsys):
    study, out = tmp_path / "tiny.toml", tmp_path / "out"
    study.write_text(TINY)
    assert main(["--study", str(study), str(study), "--out", str(out)]) == 2
    assert "expected a different number of blocks in each, got [1, 1]" in capsys.readouterr().err
    assert not out.exists()


def test_what_does_not_fit_is_a_sentence(tmp_path, capsys):
    with pytest.raises(StudyError, match=r"expected a run with a search, found no study.db"):
        found_designs(tmp_path, 0.1)
    with pytest.raises(GenotypeError, match="expected genotypes in JSON"):
        read_designs(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(GenotypeError, match="one a line, got none"):
        read_designs(tmp_path / "empty.jsonl")
    assert main(["--run", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "pim_claims: " in capsys.readouterr().err


@pytest.mark.parametrize("study", STUDIES, ids=[path.stem for path in STUDIES])
def test_each_study_has_the_area_budget_of_the_handcrafted_design(study):
    budget = StudyConfig.from_toml(study).search.constraints["area_mm2"]
    handcrafted = Scene(genotype=DESIGN, baseline_model="dlrm").baseline("handcrafted")
    assert budget == pytest.approx(handcrafted.area_mm2, rel=1e-3)
