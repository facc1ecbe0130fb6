"""Sparse matrices: small ones become dense at once, of large ones the rows of a batch do."""

from __future__ import annotations

from typing import Any

from scipy.sparse import issparse

from mlpx._typing import Array
from mlpx.backends.gathering import HostRows

__all__ = ["MOST_DENSE", "SparseRows", "dense_rows"]

MOST_DENSE = 2**28
"""Bytes of a sparse matrix up to which all its rows are made dense at once."""


class SparseRows:
    """A sparse matrix of which rows are taken as dense ones; what `mlpx.backends.gathering.HostRows` gathers from.

    Parameters
    ----------
    matrix : SciPy sparse matrix of shape (N, M)
        The rows.
    """

    def __init__(self, matrix: Any) -> None:
        self._matrix = matrix.tocsr()
        self.shape: tuple[int, int] = self._matrix.shape
        self.dtype: Any = self._matrix.dtype
        self.itemsize = int(self.dtype.itemsize)

    def __getitem__(self, rows: Any) -> Array:
        return self._matrix[rows].toarray()


def dense_rows(X: Any) -> Any:
    """Return what a network takes in: a large sparse matrix as `HostRows`, of which batches are dense, never the whole.

    Parameters
    ----------
    X : array or SciPy sparse matrix of shape (N, M)
        What `check_features` returned.
    """
    if not issparse(X):
        return X
    if X.shape[0] * X.shape[1] * X.dtype.itemsize <= MOST_DENSE:
        return X.toarray()
    return HostRows(SparseRows(X), X.dtype)
