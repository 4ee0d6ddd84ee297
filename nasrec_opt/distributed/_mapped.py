"""An object for several processes: its arrays are in one file, which all of them map.

The pages of the file are in memory once, however many processes read them. An array that is mapped
from a file already stays there. A process that writes to an array gets a copy of those pages.
"""

from __future__ import annotations

import io
import mmap
import pickle
import sys
import tempfile
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nasrec_opt.errors import NasrecError

try:  # MLflow brings it: it also sends functions that a script or a notebook defines
    from cloudpickle import Pickler  # type: ignore[import-untyped]  # it has no stubs
except ImportError:
    from pickle import Pickler

LEAST = 4096  # bytes of an array that is worth a place in the file
ALIGNMENT = 64  # bytes, as torch has it: products then take the same way in every process


class NotSharedError(NasrecError):
    """An object cannot be sent to another process."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an array is.

    Args:
        file: Path of a file that was mapped before, or None for the common one.
        start: First byte.
        num_bytes: Bytes; of a tensor those of its whole storage.
    """

    file: str | None
    start: int
    num_bytes: int


def share(value: Any, *, with_files: bool = False) -> IO[bytes]:
    """Write an object for `read`.

    Args:
        value: The object, whose tensors are on the CPU.
        with_files: Whether arrays that are mapped from a file are written as well, for a reader
            that does not have the file.

    Returns:
        A file without a name: it is gone with the last process that has it open.

    Raises:
        NotSharedError: A part of the object cannot be pickled; or the disk is full.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller's
    try:
        pickled = io.BytesIO()
        _Writer(pickled, file, with_files).dump(value)
        start = _append(file, pickled.getbuffer())
        file.write(start.to_bytes(8, "little"))
        file.flush()
    except Exception as error:  # a `__reduce__` of a user may raise anything
        file.close()
        raise NotSharedError(f"{type(error).__name__}: {error}") from error
    return file


def read(descriptor: int) -> Any:
    """Read what `share` wrote.

    Args:
        descriptor: Of the file.
    """
    return read_bytes(np.frombuffer(mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY), np.uint8))


def read_bytes(whole: npt.NDArray[np.uint8]) -> Any:
    """Read what `share` wrote, from the bytes of its file; arrays and tensors are views of them."""
    start = int.from_bytes(whole[-8:].tobytes(), "little")
    return _Reader(io.BytesIO(whole[start:-8].tobytes()), whole).load()


class _Writer(Pickler):  # type: ignore[misc]  # the same
    """Pickles all but the arrays, which go to the file."""

    def __init__(self, pickled: IO[bytes], file: IO[bytes], with_files: bool) -> None:
        super().__init__(pickled, protocol=pickle.HIGHEST_PROTOCOL)
        self._file, self._with_files = file, with_files
        self._written: dict[int, tuple[Any, int]] = {}  # by address: what must live on, and where

    def persistent_id(self, value: Any) -> Any:
        """Where an array or a tensor is, or None for whatever else."""
        if type(value) is np.ndarray:
            return self._array(value)
        torch = sys.modules.get("torch")
        if torch is not None and type(value) is torch.Tensor:
            return self._tensor(value, torch)
        return None

    def _array(self, array: npt.NDArray[Any]) -> Any:
        if array.nbytes < LEAST or array.dtype.hasobject or not array.flags.c_contiguous:
            return None
        place = None if self._with_files else self._mapped(array)
        return "array", place or self._put(array), array.dtype, array.shape

    def _mapped(self, array: npt.NDArray[Any]) -> Place | None:
        """The file of an array that is mapped as it is on disk."""
        base: Any = array
        while base is not None and not isinstance(base, np.memmap):
            base = getattr(base, "base", None)
        while base is not None and isinstance(base.base, np.memmap):
            base = base.base
        if base is None or base.mode != "r" or not base.filename:
            return None
        inside = array.ctypes.data - base.ctypes.data
        return Place(str(base.filename), base.offset + inside, array.nbytes)

    def _tensor(self, tensor: Any, torch: Any) -> Any:
        if tensor.device.type != "cpu":
            raise NotSharedError(f"a tensor is on {tensor.device}")
        storage = tensor.untyped_storage()
        if tensor.layout != torch.strided or not storage.nbytes():
            return None
        place = self._put(torch.empty(0, dtype=torch.uint8).set_(storage).numpy())
        where = (tensor.storage_offset(), tuple(tensor.size()), tensor.stride())
        return "tensor", place, tensor.dtype, where, tensor.requires_grad

    def _put(self, array: npt.NDArray[Any]) -> Place:
        """Write an array, once for all that share its memory."""
        address = array.ctypes.data
        kept, start = self._written.get(address, (None, 0))
        if kept is None or kept.nbytes < array.nbytes:
            start = _append(self._file, np.ascontiguousarray(array).reshape(-1).view(np.uint8))
            self._written[address] = array, start
        return Place(None, start, array.nbytes)


class _Reader(pickle.Unpickler):
    def __init__(self, pickled: IO[bytes], whole: npt.NDArray[np.uint8]) -> None:
        super().__init__(pickled)
        self._whole = whole
        self._storages: dict[Place, Any] = {}

    def persistent_load(self, found: Any) -> Any:
        """The array or tensor at a place."""
        kind, place, dtype, *rest = found
        if kind == "array":
            if place.file is not None:
                mapped = np.memmap(place.file, dtype, "r", place.start, rest[0])
                return np.asarray(mapped)
            return self._bytes(place).view(dtype).reshape(rest[0])
        import torch  # only for an object that has tensors

        if place not in self._storages:
            self._storages[place] = torch.from_numpy(self._bytes(place)).untyped_storage()
        (offset, size, stride), requires_grad = rest
        tensor = torch.empty(0, dtype=dtype).set_(self._storages[place], offset, size, stride)
        return tensor.requires_grad_(requires_grad)

    def _bytes(self, place: Place) -> npt.NDArray[np.uint8]:
        return self._whole[place.start : place.start + place.num_bytes]


def _append(file: IO[bytes], values: Any) -> int:
    """Write bytes at the next aligned place; returns where."""
    file.write(bytes(-file.tell() % ALIGNMENT))
    start = file.tell()
    file.write(values)
    return start
