"""Where a log is: one file or several, plain, compressed or in an archive.

The content of a file decides what it is. Its ending decides only where the content does not tell,
such as in an empty file.
"""

from __future__ import annotations

import bz2
import errno
import glob
import gzip
import hashlib
import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import pyarrow as pa

from nasrec_opt.data._frames import Frame, Tabular, is_table
from nasrec_opt.errors import DataError, described

Kind = Literal["text", "Parquet", "Arrow", "Arrow stream", "frame"]
Given = Path | str | Sequence[Path | str] | Tabular  # what a user gives as a log

FRAME = "frame"  # what errors call a table in memory
HEAD_BYTES = 512
STAMP_BYTES = 1 << 20
PIECE_BYTES = 1 << 20
CHECKED_BYTES = 64 << 20  # half a second
TABLES: dict[bytes, Kind] = {
    b"PAR1": "Parquet",
    b"ARROW1\0\0": "Arrow",
    b"\xff\xff\xff\xff": "Arrow stream",
}
TABLE_ENDINGS: dict[str, Kind] = {
    ".parquet": "Parquet",
    ".arrow": "Arrow",
    ".feather": "Arrow",
    ".ipc": "Arrow",
    ".arrows": "Arrow stream",
}
CODECS = {  # first bytes, usual ending
    "gzip": (re.compile(rb"\x1f\x8b"), ".gz"),
    "bzip2": (re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), ".bz2"),
    "xz": (re.compile(rb"\xfd7zXZ\0"), ".xz"),
    "zstd": (re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"), ".zst"),
    "lz4": (re.compile(rb"\x04\x22\x4d\x18"), ".lz4"),
}
MOST_LAYERS = 3  # a text in a .gz in a .zip has two; a file that contains itself has no end
OTHERS = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a rar archive",
    b"FEA1": "a Feather file of version 1",
}
ZIP = re.compile(rb"PK(\x03\x04|\x05\x06)")
WORKBOOK = "[Content_Types].xml"  # an Excel workbook is a .zip archive too
# What the readers of compressed files and archives raise where one is damaged.
DAMAGE = (
    EOFError, LookupError, OSError, OverflowError, RuntimeError, ValueError, lzma.LZMAError,
    pa.ArrowException, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file of a log, a member of a .zip archive, or a table in memory.

    Args:
        path: The file, or the name of the table.
        kind: What it is; a compressed text is text.
        size: Bytes on the disk, or rows in memory.
        member: Name in the archive; empty for a file that is none.
        frame: The table in memory, or None for a file.
    """

    path: Path
    kind: Kind
    size: int
    member: str = ""
    frame: Frame | None = None

    def __str__(self) -> str:
        return f"{self.path}/{printable(self.member)}" if self.member else str(self.path)


@dataclass(frozen=True, slots=True)
class Log:
    """The files of a log, in the order in which they are read.

    Args:
        name: The log as errors name it.
        files: At least one; all of them are text, or all of them tables of Parquet or Arrow; or
            one table in memory.
    """

    name: str
    files: tuple[LogFile, ...]

    def __str__(self) -> str:
        return self.name

    @property
    def size(self) -> int:
        """Bytes on the disk, or rows in memory."""
        return sum(file.size for file in self.files)

    @property
    def is_text(self) -> bool:
        """Whether the files are text."""
        return self.files[0].kind == "text"

    @property
    def in_memory(self) -> bool:
        """Whether it is a table in memory."""
        return self.files[0].frame is not None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files on the disk, an archive once; none for a table in memory."""
        return tuple(dict.fromkeys(file.path for file in self.files if file.frame is None))

    def stamp(self) -> str:
        """Identify the content: cheap for any size, as only parts of each file are read.

        Returns:
            Sixteen hexadecimal digits, which follow from the size, the beginning and the end of
            each file and from which members of an archive are read.

        Raises:
            DataError: It is a table in memory.
        """
        if self.in_memory:
            raise DataError(f"{self}: expected files, got a table in memory")
        stamps = [_stamp(path) for path in self.paths]
        members = [file.member for file in self.files if file.member]
        if len(stamps) == 1 and not members:
            return stamps[0]
        return hashlib.sha256("\n".join([*stamps, *members]).encode()).hexdigest()[:16]


def find_log(given: Given | Log) -> Log:
    """Find the files of a log.

    Args:
        given: A file, a folder of files, a pattern such as `day_*.csv`, a member of a .zip archive
            as `archive.zip/day_0.csv`, or a sequence of these. In a folder, subfolders are read as
            well, and names that begin with `.` or `_` are left out; so they are in an archive.
            Or a table in memory: a data frame of pandas or polars, a table of Arrow.

    Returns:
        The files in order of their names, numbers in names by their value.

    Raises:
        DataError: There is no readable file, one is there twice, or kinds are mixed.
    """
    if isinstance(given, Log):
        return given
    if is_table(given):
        frame = Frame(given, FRAME)
        return Log(FRAME, (LogFile(Path(FRAME), "frame", frame.num_rows, frame=frame),))
    names = [given] if isinstance(given, (str, Path)) else _listed(given)
    if not names:
        raise DataError("source: expected at least one file, got an empty list")
    paths = [path for name in names for path in _paths(Path(name))]
    files = sorted((file for path in paths for file in _files(path)), key=_order)
    for one, next_one in pairwise(files):
        if one == next_one:
            raise DataError(f"{one}: expected each file once, got it twice")
        if (one.kind == "text") != (next_one.kind == "text"):
            raise DataError(
                f"{next_one}: expected a file of the same kind as {one}, {one.kind}, got "
                f"{next_one.kind}"
            )
    shown = str(names[0]) if len(names) == 1 else f"{files[0]} and {len(files) - 1:,} more"
    return Log(shown, tuple(files))


class TextStream:
    """The text of a file, decompressed; a context manager.

    Args:
        file: The file.

    Raises:
        DataError: It cannot be read, is damaged, or holds no text.
    """

    def __init__(self, file: LogFile) -> None:
        self._file = file
        self._codec = ""
        self._stack = ExitStack()
        with self._stack, self._named_damage():
            self._raw = self._stack.enter_context(file.path.open("rb", buffering=0))
            stream: Any = self._raw
            if file.member:
                archive = self._stack.enter_context(zipfile.ZipFile(self._raw))
                stream = self._stack.enter_context(archive.open(file.member))
            self._start = self._raw.tell()
            self._stream = self._unpacked(stream)
            self._stack = self._stack.pop_all()

    @property
    def done(self) -> int:
        """Bytes on the disk read so far."""
        return min(max(self._raw.tell() - self._start, 0), self._file.size)

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes of text; none at the end."""
        with self._named_damage():
            return self._stream.read(size)

    def _unpacked(self, stream: Any) -> IO[bytes]:
        name = Path(self._file.member or self._file.path.name)
        for _ in range(MOST_LAYERS):
            buffered = io.BufferedReader(stream)
            head = buffered.peek(HEAD_BYTES)
            codec = _codec(head, name)
            if not codec:
                _require_text(self._file, head)
                return buffered
            self._codec = codec
            name = name.with_suffix("") if name.suffix else name
            stream = self._stack.enter_context(_opened(codec, buffered))
        raise DataError(f"{self._file}: expected text compressed once or twice, got more layers")

    @contextmanager
    def _named_damage(self) -> Iterator[None]:
        try:
            yield
        except DAMAGE as error:
            is_zip = isinstance(error, zipfile.BadZipFile) or not self._codec
            raise damage(self._file, "zip" if is_zip else self._codec, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._stack:
            if isinstance(error, DataError) and (self._codec or self._file.member):
                self._require_whole()

    def _require_whole(self) -> None:
        """Prefer the error of a damaged archive, which reads as odd text up to its checksum."""
        for _ in range(0, CHECKED_BYTES, PIECE_BYTES):
            if not self.read(PIECE_BYTES):
                break


def damage(file: LogFile | Path, what: str, error: BaseException) -> DataError:
    """The error of a file that is damaged, or that cannot be read.

    Args:
        file: The file.
        what: What it was taken for.
        error: What its reader raised: one of `DAMAGE`.
    """
    if isinstance(error, OSError) and error.strerror and error.errno != errno.EINVAL:
        return DataError(f"{file}: expected a readable file, got: {error.strerror}")
    reason = printable(str(error).partition("\n")[0])[:200] or type(error).__name__
    return DataError(f"{file}: expected a whole {what} file, got: {reason}")


def printable(text: str) -> str:
    """Text with escapes for what a terminal cannot show."""
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text)


def _listed(given: Any) -> list[Path | str]:
    names = list(given) if isinstance(given, Sequence) else [given]
    for name in names:
        if not isinstance(name, (str, Path)):
            hint = "; call collect() first" if hasattr(name, "collect") else ""
            raise DataError(
                "source: expected paths, or one table of pandas, polars or Arrow, got "
                f"{described(name)}{hint}"
            )
    return names


def _paths(given: Path) -> Iterator[Path]:
    """Files that a path or pattern names; a member of an archive stays in its path."""
    try:
        if given.is_dir():
            yield from _in_folder(given)
        elif given.exists() or _archive(given):
            yield given
        elif glob.has_magic(str(given)):
            found = glob.glob(str(given), recursive=True)  # noqa: PTH207 - Path has no pattern of its own
            if not found:
                raise DataError(f"{given}: expected files of this pattern, found none")
            for path in map(Path, found):
                yield from _in_folder(path) if path.is_dir() else [path]
        else:
            raise DataError(f"{given}: expected a click log, found nothing there")
    except OSError as error:
        raise DataError(f"{given}: expected a readable file, got: {error.strerror}") from error


def _in_folder(folder: Path) -> list[Path]:
    if (folder / "dataset.json").exists():
        raise DataError(f"{folder}: expected a click log, found a dataset, prepared already")
    found = []
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith((".", "_")) for part in parts):
            if partition := next((part for part in parts[:-1] if "=" in part), None):
                raise DataError(
                    f"{folder}: expected files that hold all columns, found one that is only in "
                    f"the name of the folder {partition}; write it into the files"
                )
            found.append(path)
    if not found:
        raise DataError(f"{folder}: expected a click log, found a folder without files")
    return found


def _archive(given: Path) -> Path | None:
    """The .zip archive of which a path names a member."""
    above = next((path for path in given.parents if path.is_file()), None)
    return above if above and zipfile.is_zipfile(above) else None


def _files(path: Path) -> Iterator[LogFile]:
    """The file at a path, the members of an archive, or one of its members."""
    archive = path if path.exists() else _archive(path) or path
    wanted = "" if archive == path else path.relative_to(archive).as_posix()
    if not archive.is_file():
        raise DataError(
            f"{path}: expected a regular file, which is read twice, found a pipe or device"
        )
    try:
        with archive.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
            size = archive.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: expected a readable file, got: {error.strerror}") from error
    if not ZIP.match(head) and (head or path.suffix.lower() != ".zip"):
        yield LogFile(path, _kind(head, path), size)
        return
    found = False
    for info in _members(archive):
        if info.filename == wanted or not wanted:
            found = True
            yield LogFile(archive, "text", info.compress_size, info.filename)
    if not found:
        raise DataError(f"{archive}: expected a file {wanted or 'in it'}, found none")


def _members(archive: Path) -> Iterable[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(archive) as opened:
            infos = [info for info in opened.infolist() if info.filename]
    except DAMAGE as error:
        raise damage(archive, "zip", error) from error
    if any(info.filename == WORKBOOK for info in infos):
        raise DataError(f"{archive}: expected a click log, found an Excel workbook; save it as CSV")
    hidden = (".", "_")  # macOS adds a folder __MACOSX
    return [
        info
        for info in infos
        if not info.is_dir() and not any(p.startswith(hidden) for p in info.filename.split("/"))
    ]


def _kind(head: bytes, path: Path) -> Kind:
    for magic, kind in TABLES.items():
        if head.startswith(magic):
            return kind
    return "text" if _codec(head, path) else TABLE_ENDINGS.get(path.suffix.lower(), "text")


def _codec(head: bytes, name: Path) -> str:
    """The codec of a compressed file, or the empty string."""
    for codec, (magic, _) in CODECS.items():
        if magic.match(head):
            return codec
    endings = {ending: codec for codec, (_, ending) in CODECS.items()}
    return endings.get(name.suffix.lower(), "")


def _opened(codec: str, stream: io.BufferedReader) -> Any:
    if codec == "gzip":
        return gzip.GzipFile(fileobj=stream, mode="rb")
    if codec == "bzip2":
        return bz2.BZ2File(stream)
    if codec == "xz":
        return lzma.LZMAFile(stream)
    return pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), codec)


def _require_text(file: LogFile, head: bytes) -> None:
    for magic, what in OTHERS.items():
        if head.startswith(magic):
            raise DataError(f"{file}: expected a click log, found {what}")
    if head[257:262] == b"ustar":
        raise DataError(f"{file}: expected a click log, found a tar archive; unpack it")
    for magic, kind in TABLES.items():
        if head.startswith(magic):
            raise DataError(
                f"{file}: expected compressed text, found compressed {kind}, which is compressed "
                "inside; unpack it"
            )
    if ZIP.match(head):
        raise DataError(f"{file}: expected text, found an archive inside; unpack it")


def _order(file: LogFile) -> list[tuple[int, str]]:
    """Sorts day_2 before day_10."""
    parts = re.split(r"([0-9]+)", str(file))
    return [(int(part) if part[:1].isdecimal() else -1, part) for part in parts]


def _stamp(path: Path) -> str:
    size = path.stat().st_size
    found = hashlib.sha256(str(size).encode())
    with path.open("rb") as stream:
        found.update(stream.read(STAMP_BYTES))
        stream.seek(max(0, size - STAMP_BYTES))
        found.update(stream.read(STAMP_BYTES))
    return found.hexdigest()[:16]
