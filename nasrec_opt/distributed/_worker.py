"""A worker: does the tasks that its parent sends, until the parent closes the socket or is gone.

`nasrec_opt.distributed._pool` starts it.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any

from nasrec_opt.distributed._answers import answer_to
from nasrec_opt.distributed._mapped import read


def main() -> None:
    """Read the function, then do task after task."""
    parent, function_file = Connection(int(sys.argv[1])), int(sys.argv[2])
    tasks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(parent, tasks), daemon=True).start()
    try:
        function = read(function_file)
    except Exception as error:
        parent.send(f"{type(error).__name__}: {error}")
        return
    parent.send(None)

    def note(*values: Any) -> None:
        parent.send(("note", values))

    while True:
        parent.send_bytes(answer_to(tasks.get(), function, note))


def _listen(parent: Connection, tasks: queue.SimpleQueue[bytes]) -> None:
    """Wait for tasks also while one is done: the end of the parent is the end of this process."""
    try:
        while True:
            tasks.put(parent.recv_bytes())
    except (EOFError, OSError):
        os._exit(1)


if __name__ == "__main__":
    main()
