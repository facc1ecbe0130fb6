"""Rows that stay on the host: kept where they lie, in memory or in a mapped file, and gathered when steps need them."""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlpx._typing import Array

__all__ = ["HostRows", "gather", "is_mapped"]

_BLOCK = 2**20
_CHUNK = 2**22
"""Bytes that are gathered, and checked, at once."""


def is_mapped(x: Any) -> bool:
    """Say whether an array is a mapped file, such as `numpy.memmap`, or a view of one."""
    while isinstance(x, (np.ndarray, memoryview)):
        x = x.base if isinstance(x, np.ndarray) else x.obj
    return isinstance(x, mmap.mmap)


@dataclass(frozen=True, eq=False)
class HostRows:
    """Rows of a data set that are not moved to the device as a whole.

    Parameters
    ----------
    array : NumPy array of shape (N, ...) or (S, N, ...)
        Where they are; never copied as a whole. Also what gives NumPy arrays of rows when it is indexed.
    dtype : dtype
        NumPy's type that they are given when they are gathered.
    own : bool
        Whether there is an axis of members.
    convert : callable, optional
        What else is done to rows, ``convert(rows) -> rows``, row by row.
    tail : tuple of int, optional
        Shape of a converted row.
    members : integer array, optional
        Which members of the array are meant; by default all.
    """

    array: Array
    dtype: Any
    own: bool = False
    convert: Callable[[Array], Array] | None = None
    tail: tuple[int, ...] | None = None
    members: Array | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what is gathered from."""
        axes = 2 if self.own else 1
        leading = (self.array.shape[0] if self.members is None else len(self.members),) if self.own else ()
        return (*leading, self.array.shape[axes - 1], *(self.array.shape[axes:] if self.tail is None else self.tail))

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def row(self) -> tuple[int, ...]:
        """Shape of a gathered row."""
        return self.shape[2 if self.own else 1 :]

    @property
    def row_bytes(self) -> int:
        """Bytes of a gathered row."""
        return math.prod(self.row) * int(np.dtype(self.dtype).itemsize)

    def part(self, member: int | None) -> Array:
        """Return the array of a member, where each has one of its own, or that of all."""
        if not self.own or member is None:
            return self.array
        return self.array[member if self.members is None else int(self.members[member])]

    def select(self, members: Array) -> HostRows:
        """Return the rows of some members."""
        if not self.own:
            return self
        return replace(self, members=members if self.members is None else self.members[members])

    def converted(self, convert: Callable[[Array], Array], dtype: Any, tail: tuple[int, ...]) -> HostRows:
        """Return rows to which something more is done."""
        return replace(self, convert=convert, dtype=dtype, tail=tail)

    def take(self, index: Array) -> Array:
        """Return rows as an array: `index` has the shape (B,) or (S, B)."""
        members = self.shape[0] if self.own else None if index.ndim == 1 else index.shape[0]
        shape = (index.shape[-1], *self.row)
        if members is None:
            return gather(self.array, index, np.empty(shape, self.dtype), self.convert)
        out = np.empty((members, *shape), self.dtype)
        for s in range(members):
            gather(self.part(s), index if index.ndim == 1 else index[s], out[s], self.convert)
        return out

    def chunks(self) -> Iterator[tuple[tuple[int, ...], Array]]:
        """Yield all rows in consecutive pieces of few bytes, each with the place at which it begins."""
        size = max(1, _CHUNK // max(1, self.row_bytes))
        n = self.array.shape[1 if self.own else 0]
        for s in range(self.shape[0]) if self.own else (None,):
            for start in range(0, n, size):
                index = np.arange(start, min(start + size, n))
                rows = gather(self.part(s), index, np.empty((len(index), *self.row), self.dtype), self.convert)
                yield ((start,) if s is None else (s, start)), rows

    def by_row(self, function: Callable[[Array], Array]) -> Array:
        """Return ``function(rows)``, one number a row, of all rows: shape (N,) or (S, N)."""
        found = np.concatenate([function(rows) for _, rows in self.chunks()])
        return found.reshape(self.shape[: 2 if self.own else 1])


def gather(array: Array, index: Array, out: Array, convert: Callable[[Array], Array] | None = None) -> Array:
    """Write the rows `index` of `array` into `out`, in its type, block by block; return `out`."""
    row = max(array.itemsize, out.itemsize) * math.prod(array.shape[1:])
    size = max(1, _BLOCK // max(1, row))
    # NumPy takes from anything else by copying it as a whole
    plain = isinstance(array, np.ndarray) and array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative
    for start in range(0, len(index), size):
        part, place = index[start : start + size], out[start : start + size]
        if _consecutive(part):
            rows = array[int(part[0]) : int(part[0]) + len(part)]
        elif not plain:
            rows = array[part]
        elif array.dtype == out.dtype and convert is None:
            # "clip" is the mode that writes into `out` at once; without the interpreter's lock
            np.take(array, part, axis=0, out=place, mode="clip")
            continue
        else:
            rows = np.take(array, part, axis=0, mode="clip")
        with np.errstate(all="ignore"):
            np.copyto(place, rows if convert is None else convert(rows), casting="unsafe")
    return out


def _consecutive(index: Array) -> bool:
    """Say whether rows lie one after the other."""
    return bool(index[-1] - index[0] == len(index) - 1 and np.all(np.diff(index) == 1))
