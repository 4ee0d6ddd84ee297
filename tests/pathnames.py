"""Names of folders that a file system takes and that programs stumble over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

TROUBLE = "?#%&='\"`;:@\\ \n\t{}[]()*$!~+-.,<>|^é\u4e16\U0001f600a4F/"
AWKWARD = (
    "q?x=1",
    "a#b",
    "100%",
    "50%41",
    "%3F",
    "two words",
    "naïve 世界",
    "a&b",
    "it's",
    'a"b',
    "c:d",
    "e@f",
    "back\\slash",
    "-dash",
    "new\nline",
    "dot.",
    "{SCHEMA_VERSION}",
    "[::1]",
    "a*b",
    "$HOME",
    "~",
    "file:x",
    "a;b",
)

path_names = (
    st.lists(st.sampled_from(TROUBLE.replace("/", "")), min_size=1, max_size=12)
    .map("".join)
    .filter(lambda name: name not in (".", ".."))
)
"""One folder's name."""


def each_name(test: Callable[..., Any]) -> Callable[..., Any]:
    """Give a test, as its `name`, the awkward ones, and random ones beside them."""
    for name in AWKWARD:
        test = example(name=name)(test)
    return settings(max_examples=10, deadline=None)(given(name=path_names)(test))
