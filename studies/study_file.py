"""The tables of the reference of the study file, from the classes of options and their docstrings.

python -m studies.study_file [--write docs/reference/study_file.md]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from nasrec_opt._files import atomic_write
from nasrec_opt.options._docs import option_docs
from nasrec_opt.pipeline import StudyConfig
from studies._page import fill, markdown

TOP = "top"  # mark of the keys that are in no table
FROM_FILE = "the file's name"  # of the one option that has no default, the study's name
NO_VALUE = re.compile(r" ?None means (.+?)\.(?= |$)")
PAGE = re.compile(r"\(docs/((?:\w+/)*)(\w+\.md(?:#[\w-]+)?)\)")
WORDS = {"decisions/": "why", "howto/": "how"}  # of a link, by the folder of the page


def tables() -> dict[str, str]:
    """The tables in Markdown, by the name of the table in the study file."""
    return {
        name: markdown(["key", "default", "meaning"], list(_rows(options, is_top=name == TOP)))
        for name, options in _classes(TOP, StudyConfig)
        if any(_rows(options, is_top=name == TOP))
    }


def filled(page: str) -> str:
    """The page with every table made anew.

    Args:
        page: Text with the marks of the tables.

    Raises:
        ValueError: A table has no place on the page.
    """
    made = tables()
    missing = [name for name in made if f"<!-- {name} -->\n" not in page]
    if missing:
        raise ValueError(f"expected the mark <!-- {missing[0]} --> on the page, found none")
    return fill(page, made)


def _classes(name: str, options: type) -> Iterator[tuple[str, type]]:
    """Every table with its class, a table before those inside it."""
    yield name, options
    for key, inner in _inner(options).items():
        yield from _classes(key if name == TOP else f"{name}.{key}", inner)


def _inner(options: type) -> dict[str, type]:
    """The options that are tables themselves."""
    found: dict[str, type] = {}
    for name, hint in get_type_hints(options).items():
        kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
        inner = next((kind for kind in kinds if dataclasses.is_dataclass(kind)), None)
        if isinstance(inner, type):
            found[name] = inner
    return found


def _is_table_alone(hint: Any) -> bool:
    """Whether an option is a table or left out, and nothing else."""
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return all(kind is type(None) or dataclasses.is_dataclass(kind) for kind in kinds)


def _rows(options: Any, *, is_top: bool) -> Iterator[tuple[str, str, str]]:
    """Key, default and meaning of each option, in the order of the docstring."""
    fields = {field.name: field for field in dataclasses.fields(options)}
    docs = option_docs(options)
    hints = get_type_hints(options)
    hidden = {name for name in _inner(options) if _is_table_alone(hints[name])}
    hidden |= set() if is_top else {"seed"}  # all stages share the top's seed
    if missing := fields.keys() - docs.keys():
        raise ValueError(f"{options.__name__}: expected a line for {', '.join(sorted(missing))}")
    for name, text in docs.items():
        if name not in hidden:
            said = NO_VALUE.search(text)
            default = _default(fields[name], said[1] if said else None)
            meaning = NO_VALUE.sub("", text) if said else text
            yield f"`{name}`", default, PAGE.sub(_link, meaning)


def _default(field: dataclasses.Field[Any], without: str | None) -> str:
    """A default as TOML has it, or in words."""
    value = field.default
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    if value is dataclasses.MISSING:
        return FROM_FILE
    if value is None or isinstance(value, Mapping):
        words = without or "None"
        return words.replace("the log's", "[the log's](#what-follows-the-log)")
    return f"`{json.dumps(value)}`"


def _link(found: re.Match[str]) -> str:
    folder, page = found.groups()
    where = page if folder == "reference/" else f"../{folder}{page}"
    return f"([{WORDS.get(folder, 'more')}]({where}))"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, or write them into the page."""
    parser = argparse.ArgumentParser(prog="studies.study_file", description=__doc__)
    parser.add_argument("--write", type=Path, help="page whose tables to regenerate")
    chosen = parser.parse_args(arguments)
    if chosen.write is None:
        print("\n".join(f"[{name}]\n{table}" for name, table in tables().items()), end="")
        return
    page = filled(chosen.write.read_text(encoding="utf-8"))
    with atomic_write(chosen.write) as stream:
        stream.write(page)


if __name__ == "__main__":
    main()
