"""Threads: independent pieces of work spread over the cores that the process may use."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from threading import Lock
from typing import Any

import numpy as np

__all__ = ["Workers"]


class Workers:
    """Threads that share a list of pieces of work among them.

    Attributes
    ----------
    count : int
        How many there are: as many as BLAS has, so that ``OMP_NUM_THREADS`` and `threadpoolctl` rule over both.
    """

    def __init__(self) -> None:
        _every.add(self)

    @cached_property
    def count(self) -> int:
        """Number of threads."""
        return _blas_threads()

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.count, thread_name_prefix="mlpx")

    def __call__(self, work: Callable[[Any, int], None], pieces: Sequence[Any]) -> None:
        """Call ``work(piece, worker)`` for each piece; the first exception stops all and is raised."""
        if self.count == 1 or len(pieces) == 1:
            for piece in pieces:
                work(piece, 0)
            return
        waiting, busy = list(reversed(pieces)), set()

        def turn(worker: int) -> None:
            busy.add(worker)
            try:
                with np.errstate(all="ignore"):
                    for piece in _taken_from(waiting):
                        work(piece, worker)
            finally:
                waiting.clear()
                busy.discard(worker)

        with _single_threaded_blas:
            try:
                futures = [self._pool.submit(turn, worker) for worker in range(self.count)]
                for future in futures:
                    future.result()
            finally:
                waiting.clear()
                _wait_for(busy)


_every: weakref.WeakSet[Workers] = weakref.WeakSet()


def _taken_from(waiting: list[Any]) -> Iterator[Any]:
    """Yield what is left until nothing is, whoever else takes from the list too."""
    while True:
        try:
            piece = waiting.pop()
        except IndexError:
            return
        yield piece


def _wait_for(busy: set[int]) -> None:
    """Wait until nobody works any more, through further interrupts too: what is worked on must not change later."""
    interrupted = False
    while busy:
        try:
            time.sleep(0.001)
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt


def _blas_threads() -> int:
    """Return the threads that NumPy's BLAS uses; where that is unknown, the cores that the process may use."""
    if _single_threaded_blas.count:  # another stack is at work
        return _single_threaded_blas.count
    counts = [library["num_threads"] for library in _blas().info()]
    return max(counts) if counts else _usable_cores()


class _SingleThreadedBlas:
    """A context in which BLAS starts no threads of its own: every core has a worker already.

    The number of BLAS's threads belongs to the process, so it is lowered by the first that enters and set back by the
    last that leaves.
    """

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Set out with nobody inside."""
        self._lock = Lock()
        self._inside = 0
        self._limits: Any = None
        self.count = 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self.count = _blas_threads()
                self._limits = _blas().limit(limits=1)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self.restore()

    def restore(self) -> None:
        """Give BLAS its threads back."""
        self._limits.restore_original_limits()
        self.count = 0


_single_threaded_blas = _SingleThreadedBlas()


def _after_fork() -> None:
    """Start anew in a child process, where the threads that work and hold locks are not."""
    for workers in _every:
        workers.__dict__.pop("_pool", None)
    if _single_threaded_blas.count:
        _single_threaded_blas.restore()
    _single_threaded_blas.start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
