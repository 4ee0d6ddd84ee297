"""The reference of the study file is made from the classes of options."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest
from conftest import REPOSITORY

from studies.study_file import _rows, filled, main, tables

PAGE = REPOSITORY / "docs" / "reference" / "study_file.md"


@dataclass(frozen=True)
class Inner:
    """A table.

    Args:
        key: A key.
    """

    key: int = 1


@dataclass(frozen=True)
class Options:
    """Options.

    Args:
        number: A number of lines
            (docs/decisions/bits.md). None means 1.5, or the log's.
        name: A name (docs/reference/files.md#metrics); with a value of None it is free.
        inner: A table.
        seed: A seed.
        words: Words of `[a, b]`.
    """

    number: float | None = None
    name: str = "x"
    inner: Inner = field(default_factory=Inner)
    seed: int = 0
    words: tuple[str, ...] = ("a",)


def test_the_page_shows_what_the_script_makes():
    page = PAGE.read_text()
    assert filled(page) == page


def test_a_page_is_filled_and_tables_are_printed(tmp_path, capsys):
    empty = re.sub(r"(<!-- [\w.]+ -->\n)(\|.*\n)+", r"\1", PAGE.read_text())
    assert "| `n_trials` |" not in empty
    page = tmp_path / "page.md"
    page.write_text(empty)
    main(["--write", str(page)])
    assert page.read_text() == PAGE.read_text()
    main([])
    printed = capsys.readouterr().out
    assert all(f"[{name}]\n{table}" in printed for name, table in tables().items())


def test_a_table_without_a_place_is_an_error():
    page = PAGE.read_text().replace("<!-- search.ax -->\n", "")
    with pytest.raises(ValueError, match=r"expected the mark <!-- search.ax -->"):
        filled(page)


def test_a_row_says_what_the_docstring_says():
    assert list(_rows(Options, is_top=False)) == [
        (
            "`number`",
            "1.5, or [the log's](#what-follows-the-log)",
            "A number of lines ([why](../decisions/bits.md)).",
        ),
        ("`name`", '`"x"`', "A name ([more](files.md#metrics)); with a value of None it is free."),
        ("`words`", '`["a"]`', "Words of `[a, b]`."),
    ]


def test_an_option_without_a_line_is_an_error():
    @dataclass(frozen=True)
    class Silent:
        """Options."""

        steps: int = 1

    with pytest.raises(ValueError, match="Silent: expected a line for steps"):
        list(_rows(Silent, is_top=False))
