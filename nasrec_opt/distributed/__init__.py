"""Work in other processes: an executor takes tasks and returns futures.

`WorkerPool` has the processes of this machine. Whatever else has `workers` and `submit`, such as
the actors of a cluster, can stand in its place.
"""

from nasrec_opt.distributed._executor import Executor, Here, executor_of
from nasrec_opt.distributed._mapped import NotSharedError
from nasrec_opt.distributed._number import free_workers
from nasrec_opt.distributed._pool import Note, WorkerDiedError, WorkerPool

__all__ = [
    "Executor",
    "Here",
    "NotSharedError",
    "Note",
    "WorkerDiedError",
    "WorkerPool",
    "executor_of",
    "free_workers",
]
