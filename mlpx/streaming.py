"""Feeding a run of steps: from data on the device, or from rows that stay on the host and are staged run by run.

With rows on the host each run is given just the rows of its batches, in their order, and its batches name them by
their position there. The steps see the same numbers either way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from mlpx._typing import Array
from mlpx.backends import Backend
from mlpx.backends.gathering import HostRows
from mlpx.backends.host import xp as hxp
from mlpx.backends.staging import Gathered, Stager, Transfers
from mlpx.plan import Batch, Data, rows

__all__ = ["Feed", "by_piece", "fetch", "rows_at_once"]

_MOST_BYTES = 2**26
"""Of rows that are brought from the host in one go."""


def rows_at_once(x: Any, size: int) -> int:
    """Return how many rows of features are looked at in one go: at most `size`, few where long ones are brought."""
    return min(size, max(1, _MOST_BYTES // max(1, x.row_bytes))) if isinstance(x, HostRows) else size


def fetch(ops: Backend, data: Data, index: Array) -> tuple[Array, Array]:
    """Return features and targets of some rows, on the device; `index` is the host's, of shape (B,) or (S, B)."""
    if isinstance(data.x, HostRows):
        return ops.asarray(data.x.take(index)), ops.asarray(data.y.take(index))
    x, y, _ = rows(ops, data, ops.asarray(index))
    return x, y


def by_piece(function: Callable[[Array], Array], ops: Backend, x: Any, units: int) -> Array:
    """Return what a function of features gives for all rows, which go through it piece by piece.

    Parameters
    ----------
    function : callable
        ``function(part) -> array``, row by row.
    ops : Backend
        Where it runs.
    x : array or HostRows of shape (..., N, M)
        Features.
    units : int
        Numbers of a row in what the function computes on the way, those of all members together.
    """
    parts = [function(part) for part in _consecutive(ops, x, ops.rows_at_once(units))]
    return parts[0] if len(parts) == 1 else ops.xp.concat(parts, axis=-2)


def _consecutive(ops: Backend, x: Any, size: int) -> Iterator[Array]:
    """Yield features of shape (..., N, M) on the device, in pieces of at most so many rows."""
    n, size = x.shape[-2], rows_at_once(x, size)
    for start in range(0, n, size):
        stop = min(start + size, n)
        if isinstance(x, HostRows):
            yield ops.asarray(x.take(hxp.arange(start, stop)))
        else:
            yield x if n <= size else x[..., start:stop, :]


class _Layout(NamedTuple):
    """How the rows of a run lie in the buffers: one block, or a block a member.

    Attributes
    ----------
    fields : tuple of HostRows
        Features, targets, and targets for metrics where there are any.
    blocks : tuple of int or None
        Of each field: how many members have a block of their own; None: all members share the rows.
    """

    fields: tuple[HostRows, ...]
    blocks: tuple[int | None, ...]

    @classmethod
    def of(cls, data: Data, index: Array) -> _Layout:
        """Return the layout for batches of shape (n, B) or (n, S, B); what one field has blocks for, all have."""
        fields = tuple(field for field in (data.x, data.y, data.truth) if field is not None)
        apart = index.ndim == 3 and any(field.own for field in fields)
        members = index.shape[1] if apart else None
        return cls(fields, tuple(field.shape[0] if field.own else members for field in fields))

    def row_bytes(self, index: Array) -> int:
        """Return the bytes that one row a member needs in all fields."""
        lists = 1 if index.ndim == 2 else index.shape[1]
        return sum(f.row_bytes * (lists if count is None else count) for f, count in zip(*self, strict=True))

    def shapes(self, length: int) -> list[tuple[tuple[int, ...], Any]]:
        """Return shape and type of the buffers for blocks of some length."""
        leading = [(length,) if count is None else (count, length) for count in self.blocks]
        return [((*lead, *field.row), field.dtype) for lead, field in zip(leading, self.fields, strict=True)]

    def gathered(self, index: Array) -> list[Gathered]:
        """Return what is gathered for a run."""
        found = []
        for i, (field, count) in enumerate(zip(*self, strict=True)):
            if count is None:
                found.append(Gathered(field, hxp.reshape(index, (-1,)), i))
                continue
            own = [index if index.ndim == 2 else index[:, s, :] for s in range(count)]
            found += [Gathered(field, hxp.reshape(part, (-1,)), i, s) for s, part in enumerate(own)]
        return found

    def positions(self, index: Array) -> Array:
        """Return where the rows of the batches lie in their block; those of all members are alike."""
        n, *members, size = index.shape
        shape = (n, *members, size) if self.blocks[0] is None else (n, size)
        return hxp.reshape(hxp.arange(math.prod(shape)), shape)


