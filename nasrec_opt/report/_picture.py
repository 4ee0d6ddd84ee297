"""Pictures as files; the suffix of the name decides the format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nasrec_opt._files import atomic_write
from nasrec_opt.errors import StudyError

_KINDS = ("svg", "png")


def write_picture(path: Path | str, render: Callable[[str], bytes]) -> None:
    """Write a picture, whole or not at all.

    Args:
        path: The file; its suffix, `.svg` or `.png`, decides the format.
        render: Makes the picture, given `svg` or `png`.

    Raises:
        StudyError: The suffix is neither `.svg` nor `.png`.
    """
    path = Path(path)
    kind = path.suffix[1:].lower()
    if kind not in _KINDS:
        raise StudyError(f"{path}: expected a file name that ends in .svg or .png")
    with atomic_write(path, "wb") as stream:
        stream.write(render(kind))
