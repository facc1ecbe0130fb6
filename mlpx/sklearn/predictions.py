"""The outputs of a network as predictions of an estimator, in the library and on the device of the features."""

from __future__ import annotations

from typing import Any

from mlpx import inputs
from mlpx._typing import Array
from mlpx.backends import make_backend, to_numpy
from mlpx.backends.host import xp as hxp
from mlpx.sklearn.arrays import backend_of

__all__ = ["labels", "logarithms", "probabilities"]


def probabilities(outputs: Array) -> Array:
    """Return outputs of shape (N, K) as probabilities by class; one sigmoid gives those of both its classes."""
    ops = backend_of(outputs) or make_backend("numpy")
    if outputs.shape[1] > 1:
        return outputs
    with ops.context():
        return ops.xp.concat([1 - outputs, outputs], axis=1)


def logarithms(array: Array) -> Array:
    """Return the logarithm of each number."""
    ops = backend_of(array) or make_backend("numpy")
    with ops.context():
        return ops.xp.log(array)


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
