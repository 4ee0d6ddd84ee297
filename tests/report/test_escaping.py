"""Names that a user chose are text on every page, whatever stands in them."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import optuna
import pytest
from jinja2 import UndefinedError

from nasrec_opt.report import Search, read_study, write_comparison, write_report
from nasrec_opt.report._html import render

HOSTILE = "<img src=x onerror='a'>\"&amp;</script></style>"


class Page(HTMLParser):
    """Tags with their attributes' names, and the text between them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[str]]] = []
        self.links: list[str | None] = []
        self.text = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, [name for name, _ in attrs]))
        self.links += [value for name, value in attrs if (tag, name) == ("a", "href")]

    def handle_data(self, data: str) -> None:
        if self.lasttag not in ("script", "style"):
            self.text += data


def make_study(name: str) -> optuna.Study:
    study = optuna.create_study(study_name=name, directions=["minimize"] * 2)
    study.set_metric_names([f"loss {name}", f"latency {name}"])
    for x in (0.1, 0.2):
        trial = study.ask({"x": optuna.distributions.FloatDistribution(x, x)})
        trial.set_user_attr("breakdown", {"latency_us": {name: 1.0}, "energy_uj": {name: 1.0}})
        study.tell(trial, (x, 1 - x))
    return study


def results_of(name: str) -> dict[str, Any]:
    ladder = {
        "candidates": 1,
        "rungs": [{"epochs": 1, "models": 1, "promoted": 1, "seconds_per_model": 1.0}],
        "models": [{"trial": 0, "score": 0.1, "log_losses": [0.1]}],
        "finalists": [0],
        "failures": {"0": f"a reason {name}"},
    }
    return {"ladder": ladder}


@pytest.mark.parametrize("text", [HOSTILE, "<b>", "'", "{{ title }}"])
def test_a_report_shows_texts_as_they_are(text, tmp_path):
    pages = {}
    for name in ("plain", text):
        path = tmp_path / f"{len(pages)}.html"
        write_report(
            path,
            study=make_study(name),
            results=results_of(name),
            dataset_summary={"source": f"source {name.replace('/', '')}", "fingerprint": name},
            facts={f"fact {name}": f"value {name}"},
            stages={f"stage {name}": 1.0},
            proposer=f"proposer {name}",
        )
        pages[name] = Page(path)
    assert pages[text].tags == pages["plain"].tags
    shown = " ".join(pages[text].text.split())
    for words in ("a reason", "loss", "latency", "fact", "value", "stage", "proposer"):
        assert f"{words} {text}" in shown, words


@pytest.mark.parametrize("text", [HOSTILE, "<b>", "'", "{{ title }}"])
def test_a_comparison_shows_texts_as_they_are(text, tmp_path):
    pages = {}
    for name in ("plain", text):
        path = tmp_path / f"{len(pages)}.html"
        search = Search(
            record=read_study(make_study(name)), proposer=f"of {name}", results={}, link=name
        )
        write_comparison(path, [search], f"title {name}")
        pages[name] = Page(path)
    assert pages[text].tags == pages["plain"].tags
    assert pages[text].links == [text]
    shown = " ".join(pages[text].text.split())
    for words in (f"title {text}", f"of {text}", f"Best loss {text} so far"):
        assert words in shown, words


def test_a_value_that_a_template_misses_is_an_error():
    with pytest.raises(UndefinedError, match="title"):
        render("page.html")
