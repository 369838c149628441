"""The other process, in which searches run. Imports little, since that process imports it too."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from threading import Thread
from typing import Any, Final

RARE_GC: Final = (50_000, 20, 100)
"""Thresholds of the garbage collector: a batch makes thousands of objects and no cycles, and looking for them took a fifth of the time.
Of a search it took more than half, since what was parsed is kept from one to the next."""


class SearchPool:
    """One process for searches, started when first needed; a fresh interpreter, since forking one that runs threads is unsafe."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def __call__(self) -> Executor:
        """Return the pool. One that broke, because its process was killed, is replaced."""
        if self._pool is None or getattr(self._pool, "_broken", False):
            self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_begin)
        return self._pool

    def close(self) -> None:
        """End the process; a search under way is left to end by itself, nobody waits for its answer."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def _begin() -> None:
    """Prepare the other process: a service that is killed cannot end it, so it ends itself."""
    rare_gc()
    Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def rare_gc() -> None:
    """Let the garbage collector look seldom, and never at what is here already."""
    gc.freeze()
    gc.set_threshold(*RARE_GC)


def ready(solve: Callable[[Any], Any]) -> str:
    """Run in the other process: to be asked this, it has imported what searches."""
    return solve.__module__
