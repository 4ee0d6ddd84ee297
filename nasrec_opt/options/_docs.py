"""What the docstring of a class of options says about each, for the reference of the study file."""

from __future__ import annotations

import inspect
import re


def option_docs(options: type) -> dict[str, str]:
    """Read the lines under `Args:` of a class and of its bases.

    Args:
        options: A dataclass of options, or any class with a docstring in Google form.

    Returns:
        Text of each option on one line, those of bases first; a class's own text replaces that of
        a base, in its place.

    Example:
        >>> from nasrec_opt.options import AxConfig
        >>> option_docs(AxConfig)["strategy"].partition(":")[0]
        '`pool_bayes`'
    """
    found: dict[str, str] = {}
    for cls in reversed(options.__mro__):
        if cls is object or not vars(cls).get("__doc__"):
            continue
        doc = inspect.cleandoc(cls.__doc__ or "")
        section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", doc, re.MULTILINE | re.DOTALL)
        entries = section[1] if section else ""
        for name, text in re.findall(r"^    (\w+): (.*?)(?=^    \w|\Z)", entries, re.M | re.S):
            found[name] = " ".join(text.split())
    return found
