"""Any text as a name that MLflow accepts, so that different texts stay different names.

MLflow accepts letters, digits, `_ - . : /` and spaces, up to 250 characters, in names that are
normalised paths. Such a name stays as it is. In other names, each character that is not accepted
becomes `_xHHHH_`, its code point in hexadecimal, as in `XmlConvert.EncodeName` of .NET and in the
cells of OOXML; so does an underscore that would look like the beginning of such a code. `decode`
gives the original. A name that is too long is cut, and a digest is added.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable

MAX_NAME = 250
EMPTY = "_x_"  # the name without characters
_CUT = "_xsha256_"  # before the digest of a name that was too long
_DIGEST = 32
_REFUSED = re.compile(r"[^\w.\- /]" if os.name == "nt" else r"[^\w.\- :/]")
_LIKE_A_CODE = re.compile(r"_(?=x[0-9A-F]{4})|_(?=xsha256_)|\A_(?=x_\Z)")
_CODE = re.compile(r"_x([0-9A-F]{4,6})_")
# Places where a path is not normalised: slashes at the ends and after slashes; `.` and `..` as
# parts; and two dots at the beginning, which MLflow refuses whatever follows.
_NOT_NORMAL = re.compile(r"\A/|/\Z|(?<=/)/|(?:\A|(?<=/))\.(?=\.?(?:/|\Z))|\A\.(?=\.)")


def encode(name: str) -> str:
    """The MLflow name of a metric, parameter, tag or artifact.

    Args:
        name: Any text.

    Returns:
        The name itself, if MLflow accepts it and it contains nothing that looks like a code.

    Example:
        >>> encode("val/log loss"), encode("a%b"), encode("a//b")
        ('val/log loss', 'a_x0025_b', 'a/_x002F_b')
    """
    return _encoded(name, _places(name, _REFUSED, _NOT_NORMAL))


def encode_title(name: str) -> str:
    """The name of an experiment or run, in which MLflow accepts nearly all characters.

    Args:
        name: Any text.

    Returns:
        The name itself, unless it is empty, too long or holds control characters.
    """
    return _encoded(name, {i for i, character in enumerate(name) if not character.isprintable()})


def decode(name: str) -> str:
    """The original of a name.

    Args:
        name: What `encode` or `encode_title` gave, unless it was cut.

    Example:
        >>> decode("a_x0025_b")
        'a%b'
    """
    return "" if name == EMPTY else _CODE.sub(lambda code: chr(int(code[1], 16)), name)


def is_cut(name: str) -> bool:
    """Whether a name from `encode` was cut, and ends in a digest."""
    return len(name) == MAX_NAME and name[:-_DIGEST].endswith(_CUT)


def unique(names: Iterable[object]) -> dict[object, str]:
    """Distinct MLflow names for several things of one run, which need not be text.

    Args:
        names: Distinct; anything but text goes by its `repr`.

    Returns:
        The MLflow name of each, in the same order.
    """
    found: dict[object, str] = {}
    given = list(names)
    taken = {encode(name) for name in given if isinstance(name, str)}
    for name in given:
        if isinstance(name, str):
            found[name] = encode(name)
            continue
        text = repr(name)
        while encode(text) in taken:
            text += "'"
        found[name] = encode(text)
        taken.add(found[name])
    return found


def _encoded(name: str, refused: set[int]) -> str:
    """A name with the characters at some places, and what looks like a code, as codes."""
    if not name:
        return EMPTY
    coded = refused | _places(name, _LIKE_A_CODE)
    text = "".join(f"_x{ord(c):04X}_" if i in coded else c for i, c in enumerate(name))
    if len(text) <= MAX_NAME and not is_cut(text):  # nor looks it as if it were
        return text
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return text[: MAX_NAME - len(_CUT) - _DIGEST] + _CUT + digest


def _places(name: str, *patterns: re.Pattern[str]) -> set[int]:
    return {match.start() for pattern in patterns for match in pattern.finditer(name)}
