"""Windows: the rows of an epoch in parts that fit into half of the buffer, read ahead in a thread.

An epoch of a source is a sequence of rows. Shuffled, its blocks are drawn in random order, and the rows of each window
are drawn again; in order, the rows come as they lie. A window holds a whole number of batches, so that no batch but the
last of the epoch is short. There are two halves: while one is trained on, a thread fills the other, also with the first
window of the next epoch.

Where an epoch has one window, its order is the one that the same rows in memory would have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from mlpx._typing import Array
from mlpx.backends.host import Key, permutations
from mlpx.backends.host import xp as hxp
from mlpx.sources.base import Block, Source
from mlpx.sources.intake import Intake, Taken

__all__ = ["Shuffle", "Window", "Windows"]

_PARTS = 64
"""How many blocks a window is made of, about."""

_PIECES, _MOST_BYTES = 16, 2**23
"""In how many pieces a window is read at least, and how large they are at most."""

_PLACE, _WEIGHT = 32, 32
"""Bytes of a row's place in the order, and of its weight beside itself, while a window is cut into batches."""


class Window(NamedTuple):
    """A part of an epoch.

    Attributes
    ----------
    epoch, number : int
        Which, both from 0.
    rows : Taken
        What lies in the half of the buffer.
    order : integer array of shape (n,)
        In which order the rows are taken.
    last : bool
        Whether the epoch ends with it.
    """

    epoch: int
    number: int
    rows: Taken
    order: Array
    last: bool


