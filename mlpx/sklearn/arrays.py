"""The estimators' edge: arrays are checked as scikit-learn checks them, and stay where they are.

What NumPy can read (lists, tables, SciPy's sparse matrices) is checked by scikit-learn itself. An array of another
library is looked at where it lies; only where something is wrong is it copied to the host, so that scikit-learn can say
what. Targets and weights are small, and are always brought to the host. None of this depends on scikit-learn's
``array_api_dispatch``.
"""

from __future__ import annotations

from typing import Any

from scipy.sparse import issparse
from sklearn import get_config
from sklearn.utils import check_array, check_X_y
from sklearn.utils.validation import _check_sample_weight, validate_data

from mlpx._typing import Array
from mlpx.backends import Backend, get_backend, library_of, make_backend, to_numpy
from mlpx.backends.host import xp as hxp
from mlpx.precision import check_dtype

__all__ = [
    "backend_for",
    "backend_of",
    "check_features",
    "check_same_place",
    "check_training_data",
    "check_weights",
    "dtype_for",
    "on_host",
    "place_of",
]

_RULES: dict[str, Any] = {"accept_sparse": ["csr", "csc"], "dtype": (hxp.float64, hxp.float32)}


# Taking in.


def check_features(estimator: Any, X: Any) -> Any:
    """Return features to predict from, as scikit-learn's rules allow them for a fitted estimator.

    Parameters
    ----------
    estimator : estimator
        Its ``n_features_in_``, and ``feature_names_in_`` where it has them, are compared with those of the features.
    X : array, table, sequence or SciPy sparse matrix of shape (N, M)
        The features.

    Returns
    -------
    array or SciPy sparse matrix
        A NumPy array or sparse matrix of numbers; an array of another library as it came.

    Raises
    ------
    ValueError, TypeError
        scikit-learn's own, for what it refuses.
    """
    _refuse_foreign_sparse(X)
    ops = backend_of(X)
    if ops is None:
        return validate_data(estimator, X, reset=False, accept_sparse=_RULES["accept_sparse"])
    _check_foreign(estimator, X, ops)
    return validate_data(estimator, X, reset=False, skip_check_array=True)


def check_training_data(estimator: Any, X: Any, y: Any, *, reset: bool, numeric: bool = False) -> tuple[Any, Array]:
    """Return features and targets to fit to, the latter on the host, checked against each other.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_``, and ``feature_names_in_`` where the features have names.
    X : array, table, sequence or SciPy sparse matrix of shape (N, M)
        The features; they are returned as float32 or float64, those of another library as they came.
    reset : bool
        Whether the estimator learns number and names, or compares them with those that it knows.
    y : array, table or sequence of shape (N,) or (N, K)
        Targets, of any library.
    numeric : bool
        Whether they are numbers, also where they came as objects.
    """
    y = on_host(y)
    _refuse_foreign_sparse(X)
    ops = backend_of(X)
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
    found: Array = _check_sample_weight(on_host(sample_weight), _column(X), dtype=hxp.float64, ensure_non_negative=True)
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


def backend_of(X: Any) -> Backend | None:
    """Return the backend on whose device an array of another library lies; None for what NumPy reads."""
    cls = library_of(X)
    if cls is None or cls is library_of(hxp.empty(0)):
        return None
    return make_backend(cls.name, make_backend(cls.name).array_device(X))


def place_of(X: Any) -> str:
    """Return library and device of an array in words; all that NumPy reads is one place.

    Examples
    --------
    >>> place_of([[1.0, 2.0]])
    'numpy'
    """
    own = backend_of(X)
    return "numpy" if own is None else f"{own.name} on {own.device_name}"


def check_same_place(estimator: Any, X: Any, method: str) -> None:
    """Refuse features of another library or device than `fit` saw where scikit-learn asks for that.

    Its rule holds with ``array_api_dispatch`` alone; without, a fitted estimator takes features of any library.

    Raises
    ------
    ValueError
        With scikit-learn's message.
    """
    fitted = getattr(estimator, "_place", None)
    if fitted is None or not get_config()["array_api_dispatch"] or fitted == place_of(X):
        return
    msg = (
        f"Inputs passed to {type(estimator).__name__}.{method}() must use the same namespace and the same device as "
        f"those passed to fit(). They are of {place_of(X)}, `fit` saw {fitted}; move them, or predict without "
        "array_api_dispatch."
    )
    raise ValueError(msg)


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
    own = backend_of(X)
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
    if isinstance(X, hxp.ndarray):  # sooner than by name
        return "float32" if X.dtype == hxp.float32 else "float64"
    return "float32" if str(X.dtype).rpartition(".")[2] == "float32" else "float64"
