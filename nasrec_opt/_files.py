"""Reading and writing of files.

Files appear whole or not at all: they are written under a temporary name, then renamed. All text is
read here, so that a byte-order mark, which Windows tools put at the start of UTF-8, never matters.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from nasrec_opt.errors import NasrecError

BYTE_ORDER_MARK = "\ufeff"
# UTF-32 first: its mark in little-endian order begins with that of UTF-16.
OTHER_MARKS = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


@contextmanager
def atomic_write(path: Path | str, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file that replaces `path` if the block succeeds and is deleted if it raises.

    Args:
        path: The file; its folder is created.
        mode: `"w"` (UTF-8 text) or `"wb"`.

    Yields:
        The open temporary file.
    """
    encoding = None if "b" in mode else "utf-8"
    with atomic_path(path) as temporary, temporary.open(mode, encoding=encoding) as stream:
        yield stream


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Name a file that replaces `path` if the block succeeds and is deleted if it raises.

    Args:
        path: The file; its folder is created.

    Yields:
        The temporary file, which is there and empty.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _named_in_errors(path):
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)  # mkstemp makes files private; these are meant to be shared
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_directory(path: Path | str) -> Iterator[Path]:
    """Fill a folder that appears as `path` if the block succeeds and is deleted if it raises.

    An existing folder at `path` is replaced only at the end.

    Yields:
        The temporary folder to write into.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _named_in_errors(path):
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
            os.replace(path, old / "replaced")
            os.replace(temporary, path)
            shutil.rmtree(old)
        else:
            os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


@contextmanager
def _named_in_errors(path: Path) -> Iterator[None]:
    """Let an error name the requested file instead of the temporary one."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with atomic_write(path) as stream:
        json.dump(value, stream, indent=2, sort_keys=True)
        stream.write("\n")


def other_encoding(head: bytes) -> str | None:
    """`UTF-16` or `UTF-32` if a file begins like one of them, or None.

    Args:
        head: The first four bytes or more.
    """
    for mark, name in OTHER_MARKS.items():
        if head.startswith(mark):
            return name
    # Without a mark, Latin letters and digits have a zero in every other byte.
    pairs = (head[0:2], head[2:4])
    if all(len(pair) == 2 and (pair[0] == 0) != (pair[1] == 0) for pair in pairs):
        return "UTF-16"
    return None


def read_text(path: Path | str) -> str:
    """The text of a UTF-8 file, without a byte-order mark.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not UTF-8; the message completes "expected UTF-8 text, got ".
    """
    content = Path(path).read_bytes()
    encoding = other_encoding(content[:4])
    if encoding:
        raise ValueError(f"{encoding} text; save it as UTF-8")
    try:
        return content.decode("utf-8").removeprefix(BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"byte 0x{content[error.start]:02x} at position {error.start + 1}; save it as UTF-8"
        ) from error


def read_json(path: Path | str) -> Any:
    """The value in a JSON file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not UTF-8, or not JSON.
    """
    return json.loads(read_text(path))


def read_toml(path: Path | str, error: type[NasrecError]) -> dict[str, Any]:
    """The tables of a TOML file.

    Args:
        path: The file.
        error: Class of the error that is raised if it cannot be read.

    Raises:
        NasrecError: The file is missing, a folder, not UTF-8, or not TOML; as an `error`.
    """
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise error(f"{path}: expected a TOML file, found nothing there") from None
    except IsADirectoryError:
        raise error(f"{path}: expected a TOML file, found a folder") from None
    except OSError as cause:
        raise error(f"{path}: expected a TOML file, got: {cause.strerror}") from cause
    except ValueError as cause:
        raise error(f"{path}: expected UTF-8 text, got {cause}") from cause
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as cause:
        raise error(f"{path}: expected TOML, got {cause}") from cause


def sha256(path: Path | str) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
