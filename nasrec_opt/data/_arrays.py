"""An array written row by row to a .npy file, so that memory does not grow with the array."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt


class ArrayFile:
    """A .npy file of known shape, filled from its first row on; a context manager.

    Args:
        path: The file.
        dtype: Type of the entries.
        shape: Rows first.
    """

    def __init__(self, path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> None:
        self._dtype = np.dtype(dtype)
        self._path = path
        self._digest = hashlib.sha256()
        self._stream = path.open("wb")
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(self._stream, header)

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Append rows."""
        data = np.ascontiguousarray(rows, self._dtype).data
        self._stream.write(data)
        self._digest.update(data)

    def finish(self) -> str:
        """SHA-256 of the entries written so far."""
        self._stream.close()
        return self._digest.hexdigest()

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.close()
