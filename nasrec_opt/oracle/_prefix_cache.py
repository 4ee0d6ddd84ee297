"""A cache of block outputs for later genotypes; the least recently used leave first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

Key = tuple[str, int]  # which rows, which output


class PrefixCache:
    """Block outputs by key, never more bytes than `capacity_bytes`.

    Args:
        capacity_bytes: Maximum number of bytes kept; 0 keeps nothing.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.num_bytes = 0
        self._entries: OrderedDict[Key, tuple[list[Any], int]] = OrderedDict()

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def read(self, key: Key) -> list[Any]:
        """The output, one tensor for each chunk of rows; it becomes the most recently used."""
        self._entries.move_to_end(key)
        return self._entries[key][0]

    def reserve(self, wanted: Mapping[Key, int], in_use: Sequence[Key]) -> set[Key]:
        """Make room for new outputs before they are computed.

        Args:
            wanted: Bytes of each new output, most useful first.
            in_use: Outputs that must stay.

        Returns:
            Those of `wanted` that there is space for.
        """
        for key in in_use:
            self._entries.move_to_end(key)
        room = self.capacity_bytes - sum(self._entries[key][1] for key in in_use)
        chosen = set()
        for key, num_bytes in wanted.items():
            if num_bytes <= room:
                chosen.add(key)
                room -= num_bytes
        needed = sum(wanted[key] for key in chosen)
        while self.num_bytes + needed > self.capacity_bytes:
            _, (_, num_bytes) = self._entries.popitem(last=False)
            self.num_bytes -= num_bytes
        return chosen

    def put(self, key: Key, chunks: list[Any], num_bytes: int) -> None:
        """Keep an output for which `reserve` made space."""
        self._entries[key] = (chunks, num_bytes)
        self.num_bytes += num_bytes
