"""Arrays whose rows can be read from anywhere: mapped files, and whatever else takes a slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mlpx.sources.base import BUFFER, Block, Piece, Source

__all__ = ["Mapped"]


class Mapped(Source):
    """Arrays in files, such as `numpy.memmap`, or anything that has a shape and gives the rows of a slice.

    Parameters
    ----------
    X : array of shape (N, M_0)
        Features. ``X[start:stop]`` is all that is asked of it, so that a data set of h5py or zarr will do.
    y : array of shape (N, K) or (N,), optional
        Targets, as `mlpx.Network.fit` takes them; not needed to predict.
    weight : array of shape (N,), optional
        Weights of the samples.
    classes : sequence, optional
        The labels, where `y` holds labels instead of class indices.
    buffer : int
        Bytes that may be kept in memory while a network is trained.

    Raises
    ------
    ValueError, TypeError
        For what has no shape, and for lengths that differ.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import mlpx
    >>> import numpy as np
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "features.bin"
    >>> X = np.memmap(path, dtype="float32", mode="w+", shape=(1000, 2))
    >>> X[:] = np.random.default_rng(0).normal(size=X.shape)
    >>> source = mlpx.sources.Mapped(X, np.asarray(X[:, 0] > X[:, 1], dtype=int), buffer=10_000)
    >>> net = mlpx.MLP([2, 8, 1], output="sigmoid")
    >>> history = net.fit(source, epochs=20, batch_size=32)
    >>> net.evaluate(source)["accuracy"] > 0.95
    True
    """

    def __init__(self, X: Any, y: Any = None, weight: Any = None, *, classes: Any = None, buffer: int = BUFFER) -> None:
        for name, array in (("X", X), ("y", y), ("weight", weight)):
            if array is not None:
                _check_array(name, array, len(X) if name != "X" else None)
        super().__init__(rows=X.shape[0], classes=classes, buffer=buffer)
        self.X, self.y, self.weight = X, y, weight

    def blocks(self, size: int) -> Sequence[Block]:
        """Return slices of the rows.

        Parameters
        ----------
        size : int
            How many rows a block has.

        Returns
        -------
        list of Block
        """
        n = self.X.shape[0]
        return [Block(min(size, n - start), start) for start in range(0, n, size)]

    def read(self, block: Block, size: int) -> Iterator[Piece]:
        """Yield the rows of a block.

        Parameters
        ----------
        block : Block
            One of `blocks`.
        size : int
            How many rows a piece has at most.

        Yields
        ------
        Piece
        """
        end = block.place + (block.rows or 0)
        for start in range(block.place, end, size):
            stop = min(start + size, end)
            yield Piece(self.X, self.y, self.weight, f"rows {start} to {stop - 1}").part(slice(start, stop))

    def pieces(self, size: int) -> Iterator[Piece]:
        """Yield all rows in their order.

        Parameters
        ----------
        size : int
            How many rows a piece has at most.

        Yields
        ------
        Piece

        Examples
        --------
        >>> import mlpx
        >>> import numpy as np
        >>> [piece.name for piece in mlpx.sources.Mapped(np.ones((5, 2))).pieces(3)]
        ['rows 0 to 2', 'rows 3 to 4']
        """
        yield from self.read(Block(self.X.shape[0], 0), size)


def _check_array(name: str, array: Any, rows: int | None) -> None:
    """Refuse what has no rows, or not as many as there are."""
    shape = getattr(array, "shape", None)
    if shape is None or not hasattr(array, "__getitem__") or hasattr(array, "iloc"):
        msg = f"`{name}` must be an array with a shape and slices, such as a numpy.memmap, got {type(array).__name__}."
        raise TypeError(msg)
    if len(shape) == 0 or shape[0] == 0:
        msg = f"`{name}` must hold at least one row, got the shape {tuple(shape)}."
        raise ValueError(msg)
    if rows is not None and shape[0] != rows:
        msg = f"`{name}` must have as many rows as `X`, {rows}, got {shape[0]}."
        raise ValueError(msg)
