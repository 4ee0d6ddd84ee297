"""Most memory of a process while something runs, without pages of mapped files."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from threading import Event, Thread


class Peak:
    """Looks at a process again and again; a context manager.

    The system takes pages of mapped files back when it needs them, so they do not count.

    Args:
        process: Its number, or `self` for this one.
    """

    def __init__(self, process: int | str = "self") -> None:
        self.megabytes = 0.0
        self._status = Path(f"/proc/{process}/status")
        self._ended = Event()
        self._thread = Thread(target=self._watch)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            words: list[str] = []
            with suppress(OSError):  # the process has ended
                words = self._status.read_text().split()
            if "RssAnon:" in words:
                kilobytes = int(words[words.index("RssAnon:") + 1])
                self.megabytes = max(self.megabytes, kilobytes * 1024 / 1e6)
