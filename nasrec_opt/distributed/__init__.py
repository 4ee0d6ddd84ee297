"""Work in other processes: an executor takes tasks and returns futures.

`WorkerPool` has the processes of this machine, `RayPool` those of a Ray cluster. Whatever else has
`submit` can stand in their place.
"""

from nasrec_opt.distributed._executor import Executor, Here, executor_of
from nasrec_opt.distributed._mapped import NotSharedError
from nasrec_opt.distributed._number import free_workers
from nasrec_opt.distributed._pool import Note, WorkerDiedError, WorkerPool
from nasrec_opt.distributed._ray import RayPool, connected

__all__ = [
    "Executor",
    "Here",
    "NotSharedError",
    "Note",
    "RayPool",
    "WorkerDiedError",
    "WorkerPool",
    "connected",
    "executor_of",
    "free_workers",
]
