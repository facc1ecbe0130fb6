"""Staging: rows of the host on their way to the device, a run of steps at a time.

A `Stager` has two slots, each with a buffer on the host and one on the device for every array that is staged. While
the steps of one run read the arrays of their slot, a thread gathers the rows of the next run into the other and has
them copied. What may happen when is settled by two events of a slot:

- *copied*: the copy of its rows is done. The thread waits for it before it writes into the buffer on the host again;
  the line of work waits for it before it reads the buffer on the device.
- *used*: the steps that read its rows are done. The line of copies waits for it before it writes into the buffer on the
  device again.

`Transfers` is what a device has to offer for that. Its methods do nothing where a library has no queues of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from mlpx._typing import Array
from mlpx.backends.gathering import HostRows, gather

__all__ = ["Gathered", "SharedTransfers", "Stager", "Transfers"]

Line = Literal["copies", "work"]
"""What runs in order on a device: its copies, and the work of the thread that trains."""

_PIECE = 2**20


class Gathered(NamedTuple):
    """Rows to be gathered.

    Attributes
    ----------
    source : HostRows
        Where they are.
    index : integer array of shape (n,)
        Which.
    field : int
        Number of the buffer that they go to.
    member : int, optional
        Which member's; None: those of all.
    """

    source: HostRows
    index: Array
    field: int
    member: int | None = None

    def pieces(self, count: int) -> list[Gathered]:
        """Return the rows in parts."""
        return [self._replace(index=part) for part in np.array_split(self.index, count) if len(part)]


class Transfers:
    """How staged rows get to a device. The reference makes a new array of every run's rows.

    Attributes
    ----------
    nbytes : int
        Bytes of a slot, about.
    threads : int
        How many threads gather.
    """

    nbytes = 2**23
    threads = 1

    def __init__(self, ops: Any) -> None:
        self.ops = ops

    def host_buffer(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return a buffer on the host."""
        return np.empty(shape, dtype)

    def device_buffer(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a buffer on the device, or None where there is none to write into."""
        return None

    def copy(self, host: Array, device: Any) -> None:
        """Put a copy to the device into the line of copies."""

    def deliver(self, host: Array, device: Any) -> Array:
        """Return the rows as an array of the library; a copy, since it may be read at any time later."""
        return self.ops.asarray(host.copy())

    def event(self) -> Any:
        """Return an event that has happened."""
        return None

    def record(self, event: Any, line: Line) -> None:
        """Let an event happen when everything is done that is in a line now."""

    def wait(self, event: Any, line: Line) -> None:
        """Let whatever is put into a line from now on wait for an event."""

    def synchronize(self, event: Any) -> None:
        """Wait for an event, here."""


class SharedTransfers(Transfers):
    """For libraries that read the host's memory, and have read it when a run of steps returns."""

    def deliver(self, host: Array, device: Any) -> Array:
        """Return the buffer as an array of the library, where that can without a copy."""
        return self.ops.asarray(host)


@dataclass
class _Slot:
    host: list[Array]
    device: list[Any]
    copied: Any
    used: Any
    coming: Future[None] | None = None


class Stager:
    """Takes rows of the host in turn and returns arrays of the device: always those of two slots.

    Used as a context: threads are there as long as it lasts. The order is `stage`, `arrays`, `release`, where the next
    run may be staged before the present one is released.

    Parameters
    ----------
    transfers : Transfers
        The device.
    shapes : sequence of (shape, dtype)
        Of the buffers of a slot.
    slots : int
        How many slots there are.
    """

    def __init__(self, transfers: Transfers, shapes: Sequence[tuple[tuple[int, ...], Any]], slots: int = 2) -> None:
        self._transfers = transfers
        self._slots = [self._slot(shapes) for _ in range(slots)]
        self._staged = self._given = self._released = 0
        self._reader: ThreadPoolExecutor | None = None
        self._gatherers: ThreadPoolExecutor | None = None

    def _slot(self, shapes: Sequence[tuple[tuple[int, ...], Any]]) -> _Slot:
        t = self._transfers
        slot = _Slot(
            [t.host_buffer(*kind) for kind in shapes], [t.device_buffer(*kind) for kind in shapes], t.event(), t.event()
        )
        t.record(slot.used, "work")  # memory from a pool may still be read by earlier work
        return slot

    def __enter__(self) -> Stager:
        threads = self._transfers.threads
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="mlpx-staging")
        self._gatherers = ThreadPoolExecutor(threads, thread_name_prefix="mlpx-gather") if threads > 1 else None
        return self

    def __exit__(self, *_: object) -> None:
        for pool in (self._reader, self._gatherers):
            if pool is not None:
                pool.shutdown(wait=True)
        while self._released < self._given:  # the steps ended in an exception
            self.release()
        self._staged = self._given = self._released = 0
        for slot in self._slots:
            self._transfers.synchronize(slot.copied)  # nobody may be writing when buffers are given back

    def stage(self, rows: Sequence[Gathered]) -> None:
        """Have rows gathered and copied into the next slot, which must have been released."""
        if self._reader is None or self._staged - self._released >= len(self._slots):
            msg = "A run can only be staged within the context, and when a slot is free."
            raise RuntimeError(msg)
        slot = self._slots[self._staged % len(self._slots)]
        self._staged += 1
        slot.coming = self._reader.submit(self._bring, slot, rows)

    def _bring(self, slot: _Slot, rows: Sequence[Gathered]) -> None:
        t = self._transfers
        t.synchronize(slot.copied)
        self._gather(slot, rows)
        t.wait(slot.used, "copies")
        for field, (host, device) in enumerate(zip(slot.host, slot.device, strict=True)):
            if device is not None:
                part = _filled(host, [r for r in rows if r.field == field])
                t.copy(host[part], device[part])
        t.record(slot.copied, "copies")

    def _gather(self, slot: _Slot, rows: Sequence[Gathered]) -> None:
        if self._gatherers is None:
            for r in rows:
                _write(r, slot.host[r.field])
            return
        done = []
        for r in rows:
            for piece, start in _parted(r):
                host = slot.host[r.field]
                place = host[start:] if r.member is None else host[:, start:]
                done.append(self._gatherers.submit(_write, piece, place))
        for future in done:
            future.result()

    def arrays(self) -> list[Array]:
        """Return the arrays of the run that was staged first of those not yet returned; older rows follow its own."""
        slot = self._slots[self._given % len(self._slots)]
        if slot.coming is None:
            msg = "No run has been staged."
            raise RuntimeError(msg)
        slot.coming.result()
        slot.coming = None
        self._given += 1
        self._transfers.wait(slot.copied, "work")
        return [self._transfers.deliver(*pair) for pair in zip(slot.host, slot.device, strict=True)]

    def release(self) -> None:
        """Say that the steps that read the oldest arrays have been put into the line of work."""
        self._transfers.record(self._slots[self._released % len(self._slots)].used, "work")
        self._released += 1


def _parted(rows: Gathered) -> list[tuple[Gathered, int]]:
    """Return rows in pieces of some size, each with the number of its first."""
    pieces = rows.pieces(max(1, len(rows.index) * rows.source.row_bytes // _PIECE))
    starts = np.cumsum([0, *(len(piece.index) for piece in pieces)])
    return [(piece, int(start)) for piece, start in zip(pieces, starts[:-1], strict=True)]


def _write(rows: Gathered, host: Array) -> None:
    out = host if rows.member is None else host[rows.member]
    gather(rows.source.part(rows.member), rows.index, out[: len(rows.index)], rows.source.convert)


def _filled(host: Array, rows: Sequence[Gathered]) -> slice:
    """Return the part of a buffer that was written to: its first rows, or all of it where members have blocks."""
    return slice(len(rows[0].index)) if rows[0].member is None else slice(len(host))
