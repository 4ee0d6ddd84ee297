"""The study of races, from its command to the tables on a page."""

from __future__ import annotations

import re

from studies import racing


def test_a_small_study_fills_a_page_and_goes_on(tmp_path, capsys):
    page = tmp_path / "page.md"
    marks = ("searches", "same trials", "references")
    page.write_text("".join(f"<!-- {mark} -->\n<!-- end -->\n" for mark in marks))
    command = ["--rows=2000", "--trials=6", "--first=20", f"--out={tmp_path}", f"--write={page}"]
    assert racing.main(command) == 0
    first = page.read_text()
    shares = [float(share) for share in re.findall(r"\| ([\d.]+) % \|", first)]
    assert shares[0] == shares[2] == 100 >= max(shares[1], shares[3])
    whole, raced, both = re.findall(r"\| (?:members of|of the|in both).*?\| (\d+) \|", first)
    assert whole == raced == both
    assert racing.main(command) == 0
    assert page.read_text() == first


def test_what_cannot_be_is_one_sentence(tmp_path, capsys):
    for given, message in (
        ("--trials=0", "racing: trials: expected 1 or more, got 0"),
        (f"--write={tmp_path / 'none.md'}", "racing: write: expected a page that exists, got"),
        ("--factor=1", "racing: factor: expected 2 or more, got 1"),
    ):
        assert racing.main([given, f"--out={tmp_path}"]) == 2
        assert capsys.readouterr().err.startswith(message)
