"""The documentation site: it builds without a warning, and search finds what is public."""

from __future__ import annotations

import re
from pathlib import Path

import docstrings
import pytest
from conftest import REPOSITORY


@pytest.fixture(scope="module")
def site(start_code, tmp_path_factory) -> Path:
    """In a plain theme, which takes half the time; `tox run -e docs` builds it in its own."""
    for package in ("sphinx", "myst_parser", "furo", "ax", "mlflow", "botorch"):
        pytest.importorskip(package, reason=f"{package!r} is not installed")
    folder = tmp_path_factory.mktemp("site")
    strict = ("--fail-on-warning", "--keep-going", "--quiet", "--define", "html_theme=basic")
    where = ("-d", folder / "doctrees", REPOSITORY / "docs", folder / "html")
    code = "from sphinx.cmd.build import main; sys.exit(main(sys.argv[1:]))"
    result = start_code(code, *strict, *where).wait()
    assert result.returncode == 0, result.stderr
    return folder / "html"


def test_every_public_name_has_its_place(site):
    text = "".join(page.read_text() for page in (site / "api").glob("*.html"))
    places = set(re.findall(r'id="((?:nasrec_opt|hw)\.[\w.]+)"', text))
    for package in docstrings.packages():
        for public in docstrings.publics(package):
            name = public.name.removeprefix(f"{package}.")
            assert any(place.endswith(f".{name}") for place in places), public.name


def test_search_finds_classes_and_pages(site):
    index = (site / "searchindex.js").read_text()
    for word in ("RegularizedEvolutionSampler", "Your first search", "crossbar"):
        assert word in index


def test_a_default_of_a_class_of_options_is_its_value(site):
    page = (site / "api" / "nasrec_opt.samplers.html").read_text()
    [signature] = re.findall(
        r'<dt[^>]+id="nasrec_opt.samplers.RegularizedEvolutionSampler">.*?</dt>', page, re.S
    )
    text = re.sub(r"<.*?>", "", signature)
    assert "children_per_round: int = 8" in text
    assert "EvolutionConfig" not in text


def test_types_lead_to_their_classes(site):
    page = (site / "api" / "nasrec_opt.oracle.html").read_text()
    [signature] = re.findall(r'<dt[^>]+id="nasrec_opt.oracle.Oracle.evaluate">.*?</dt>', page, re.S)
    assert 'href="nasrec_opt.space.html#nasrec_opt.space.Genotype"' in signature
    assert 'href="#nasrec_opt.oracle.Evaluation"' in signature


def test_decisions_are_all_listed():
    folder = REPOSITORY / "docs" / "decisions"
    listed = set(re.findall(r"\]\((\w+\.md)\)", (folder / "index.md").read_text()))
    assert listed == {page.name for page in folder.glob("*.md")} - {"index.md"}
