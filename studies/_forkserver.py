"""What `multiprocessing` imports in the process that workers are forked from."""

from __future__ import annotations

import sys

from studies._preload import LIBRARIES, THREADED, load_without_threads

if THREADED not in sys.modules:  # elsewhere it is read as any other module
    load_without_threads(LIBRARIES)
