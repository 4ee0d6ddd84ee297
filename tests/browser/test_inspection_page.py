"""The page of an inspection in a real browser."""

from __future__ import annotations

import pytest

from nasrec_opt.data import generate_synthetic
from nasrec_opt.inspection import inspect_dataset
from nasrec_opt.report import write_inspection


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inspected")
    found = inspect_dataset(generate_synthetic(folder / "log", rows=3000))
    write_inspection(folder / "inspect.html", found)
    return folder / "inspect.html"


def test_the_page_works_without_a_network_and_without_scripts(browser, page):
    browser.get_log("browser")  # what other pages said
    browser.get(page.as_uri())
    requests = browser.execute_script(
        "return performance.getEntriesByType('resource').map(entry => entry.name);"
    )
    assert [name for name in requests if name.startswith("http")] == []
    assert [e for e in browser.get_log("browser") if e["level"] == "SEVERE"] == []
    assert browser.execute_script("return document.scripts.length;") == 0


def test_plots_are_drawn_and_nothing_leaves_them(browser, page):
    browser.get(page.as_uri())
    plots, bars, outside = browser.execute_script(
        """
        const plots = [...document.querySelectorAll('svg')];
        const marks = plots.flatMap(plot => [...plot.querySelectorAll('rect, text, line')]
            .map(mark => [plot.getBoundingClientRect(), mark.getBoundingClientRect(), mark]));
        const outside = marks.filter(([plot, mark]) => mark.left < plot.left - 2
            || mark.right > plot.right + 2 || mark.top < plot.top - 2
            || mark.bottom > plot.bottom + 2);
        const bars = marks.filter(([, mark, of]) => of.tagName === 'rect' && mark.height > 3);
        return [plots.length, bars.length, outside.map(([, , of]) => of.outerHTML)];
        """
    )
    assert plots == 2 * 39
    assert bars > 10 * 39
    assert outside == []


@pytest.mark.parametrize("width", [1400, 700])
def test_the_page_does_not_scroll_sideways(browser, page, width):
    before = browser.get_window_size()
    browser.set_window_size(width, 1400)
    try:
        browser.get(page.as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth;")
    finally:
        browser.set_window_size(before["width"], before["height"])


def test_a_name_in_the_table_leads_to_its_plots(browser, page):
    from selenium.webdriver.common.by import By

    browser.get(page.as_uri())
    browser.find_element(By.LINK_TEXT, "C7").click()
    top = browser.execute_script(
        "return document.getElementById('column-C7').getBoundingClientRect().top;"
    )
    assert abs(top) < 20
