"""Outputs of fitted networks from their weights as they are: of one, or of many for the same features.

Users may write into ``coefs_`` and ``intercepts_``, so that nothing is kept from one call to the next. Networks of one
kind answer as one stack.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mlpx import activations, inputs
from mlpx._typing import Array
from mlpx.activations import Activation
from mlpx.backends import Backend, to_numpy
from mlpx.backends.host import xp as hxp
from mlpx.plan import compiled
from mlpx.sklearn import arrays, sparse
from mlpx.streaming import by_piece

__all__ = ["outputs_many", "outputs_of"]

_PARAMETERS = "coefs_", "intercepts_"
_ROWS = 16384
_NUMBERS = 2**24
"""The most outputs of one layer that are held at once."""


def outputs_of(estimator: Any, X: Any, features: Any) -> Array:
    """Return what a network puts out.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted.
    X : array, DataFrame or sparse matrix of shape (n_samples, n_features)
        Features as they came.
    features : array or sparse matrix of shape (n_samples, n_features)
        What `mlpx.sklearn.arrays.check_features` made of them.

    Returns
    -------
    array of shape (n_samples, n_outputs)
        In the library of X, NumPy's for tables, lists and sparse matrices.
    """
    layers = _Layers(arrays.backend_for(X, estimator.backend, estimator.device), _functions(estimator))
    coefs, intercepts = ([to_numpy(array) for array in getattr(estimator, name)] for name in _PARAMETERS)
    return layers.outputs(coefs, intercepts, sparse.dense_rows(features))


def outputs_many(estimators: Sequence[Any], X: Any, features: Any) -> list[Array]:
    """Return what each of many networks puts out.

    Parameters
    ----------
    estimators : sequence of MLPClassifier or MLPRegressor
        Fitted.
    X, features
        As for `outputs_of`.

    Returns
    -------
    list of array of shape (n_samples, n_outputs)
        In the library of X, NumPy's for tables, lists and sparse matrices.
    """
    rows = sparse.dense_rows(features)
    groups: dict[Hashable, list[int]] = {}
    for i, estimator in enumerate(estimators):
        layers = _Layers(arrays.backend_for(X, estimator.backend, estimator.device), _functions(estimator))
        shapes = tuple(coef.shape for coef in estimator.coefs_)
        groups.setdefault((layers, shapes, str(estimator.coefs_[0].dtype)), []).append(i)
    outputs: dict[int, Array] = {}
    for (layers, shapes, _), members in groups.items():  # type: ignore[misc]
        for some in _pieces(members, rows.shape[0], max(map(max, shapes))):
            coefs, intercepts = (_stacked([getattr(estimators[i], name) for i in some]) for name in _PARAMETERS)
            stacked = layers.outputs(coefs, intercepts, rows)
            outputs.update((i, stacked[position, ...]) for position, i in enumerate(some))
    return [outputs[i] for i in range(len(estimators))]


def _stacked(parameters: Sequence[Sequence[Array]]) -> list[Array]:
    """Return the arrays of each layer with the axis of members in front."""
    return [hxp.stack(layer) for layer in zip(*parameters, strict=True)]


def _functions(estimator: Any) -> tuple[Activation, ...]:
    """Return the activation of each layer."""
    given, hidden = estimator.activation, len(estimator.coefs_) - 1
    several = given if isinstance(given, (list, tuple)) else [given] * hidden
    return tuple(activations.get(one) for one in (*several, estimator.out_activation_))


def _pieces(members: list[int], n_samples: int, widest: int) -> Iterator[list[int]]:
    most = max(1, _NUMBERS // (min(n_samples, _ROWS) * widest))
    for start in range(0, len(members), most):
        yield members[start : start + most]


@dataclass(frozen=True)
class _Layers:
    """Dense layers, without their weights: ``layers(weights, biases, x) -> outputs``.

    Parameters
    ----------
    backend : Backend
        Where they compute.
    activations : tuple of Activation
        One a layer.
    """

    backend: Backend
    activations: tuple[Activation, ...]

    def __call__(self, weights: tuple[Array, ...], biases: tuple[Array, ...], x: Array) -> Array:
        """Return the outputs, shape (..., N, K)."""
        for W, b, f in zip(weights, biases, self.activations, strict=True):
            x = self.backend.evaluate(f, self.backend.net_input(x, W, b))
        return x

    def outputs(self, weights: Sequence[Array], biases: Sequence[Array], rows: Any) -> Array:
        """Return the outputs of all rows in their library, from weights on the host."""
        ops, first = self.backend, weights[0]
        with ops.context():
            dtype = ops.dtype(arrays.dtype_for(first))
            x = inputs.features(rows, ops, dtype, first.shape[-2], None, may_stay=True, finite=True)
            placed = [tuple(ops.asarray(a, dtype=dtype) for a in each) for each in (weights, biases)]
            run, units = compiled(self), max(W.size // W.shape[-2] for W in weights)
            return inputs.like(by_piece(lambda part: run(*placed, part), ops, x, units), ops, rows)