class Feed:
    """Hands runs of steps their data.

    Parameters
    ----------
    ops : Backend
        Where they run.
    """

    def __init__(self, ops: Backend) -> None:
        self._ops = ops
        self._stager: Stager | None = None
        self._kind: Any = None
        self._origins: tuple[Array, Array] | None = None
        self._length = 0

    @cached_property
    def _transfers(self) -> Transfers:
        return self._ops.transfers()

    def most_steps(self, data: Data, index: Array) -> int | None:
        """Return how many steps' rows a slot holds; None where nothing is staged."""
        if not isinstance(data.x, HostRows):
            return None
        step = _Layout.of(data, index).row_bytes(index) * int(index.shape[-1])
        return max(1, self._transfers.nbytes // step)

    def __call__(self, data: Data, runs: Iterator[tuple[Batch, Any, Any]]) -> Iterator[tuple[Data, Batch, Any, Any]]:
        """Yield each run with its data; the rows of the next one are on their way meanwhile."""
        if not isinstance(data.x, HostRows):
            for run in runs:
                yield data, *run
            return
        first = next(runs, None)
        while first is not None:
            first = yield from self._staged(data, first, runs)

    def _staged(
        self, data: Data, first: tuple[Batch, Any, Any], runs: Iterator[tuple[Batch, Any, Any]]
    ) -> Generator[tuple[Data, Batch, Any, Any], None, tuple[Batch, Any, Any] | None]:
        """Yield runs up to one that is too long for the buffers, and return that."""
        layout = _Layout.of(data, first[0].index)
        with self._stager_for(layout, layout.positions(first[0].index).size) as stager:
            present, fits = first, True
            stager.stage(layout.gathered(first[0].index))
            while fits:
                coming = next(runs, None)
                fits = coming is not None and layout.positions(coming[0].index).size <= self._length
                if coming is not None and fits:
                    stager.stage(layout.gathered(coming[0].index))
                batches, *rest = present
                positions = layout.positions(batches.index)
                yield (self._data(data, stager.arrays()), batches._replace(index=positions), *rest)
                stager.release()
                if coming is None or not fits:
                    return coming
                present = coming
        return None

    def _stager_for(self, layout: _Layout, length: int) -> Stager:
        """Return a stager whose blocks are long enough."""
        kind = layout.shapes(0)
        if self._stager is None or kind != self._kind or length > self._length:
            self._stager = None  # its buffers go first
            self._stager = Stager(self._transfers, layout.shapes(length))
            self._kind, self._length = kind, length
        return self._stager

    def _origin_of(self, origin: Array, members: int) -> Array:
        """Return the origin for each member: the same array each time, by which a captured step knows it."""
        if self._origins is None or self._origins[0] is not origin or self._origins[1].shape[0] != members:
            self._origins = origin, self._ops.xp.broadcast_to(origin, (members, *origin.shape))
        return self._origins[1]

    def _data(self, data: Data, arrays: Sequence[Array]) -> Data:
        """Return the staged arrays as data."""
        x, y, *truth = arrays
        origin = data.origin
        if origin is not None and y.ndim > origin.ndim:
            origin = self._origin_of(origin, y.shape[0])
        return Data(x, y, origin, truth[0] if truth else None)
