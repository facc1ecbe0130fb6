"""The protocol of a source: blocks of consecutive rows, which are read in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mlpx._checks import check_count

__all__ = ["BUFFER", "Block", "Piece", "Source"]

BUFFER = 2**28
"""Bytes that a source may keep in memory while it is trained on, where it is not told otherwise: 256 MB."""


class Piece(NamedTuple):
    """Some consecutive rows, as they were read.

    Attributes
    ----------
    X : array of shape (n, M_0)
        Features.
    y : array of shape (n, K) or (n,), optional
        Targets.
    weight : array of shape (n,), optional
        Weights of the samples.
    name : str
        What errors call it, such as ``"rows 0 to 99"``.

    Examples
    --------
    >>> import mlpx
    >>> next(iter(mlpx.sources.Batches([([[0.5]], [1.0])]).pieces(100))).name
    'piece 1'
    """

    X: Any
    y: Any
    weight: Any
    name: str

    def part(self, rows: slice, name: str | None = None) -> Piece:
        """Return some of the rows.

        Parameters
        ----------
        rows : slice
            Which.
        name : str, optional
            What errors call them; by default as before.

        Returns
        -------
        Piece

        Examples
        --------
        >>> import mlpx
        >>> import numpy as np
        >>> mlpx.sources.Piece(np.ones((5, 2)), np.arange(5), None, "all").part(slice(3, 5)).y
        array([3, 4])
        """
        X, y, weight = (None if array is None else array[rows] for array in self[:3])
        return Piece(X, y, weight, self.name if name is None else name)


class Block(NamedTuple):
    """Consecutive rows that are read in one go: what is drawn when a source is shuffled.

    Attributes
    ----------
    rows : int or None
        How many there are; None: not known before they are read.
    place : object
        Where they are, as their source says it.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> [block.rows for block in mlpx.sources.Mapped(np.zeros((5, 1))).blocks(2)]
    [2, 2, 1]
    """

    rows: int | None
    place: Any


class Source:
    """Rows that are read piece by piece: the base of all sources, and of your own.

    A source of your own overrides `blocks` and `read`.

    Parameters
    ----------
    rows : int, optional
        How many rows an epoch has, where that is known.
    classes : sequence, optional
        The labels, where targets are labels that the network has not met: in the order of the outputs.
    buffer : int
        Bytes that may be kept in memory while a network is trained.

    Raises
    ------
    ValueError, TypeError
        For numbers that are none.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> class Squares(mlpx.sources.Source):
    ...     def blocks(self, size):
    ...         return [mlpx.sources.Block(10, start) for start in range(0, 100, 10)]
    ...     def read(self, block, size):
    ...         x = np.arange(block.place, block.place + 10.0)[:, None] / 100
    ...         yield mlpx.sources.Piece(x, x**2, None, f"tens {block.place}")
    >>> net = mlpx.MLP([1, 4, 1], output="linear")
    >>> len(net.fit(Squares(rows=100), epochs=3)["loss"])
    3
    """

    held = 0
    """Bytes that a source itself keeps; they count against the buffer."""

    def __init__(self, *, rows: int | None = None, classes: Any = None, buffer: int = BUFFER) -> None:
        self.rows = None if rows is None else check_count("rows", rows)
        self.classes = None if classes is None else _labels(classes)
        self.buffer = check_count("buffer", buffer)

    def blocks(self, size: int) -> Sequence[Block]:
        """Return the blocks of all rows, in their order.

        Parameters
        ----------
        size : int
            How many rows a block should have, about; what has blocks of its own may ignore it.

        Returns
        -------
        sequence of Block
        """
        raise NotImplementedError

    def read(self, block: Block, size: int) -> Iterator[Piece]:
        """Yield the rows of a block.

        Parameters
        ----------
        block : Block
            One of `blocks`.
        size : int
            How many rows a piece should have at most.

        Yields
        ------
        Piece
        """
        raise NotImplementedError

    def first(self) -> Piece:
        """Return a piece with the first row, from which kinds of numbers are known before training.

        Returns
        -------
        Piece

        Raises
        ------
        ValueError
            Where there is none.

        Examples
        --------
        >>> import mlpx
        >>> import numpy as np
        >>> mlpx.sources.Mapped(np.ones((5, 2))).first().name
        'rows 0 to 0'
        """
        found = next(self.pieces(1), None)
        if found is None:
            raise ValueError(_EMPTY)
        return found

    def pieces(self, size: int) -> Iterator[Piece]:
        """Yield all rows in their order.

        Parameters
        ----------
        size : int
            How many rows a piece should have at most.

        Yields
        ------
        Piece

        Examples
        --------
        >>> import mlpx
        >>> import numpy as np
        >>> [len(piece.X) for piece in mlpx.sources.Mapped(np.ones((5, 2))).pieces(2)]
        [2, 2, 1]
        """
        for block in self.blocks(size):
            yield from self.read(block, size)


_EMPTY = "The source gives no rows. Give it at least one."


def _labels(classes: Any) -> tuple[Any, ...]:
    """Return the labels as plain values."""
    if isinstance(classes, (str, bytes)) or not hasattr(classes, "__iter__"):
        msg = f"`classes` must be a sequence of labels, got {classes!r}."
        raise TypeError(msg)
    found = tuple(label.item() if hasattr(label, "item") else label for label in classes)
    if len(set(found)) != len(found) or len(found) < 2:
        msg = f"`classes` must hold at least two different labels, got {found!r}."
        raise ValueError(msg)
    return found