@dataclass(frozen=True)
class Shuffle:
    """The order of blocks and rows.

    Parameters
    ----------
    key : Key
        Whose stream the order is drawn from.
    first_epoch : int
        Epochs that the network has seen before the fit.
    on : bool
        Whether to draw at all.
    """

    key: Key
    first_epoch: int
    on: bool

    def blocks(self, blocks: list[Block], epoch: int, size: int) -> list[Block]:
        """Return blocks in the order of an epoch; those that fall into a window of so many rows as they lie."""
        if not self.on or len(blocks) < 2:
            return blocks
        drawn = permutations([self.key], "blocks", [self.first_epoch + epoch], len(blocks))[0, :].tolist()
        ends = accumulate(blocks[i].rows or 0 for i in drawn)
        windows = [(max(0, end - 1) // size, i) for end, i in zip(ends, drawn, strict=True)]
        return [blocks[i] for _, i in sorted(windows)]

    def rows(self, epoch: int, window: int, n: int) -> Array:
        """Return the order of the rows of a window."""
        if not self.on:
            return hxp.arange(n)
        return permutations([self.key], "shuffle", [self.first_epoch + epoch], n, window)[0, :]


class Windows:
    """The windows of a fit, in turn.

    Parameters
    ----------
    source : Source
        What is read.
    intake : Intake
        What takes its pieces in.
    first : Taken
        A first piece: what rows look like.
    shuffle : Shuffle
        The order.
    batch_size, epochs : int
        As in `mlpx.Network.fit`.
    """

    def __init__(
        self, source: Source, intake: Intake, first: Taken, shuffle: Shuffle, batch_size: int, epochs: int
    ) -> None:
        self._source, self._intake, self._first, self._shuffle = source, intake, first, shuffle
        self._batch_size, self._epochs = batch_size, epochs
        self.size = self._window_size()
        self._halves: list[Taken | None] = [None, None]
        self._filled = 0
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="mlpx-source")
        self._sequence: Iterator[Window] = iter(())
        self._coming: Future[Window | None] | None = None
        self._next = (-1, -1)
        self._closed = False

    @property
    def _row_bytes(self) -> int:
        arrays = [array for array in self._first if array is not None]
        return sum(array.dtype.itemsize * math.prod(array.shape[1:]) for array in arrays)

    def _window_size(self) -> int:
        """Return how many rows a window has: a whole number of batches."""
        row = self._row_bytes + _PLACE + (_WEIGHT if self._first.weight is not None else 0)
        # a source that keeps more than half of the buffer itself exceeds it
        half = max(self._source.buffer - self._source.held, self._source.buffer // 2) // 2
        size = self._batch_size
        if self._source.rows is not None:
            size = min(size, self._source.rows)
        if row * size > half:
            msg = (
                f"`buffer` of {self._source.buffer} bytes must hold two batches, each of {size} rows of {row} bytes: "
                f"give at least {2 * row * size + self._source.held}, or lower `batch_size`."
            )
            raise ValueError(msg)
        most: int = half // row // self._batch_size * self._batch_size
        return max(size, most)

    def __call__(self, epoch: int, number: int = 0) -> Iterator[Window]:
        """Yield the windows of an epoch, from one of them on; each is valid until the next is asked for."""
        if self._coming is None or self._next != (epoch, number):
            self._start(epoch, number)
        while True:
            assert self._coming is not None
            window = self._coming.result()
            if window is None:  # of a fit whose epochs are over
                return
            self._ask()
            self._next = (window.epoch + 1, 0) if window.last else (window.epoch, window.number + 1)
            yield window
            if window.last:
                return

    def peek(self) -> Window:
        """Return the window that will be given next; by default the first of all."""
        if self._coming is None:
            self._start(0, 0)
        assert self._coming is not None
        window = self._coming.result()
        assert window is not None
        return window

    def _start(self, epoch: int, number: int) -> None:
        """Begin anew, at a window."""
        self._drain()
        self._sequence, self._next = self._from(epoch, number), (epoch, number)
        self._ask()

    def _ask(self) -> None:
        self._coming = self._reader.submit(next, self._sequence, None)

    def _drain(self) -> None:
        """Wait until nobody reads."""
        if self._coming is not None:
            self._closed = True
            self._coming.exception()
            self._coming, self._closed = None, False

    def close(self) -> None:
        """Stop reading, and give the memory back."""
        self._closed = True
        self._reader.shutdown(wait=True, cancel_futures=True)
        self._sequence, self._halves, self._coming = iter(()), [None, None], None

    # In the thread.

    def _from(self, epoch: int, number: int) -> Iterator[Window]:
        """Yield all windows from one on, until the last epoch ends."""
        for later in range(epoch, max(epoch + 1, self._epochs)):
            for window in self._epoch(later):
                if later > epoch or window.number >= number:
                    yield window

    def _epoch(self, epoch: int) -> Iterator[Window]:
        pieces = self._pieces(epoch)
        rest, number, count = next(pieces, None), 0, 0
        while rest is not None:
            half, n = self._half(), 0
            while rest is not None and n < self.size:
                if self._closed:
                    return
                taken = rest.part(slice(self.size - n))
                self._check_most(epoch, count + n + taken.x.shape[0])
                _put(taken, half, n)
                n += taken.x.shape[0]
                rest = rest.part(slice(taken.x.shape[0], None)) if taken.x.shape[0] < rest.x.shape[0] else None
                rest = next(pieces, None) if rest is None else rest
            count += n
            if rest is None:
                self._check_all(epoch, count)
            yield Window(epoch, number, half.part(slice(n)), self._shuffle.rows(epoch, number, n), rest is None)
            number += 1
        if count == 0:
            msg = f"The source gives no rows in epoch {epoch + 1}. Give it at least one."
            raise ValueError(msg)

    def _pieces(self, epoch: int) -> Iterator[Taken]:
        """Yield the pieces of an epoch, taken in."""
        blocks = self._source.blocks(max(1, self.size // _PARTS))
        most = max(1, min(self.size // _PIECES, _MOST_BYTES // self._row_bytes))
        for block in self._shuffle.blocks(list(blocks), epoch, self.size):
            for piece in self._source.read(block, most):
                yield self._intake(piece)

    def _check_most(self, epoch: int, count: int) -> None:
        if self._source.rows is not None and count > self._source.rows:
            msg = f"`rows` must be the rows of an epoch, but epoch {epoch + 1} has more than {self._source.rows}."
            raise ValueError(msg)

    def _check_all(self, epoch: int, count: int) -> None:
        if self._source.rows is not None and count < self._source.rows:
            msg = f"`rows` must be the rows of an epoch, {self._source.rows}, but epoch {epoch + 1} has {count}."
            raise ValueError(msg)

    def _half(self) -> Taken:
        """Return the half of the buffer that is free."""
        place = self._filled % 2
        self._filled += 1
        half = self._halves[place]
        if half is None:
            n = self.size if self._source.rows is None else min(self.size, self._source.rows)
            half = Taken(*(None if a is None else hxp.empty((n, *a.shape[1:]), dtype=a.dtype) for a in self._first))
            self._halves[place] = half
        return half


def _put(rows: Taken, half: Taken, start: int) -> None:
    """Write rows into the buffer."""
    for array, place in zip(rows, half, strict=True):
        if array is not None and place is not None:
            place[start : start + array.shape[0], ...] = array
