"""The estimators' edge: arrays are checked as scikit-learn checks them, and stay where they are.

What NumPy can read (lists, tables, SciPy's sparse matrices) is checked by scikit-learn itself. An array of another
library is looked at where it lies; only where something is wrong is it copied to the host, so that scikit-learn can say
what. Targets and weights are small, and are always brought to the host. None of this depends on scikit-learn's
``array_api_dispatch``.
"""

from __future__ import annotations

from typing import Any

from scipy.sparse import issparse
from sklearn.utils import check_array, check_X_y
from sklearn.utils.validation import _check_sample_weight, validate_data

from mlpx import inputs
from mlpx._typing import Array
from mlpx.backends import Backend, get_backend, library_of, make_backend, to_numpy
from mlpx.backends.gathering import HostRows
from mlpx.backends.host import xp as hxp
from mlpx.precision import check_dtype

__all__ = [
    "MOST_DENSE",
    "SparseRows",
    "backend_for",
    "check_features",
    "check_training_data",
    "check_weights",
    "dense_rows",
    "dtype_for",
    "labels",
    "on_host",
    "probabilities",
]

MOST_DENSE = 2**28
"""Bytes of a sparse matrix up to which all its rows are made dense at once."""

_RULES: dict[str, Any] = {"accept_sparse": ["csr", "csc"], "dtype": (hxp.float64, hxp.float32)}


# Taking in.


