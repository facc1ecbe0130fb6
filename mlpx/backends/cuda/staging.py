"""Staging on CUDA: page-locked buffers, and a stream of its own for the copies."""

from __future__ import annotations

import os
from typing import Any

import cupy
import cupyx

from mlpx._typing import Array
from mlpx.backends.staging import Line, Transfers

__all__ = ["CudaTransfers"]

_MOST_THREADS = 8


class CudaTransfers(Transfers):
    """Copies by the card's own engine, beside the work on the stream that is current where a run of steps is started.

    Notes
    -----
    The methods are called from two threads; the current device and stream of CuPy belong to a thread, so the device is
    made current in each of them, and only the thread that trains names the line of work.
    """

    nbytes = 2**26

    def __init__(self, ops: Any) -> None:
        super().__init__(ops)
        self.threads = min(_MOST_THREADS, os.cpu_count() or 1)
        with self.ops.context():
            self._copies = cupy.cuda.Stream(non_blocking=True)

    def host_buffer(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return page-locked memory, from which the card copies on its own."""
        with self.ops.context():
            return cupyx.empty_pinned(shape, dtype)

    def device_buffer(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return memory of the card."""
        with self.ops.context():
            return cupy.empty(shape, dtype)

    def copy(self, host: Array, device: Any) -> None:
        """Put a copy into the stream of copies."""
        with self.ops.context():
            device.set(host, stream=self._copies)

    def deliver(self, host: Array, device: Any) -> Array:
        """Return the buffer on the card."""
        return device

    def event(self) -> Any:
        """Return an event without a clock, for which the host waits asleep; one never recorded has happened."""
        with self.ops.context():
            return cupy.cuda.Event(block=True, disable_timing=True)

    def record(self, event: Any, line: Line) -> None:
        """Record an event on a stream."""
        with self.ops.context():
            event.record(self._stream(line))

    def wait(self, event: Any, line: Line) -> None:
        """Make a stream wait for an event."""
        with self.ops.context():
            self._stream(line).wait_event(event)

    def synchronize(self, event: Any) -> None:
        """Wait for an event, without the interpreter's lock."""
        with self.ops.context():
            event.synchronize()

    def _stream(self, line: Line) -> Any:
        return self._copies if line == "copies" else cupy.cuda.get_current_stream()
