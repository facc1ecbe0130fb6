"""Pieces from any iterable, in the order in which they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from mlpx.sources.base import BUFFER, Block, Piece, Source

__all__ = ["Batches"]


class Batches(Source):
    """Pieces of any size from an iterable: ``(X, y)``, ``(X, y, weight)``, or `X` alone to predict.

    Rows are cut into batches of the size that `fit` is told, whatever the sizes of the pieces. They are shuffled within
    the buffer; which rows meet there is the iterable's own choice, so let it give files or pieces in another order each
    time if their order has a meaning.

    Parameters
    ----------
    pieces : iterable or callable
        An iterable that can be gone through again and again, such as a list or a `torch.utils.data.DataLoader`, or a
        callable without arguments that gives a new iterator for each epoch (also ahead of the epoch, in a thread). A
        generator gives one epoch.
    rows : int, optional
        How many rows an epoch has; schedules that end with the fit need it.
    classes : sequence, optional
        The labels, where targets are labels instead of class indices.
    buffer : int
        Bytes that may be kept in memory while a network is trained, beside a piece.

    Raises
    ------
    TypeError
        For what cannot be gone through.

    Examples
    --------
    >>> import mlpx
    >>> import numpy as np
    >>> def days():
    ...     rng = np.random.default_rng(0)
    ...     for _ in range(7):
    ...         x = rng.uniform(-1, 1, size=(100, 1))
    ...         yield x, np.abs(x)
    >>> net = mlpx.MLP([1, 8, 1], output="linear")
    >>> history = net.fit(mlpx.sources.Batches(days), epochs=3)
    >>> history["loss"][-1] < history["loss"][0]
    True
    """

    def __init__(
        self,
        pieces: Iterable[Any] | Callable[[], Iterable[Any]],
        rows: int | None = None,
        *,
        classes: Any = None,
        buffer: int = BUFFER,
    ) -> None:
        if not callable(pieces) and not hasattr(pieces, "__iter__"):
            msg = f"`pieces` must be an iterable of (X, y), or a callable that gives one, got {type(pieces).__name__}."
            raise TypeError(msg)
        super().__init__(rows=rows, classes=classes, buffer=buffer)
        self._given = pieces
        self._once = hasattr(pieces, "__next__")
        self._begun = False
        self._seen: tuple[Any, Iterator[Any]] | None = None

    def blocks(self, size: int) -> Sequence[Block]:
        """Return one block: the pieces have an order of their own.

        Parameters
        ----------
        size : int
            Ignored.

        Returns
        -------
        list of Block
        """
        return [Block(self.rows, None)]

    def first(self) -> Piece:
        """Return the first piece, which the next to read meets again.

        Returns
        -------
        Piece
        """
        if self._seen is None:
            iterator = self._iterator()
            found = next(iterator, None)
            self._seen = found, (iter(()) if found is None else iterator)
        if self._seen[0] is None:
            msg = "`pieces` gives none. Give at least one piece (X, y)."
            raise ValueError(msg)
        return _piece(self._seen[0], 1)

    def read(self, block: Block, size: int) -> Iterator[Piece]:
        """Yield the pieces as they come, the large ones in parts.

        Parameters
        ----------
        block : Block
            The one block.
        size : int
            How many rows a piece has at most.

        Yields
        ------
        Piece
        """
        if self._seen is not None:
            (found, rest), self._seen = self._seen, None
            items: Iterator[Any] = rest if found is None else chain([found], rest)
        else:
            items = self._iterator()
        for number, item in enumerate(items, 1):
            yield from _parts(_piece(item, number), size)

    def _iterator(self) -> Iterator[Any]:
        """Return a new iterator; where there is none, say so."""
        if self._once and self._begun:
            msg = (
                "`pieces` is an iterator that can be gone through once, but it is asked for the second time. Give a "
                "list, or the function that makes the iterator instead of its result: each epoch calls it anew."
            )
            raise ValueError(msg)
        self._begun = True
        given = self._given() if callable(self._given) and not hasattr(self._given, "__iter__") else self._given
        if not hasattr(given, "__iter__"):
            msg = f"`pieces` must give an iterable of (X, y) when it is called, it gave {type(given).__name__}."
            raise TypeError(msg)
        return iter(given)


def _piece(item: Any, number: int) -> Piece:
    """Return what the iterable gave as a piece."""
    name = f"piece {number}"
    if not isinstance(item, (tuple, list)) or not item or not hasattr(item[0], "__len__"):
        if hasattr(item, "shape"):
            return Piece(item, None, None, name)
        msg = f"Each piece must be (X, y) or (X, y, weight); {name} is {type(item).__name__}."
        raise TypeError(msg)
    if len(item) > 3:
        msg = f"Each piece must be (X, y) or (X, y, weight); {name} has {len(item)} parts."
        raise ValueError(msg)
    X, y, weight = (*item, None, None)[:3]
    return Piece(X, y, weight, name)


def _parts(piece: Piece, size: int) -> Iterator[Piece]:
    """Yield a piece, or where it is large and its arrays have slices, its parts."""
    arrays = [array for array in piece[:3] if array is not None]
    plain = all(hasattr(array, "shape") and not hasattr(array, "iloc") for array in arrays)
    n = piece.X.shape[0] if plain else 0
    if n <= size or any(array.shape[0] != n for array in arrays):
        yield piece
        return
    for start in range(0, n, size):
        yield piece.part(slice(start, start + size), f"{piece.name} from its row {start}")
