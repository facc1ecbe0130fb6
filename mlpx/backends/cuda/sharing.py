"""Sharing: how the threads of a launch share a fused kernel's work.

There are four ways, by what a kernel holds:

- *elements*: one thread an element, or some elements;
- *rows*: some threads of a block walk through a row together, once for each level of reductions, and agree on what they
  reduced;
- *split*: many blocks share a long row; the last of them that is through puts their parts together, in their order;
- *columns*: blocks of 32 columns walk through some rows each; again the last one puts the sums together.

All of it depends on shapes alone, and so does the order of additions: the same numbers give the same bits.
"""

from __future__ import annotations

from enum import Enum
from math import prod
from typing import NamedTuple

from mlpx.backends.cuda.fusion import Kernel
from mlpx.backends.notes import NotRecordable

__all__ = ["BLOCK", "Scheme", "Share", "elements_each", "lanes_of", "scheme_of", "shared_out", "tiles_of"]

BLOCK = 256
"""Threads of a block."""

_BLOCKS = 528
"""Blocks that sums are spread over: four for each multiprocessor of the largest cards."""

_MOST_BLOCKS = 2**31 - 1
"""Along the first axis of a grid; along the second there are at most `_BLOCKS`."""


class Scheme(Enum):
    """How the threads share a kernel's work."""

    ELEMENTS = "elements"
    ROWS = "rows"
    SPLIT = "split"
    COLUMNS = "columns"


class Share(NamedTuple):
    """The shape of a launch.

    Attributes
    ----------
    grid : tuple of int
        Blocks.
    block : int
        Threads of each.
    room : int
        Sums that blocks hand over, of each kind.
    tickets : int
        Counters by which blocks know that they are the last.
    """

    grid: tuple[int, ...]
    block: int
    room: int = 0
    tickets: int = 0


def scheme_of(kernel: Kernel) -> Scheme:
    """Return how the threads share a kernel's work."""
    if kernel.sums_columns:
        return Scheme.COLUMNS
    if not kernel.reduces:
        return Scheme.ELEMENTS
    return Scheme.SPLIT if kernel.split else Scheme.ROWS


def lanes_of(kernel: Kernel) -> int:
    """Return how many threads share a row: few where there are many rows to go round, or the row is short."""
    columns, rows = kernel.columns, prod(kernel.rows)
    if rows >= 128 and columns <= 512:
        return min(32, 1 << (columns - 1).bit_length())
    if columns <= 32:
        return 32
    return BLOCK if rows >= 128 or columns <= 1024 else 1024


def elements_each(kernel: Kernel) -> int:
    """Return how many elements a thread makes: several where there are enough, so that more loads are under way."""
    return 4 if prod(kernel.rows) * kernel.columns >= 2**20 else 1


def tiles_of(kernel: Kernel) -> int:
    """Return how many blocks stand side by side where columns are summed."""
    return _quotient(kernel.columns, 32)


def shared_out(kernel: Kernel) -> Share:
    """Return the shape of a kernel's launch.

    Raises
    ------
    NotRecordable
        Where it would have more blocks than CUDA allows.
    """
    share = _SHARES[scheme_of(kernel)](kernel)
    if share.grid[0] > _MOST_BLOCKS:
        msg = f"a kernel of more than {_MOST_BLOCKS} blocks"
        raise NotRecordable(msg)
    return share


def _elements(kernel: Kernel) -> Share:
    return Share((_quotient(prod(kernel.rows) * kernel.columns, BLOCK * elements_each(kernel)),), BLOCK)


def _rows(kernel: Kernel) -> Share:
    lanes = lanes_of(kernel)
    return Share((_quotient(prod(kernel.rows), max(1, BLOCK // lanes)),), max(BLOCK, lanes))


def _split(kernel: Kernel) -> Share:
    rows = prod(kernel.rows)
    parts = min(_quotient(kernel.columns, 8 * BLOCK), max(1, _BLOCKS // rows))
    return Share((rows, parts), BLOCK, rows * parts, rows)


def _columns(kernel: Kernel) -> Share:
    members, each = prod(kernel.rows[:-1]), kernel.rows[-1]
    tiles = tiles_of(kernel)
    parts = max(1, min(_quotient(each, 64), _BLOCKS // (tiles * members)))
    return Share((tiles * members, parts), BLOCK, members * parts * kernel.columns, members * tiles)


def _quotient(a: int, b: int) -> int:
    """Return the quotient, rounded up."""
    return -(-a // b)


_SHARES = {Scheme.ELEMENTS: _elements, Scheme.ROWS: _rows, Scheme.SPLIT: _split, Scheme.COLUMNS: _columns}
