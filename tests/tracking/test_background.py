"""The thread that writes: nothing is lost and nobody waits for ever, whatever comes when."""

from __future__ import annotations

import threading

import pytest
from patience import PATIENCE_S

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
        assert go_on.wait(PATIENCE_S)
        written.extend(items)

    background = Background(write, "store")
    background.submit("before")
    closing = threading.Thread(target=background.close)
    closing.start()
    assert is_writing.wait(PATIENCE_S)
    background.submit("meanwhile")
    go_on.set()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    background.submit("after")
    flushing = threading.Thread(target=background.flush, daemon=True)
    flushing.start()
    flushing.join(PATIENCE_S)
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


def test_a_store_that_is_away_for_a_while_gets_all_of_it_once_and_in_order():
    written: list[int] = []
    attempts = []

    def write(items: list[int]) -> None:
        attempts.append(items)
        raise ConnectionError("away")

    def again(items: list[int]) -> None:
        attempts.append(items)
        if len(attempts) < 4:
            raise ConnectionError("still away")
        background._write = written.extend  # type: ignore[method-assign]  # it is back
        written.extend(items)

    background = Background(
        write, "store", again=again, is_away=lambda error: isinstance(error, ConnectionError)
    )
    for item in range(100):
        background.submit(item)
    background.close()
    assert written == list(range(100))
    assert len(attempts) == 4


def test_patience_ends_and_the_next_items_are_tried_anew():
    is_away = True
    written: list[int] = []

    def write(items: list[int]) -> None:
        if is_away:
            raise ConnectionError("away")
        written.extend(items)

    background = Background(write, "store", is_away=lambda error: True, patience_s=0.1)
    for item in range(100):
        background.submit(item)
    with pytest.raises(StudyError, match="away"):
        background.flush()
    is_away = False
    background.submit(100)
    background.close()
    assert written == [100]
