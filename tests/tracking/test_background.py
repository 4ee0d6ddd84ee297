"""The thread that writes: nothing is lost and nobody waits for ever, whatever comes when."""

from __future__ import annotations

import threading

import pytest

from nasrec_opt.errors import StudyError
from nasrec_opt.tracking._background import Background


def test_items_are_written_once_and_in_order():
    written: list[int] = []
    background = Background(written.extend, "store")
    for item in range(200):
        background.submit(item)
    background.flush()
    assert written == list(range(200))
    background.close()


def test_what_is_handed_over_while_it_closes_is_written_and_so_is_what_comes_later():
    written: list[str] = []
    is_writing, go_on = threading.Event(), threading.Event()

    def write(items: list[str]) -> None:
        is_writing.set()
        assert go_on.wait(10)
        written.extend(items)

    background = Background(write, "store")
    background.submit("before")
    closing = threading.Thread(target=background.close)
    closing.start()
    assert is_writing.wait(10)
    background.submit("meanwhile")
    go_on.set()
    closing.join(10)
    assert not closing.is_alive()
    background.submit("after")
    flushing = threading.Thread(target=background.flush, daemon=True)
    flushing.start()
    flushing.join(10)
    assert not flushing.is_alive()
    assert sorted(written) == ["after", "before", "meanwhile"]
    background.close()


def test_an_error_reaches_the_next_call():
    def write(items: list[int]) -> None:
        raise OSError("disk full")

    background = Background(write, "store")
    background.submit(1)
    with pytest.raises(StudyError, match=r"store: trials could not be logged .*disk full"):
        background.flush()
    background.close()
