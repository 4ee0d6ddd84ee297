"""What a process says to a task: a result or an error, pickled.

A module of its own, since `python -m` warns of one that its package has loaded already.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any


def answer_to(task: bytes, function: Callable[[Any, Any], Any], note: Any) -> bytes:
    """Do a pickled task.

    Args:
        task: What the function takes.
        function: Does it.
        note: A `Note`.

    Returns:
        Pickled `("result", ...)`, or `("error", ...)` with the error that the function raised.
    """
    try:
        return pickle.dumps(("result", function(pickle.loads(task), note)))
    except Exception as error:
        return _pickled(error)


def _pickled(error: Exception) -> bytes:
    """The error, or one that says the same if it cannot be sent."""
    try:
        answer = pickle.dumps(("error", error))
        pickle.loads(answer)
    except Exception:
        return pickle.dumps(("error", RuntimeError(f"{type(error).__name__}: {error}")))
    return answer