def check_features(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Return features that scikit-learn's rules allow, and set or compare what the estimator knows of them.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_``, and ``feature_names_in_`` where the features have names.
    X : array, table, sequence or SciPy sparse matrix of shape (N, M)
        The features.
    reset : bool
        Whether the estimator learns number and names, or compares them with those that it knows.

    Returns
    -------
    array or SciPy sparse matrix
        A NumPy array or sparse matrix of float32 or float64; an array of another library as it came.

    Raises
    ------
    ValueError, TypeError
        scikit-learn's own, for what it refuses.
    """
    _refuse_foreign_sparse(X)
    ops = _foreign_backend(X)
    if ops is None:
        return validate_data(estimator, X, reset=reset, **_RULES)
    _check_foreign(estimator, X, ops)
    return validate_data(estimator, X, reset=reset, skip_check_array=True)


def check_training_data(estimator: Any, X: Any, y: Any, *, reset: bool, numeric: bool = False) -> tuple[Any, Array]:
    """Return features as `check_features` does, and targets on the host, checked against each other.

    Parameters
    ----------
    estimator, X, reset
        As for `check_features`.
    y : array, table or sequence of shape (N,) or (N, K)
        Targets, of any library.
    numeric : bool
        Whether they are numbers, also where they came as objects.
    """
    y = on_host(y)
    _refuse_foreign_sparse(X)
    ops = _foreign_backend(X)
    how = {"multi_output": True, "y_numeric": numeric}
    if ops is None:
        found: tuple[Any, Array] = validate_data(estimator, X, y, reset=reset, **how, **_RULES)
        return found
    _check_foreign(estimator, X, ops)
    validate_data(estimator, X, y, reset=reset, skip_check_array=True)
    _, y = check_X_y(_column(X), y, estimator=estimator, **how)
    return X, y


def check_weights(sample_weight: Any, X: Any) -> Array | None:
    """Return weights of the samples as a NumPy array of float64, refused with scikit-learn's messages."""
    if sample_weight is None:
        return None
    found: Array = _check_sample_weight(on_host(sample_weight), _column(X), dtype=hxp.float64)
    return found


def on_host(x: Any) -> Any:
    """Return an array of any library as NumPy's; what is no array (lists, tables, None) as it came."""
    return x if library_of(x) is None else to_numpy(x)


def _column(X: Any) -> Array:
    """Return a NumPy array that stands for the features where only their number of rows counts."""
    return hxp.zeros((X.shape[0], 1))


def _refuse_foreign_sparse(X: Any) -> None:
    own = issparse(X)
    if not own and (hasattr(X, "todense") or any(getattr(X, f"is_sparse{kind}", False) for kind in ("", "_csr"))):
        dense = "to_dense" if hasattr(X, "to_dense") else "todense"
        msg = f"`X` must be dense or a sparse matrix of SciPy, got a sparse {type(X).__name__}; give its {dense}()."
        raise TypeError(msg)


def _foreign_backend(X: Any) -> Backend | None:
    """Return the backend on whose device an array of another library than NumPy lies."""
    cls = library_of(X)
    if cls is None or cls is library_of(hxp.empty(0)):
        return None
    return make_backend(cls.name, make_backend(cls.name).array_device(X))


def _check_foreign(estimator: Any, X: Any, ops: Backend) -> None:
    """Let scikit-learn refuse a copy of an array in which something is wrong."""
    with ops.context():
        sound = X.ndim == 2 and 0 not in X.shape and "complex" not in str(X.dtype) and _finite(X, ops)
    if not sound:
        check_array(to_numpy(X), estimator=estimator, input_name="X", **_RULES)


def _finite(X: Any, ops: Backend) -> bool:
    """Say whether all numbers are finite; in most cases their sum tells, which needs no memory."""
    xp = ops.xp
    if not xp.isdtype(X.dtype, "real floating"):
        return True
    return bool(xp.isfinite(xp.sum(X))) or bool(xp.all(xp.isfinite(X)))


# Where and in what type a network computes.


def backend_for(X: Any, backend: str | Backend | None = None, device: str | None = None) -> Backend:
    """Return the backend that an estimator fits on: the one that is named, else that of the features.

    Parameters
    ----------
    X : array, table, sequence or SciPy sparse matrix
        The features. Those on the host, as NumPy reads them, leave the choice to `mlpx.get_backend`.
    backend, device : optional
        The estimator's parameters.
    """
    own = _foreign_backend(X)
    if backend is not None or own is None:
        return get_backend(backend, device)
    return own if device is None else make_backend(own.name, device)


def dtype_for(X: Any, dtype: str | None = None) -> str:
    """Return the type that a network computes in: the one that is named, else float32 for such features, else float64.

    Examples
    --------
    >>> import numpy as np
    >>> dtype_for(np.zeros((2, 2), "float32")), dtype_for(np.zeros((2, 2), "float16")), dtype_for(np.zeros((2, 2), int))
    ('float32', 'float64', 'float64')
    """
    if dtype is not None:
        return check_dtype(dtype)
    return "float32" if str(X.dtype).rpartition(".")[2] == "float32" else "float64"


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


# Giving back.


def probabilities(outputs: Array) -> Array:
    """Return outputs of shape (N, K) as probabilities by class; one sigmoid gives those of both its classes."""
    ops = _foreign_backend(outputs) or make_backend("numpy")
    if outputs.shape[1] > 1:
        return outputs
    with ops.context():
        return ops.xp.concat([1 - outputs, outputs], axis=1)


def labels(outputs: Array, classes: Array, activation: str, X: Any) -> Array:
    """Return the decided labels: numbers in the library and on the device of the features, text in NumPy.

    Parameters
    ----------
    outputs : array of shape (N, K)
        Of softmax, or of one sigmoid or several.
    classes : NumPy array of shape (n_classes,)
        The labels.
    activation : {"softmax", "logistic"}
        The output's, as the estimators name it in ``out_activation_``.
    X : array, table, sequence or SciPy sparse matrix
        The features that the outputs are of.

    Returns
    -------
    array of shape (N,), for several sigmoids (N, K)
    """
    y_hat = to_numpy(outputs)
    if activation == "softmax":
        found = classes[hxp.argmax(y_hat, axis=1)]
    elif y_hat.shape[1] > 1:
        found = hxp.astype(y_hat > 0.5, hxp.int64)
    else:
        found = classes[hxp.astype(y_hat[:, 0] > 0.5, hxp.int64)]
    return inputs.like(found, make_backend("numpy"), X) if found.dtype.kind in "biuf" else found
