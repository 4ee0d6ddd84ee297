"""The hardware model against MNSIM 2.0's own output, and the page that shows it."""

from __future__ import annotations

import pytest
from conftest import REPOSITORY

from studies import hw_validation
from studies.hw_validation import PUBLISHED, departures, filled, main, ours

PAGE = REPOSITORY / "docs" / "reference" / "hw_validation.md"
ENTRIES = [
    (configuration, component, quantity)
    for configuration, components in PUBLISHED.items()
    for component, figures in components.items()
    for quantity, figure in zip(("ns", "nj", "um2"), figures, strict=True)
    if figure is not None
]


@pytest.mark.parametrize(("configuration", "component", "quantity"), ENTRIES)
def test_the_model_agrees_with_mnsim_in_total_and_by_component(configuration, component, quantity):
    index = ("ns", "nj", "um2").index(quantity)
    published = PUBLISHED[configuration][component][index]
    assert ours(configuration)[component][index] == pytest.approx(published, rel=0.05)


@pytest.mark.parametrize("configuration", PUBLISHED)
def test_totals_agree_to_a_millionth(configuration):
    assert ours(configuration)["total"] == pytest.approx(
        PUBLISHED[configuration]["total"], rel=1e-6
    )


@pytest.mark.parametrize("configuration", PUBLISHED)
def test_what_mnsim_reports_is_all_that_it_sums(configuration):
    """The transcription: published components add up to the published totals."""
    total = PUBLISHED[configuration]["total"]
    parts = [figures for name, figures in PUBLISHED[configuration].items() if name != "total"]
    for index, slack in enumerate((1e-9, 1e-5, 0.01)):  # of area, registers are in the total alone
        summed = sum(figures[index] or 0 for figures in parts)
        assert summed == pytest.approx(total[index], rel=slack)


def test_the_page_shows_what_the_script_makes():
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page) == page


def test_a_page_is_written_and_tables_are_printed(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- dac -->\nold\n<!-- end -->\nafter\n")
    main(["--write", str(page)])
    written = page.read_text()
    assert written.startswith("before\n<!-- dac -->\n| what differs")
    assert written.endswith("<!-- end -->\nafter\n")
    main([])
    assert hw_validation.markdown(hw_validation.DEPARTED, departures("pim128")) in (
        capsys.readouterr().out
    )
