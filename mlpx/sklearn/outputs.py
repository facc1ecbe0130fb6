"""Outputs of many fitted networks for the same features: networks of one kind answer as one stack."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import mlpx
from mlpx._typing import Array
from mlpx.backends import Backend
from mlpx.backends.host import xp as hxp
from mlpx.layers import Dropout, Layer
from mlpx.sklearn import arrays, planning, sparse
from mlpx.sklearn.base import BaseMLP

__all__ = ["outputs_many"]

_ROWS = 16384
_NUMBERS = 2**24
"""The most outputs of one layer that are held at once."""


def outputs_many(estimators: Sequence[BaseMLP], X: Any, features: Any) -> list[Array]:
    """Return what each network puts out.

    Parameters
    ----------
    estimators : sequence of MLPClassifier or MLPRegressor
        Fitted.
    X : array, DataFrame or sparse matrix of shape (n_samples, n_features)
        Features as they came.
    features : array or sparse matrix of shape (n_samples, n_features)
        What `mlpx.sklearn.arrays.check_features` made of them.

    Returns
    -------
    list of array of shape (n_samples, n_outputs)
        In the library of X, NumPy's for tables, lists and sparse matrices.
    """
    rows = sparse.dense_rows(features)
    backends = [arrays.backend_for(X, estimator.backend, estimator.device) for estimator in estimators]
    groups: dict[Hashable, list[int]] = {}
    for i, (estimator, backend) in enumerate(zip(estimators, backends, strict=True)):
        kind = (_layers(estimator), str(estimator.coefs_[0].dtype), backend.name, backend.device_name)
        groups.setdefault(kind, []).append(i)
    outputs: dict[int, Array] = {}
    for members in groups.values():
        for some in _pieces(members, rows.shape[0], max(_units(estimators[members[0]]))):
            stacked = _network([estimators[i] for i in some], backends[some[0]]).predict(rows)
            outputs.update((i, stacked[position, ...]) for position, i in enumerate(some))
    return [outputs[i] for i in range(len(estimators))]


def _units(estimator: BaseMLP) -> list[int]:
    return [estimator.coefs_[0].shape[0], *(coef.shape[1] for coef in estimator.coefs_)]


def _layers(estimator: BaseMLP) -> tuple[Layer, ...]:
    """Return the layers that matter for a prediction."""
    return tuple(layer for layer in planning.layers_of(estimator, _units(estimator)) if not isinstance(layer, Dropout))


def _network(estimators: Sequence[BaseMLP], backend: Backend) -> mlpx.Network:
    """Return a stack with the parameters of the estimators as they are now."""
    first = estimators[0]
    net = mlpx.Network(
        _layers(first),
        loss=first._loss_of(),
        dtype=str(first.coefs_[0].dtype),
        members=len(estimators),
        backend=backend,
    )
    coefs, intercepts = ([getattr(estimator, name) for estimator in estimators] for name in ("coefs_", "intercepts_"))
    net.set_weights(*([hxp.stack(layer) for layer in zip(*each, strict=True)] for each in (coefs, intercepts)))
    return net


def _pieces(members: list[int], n_samples: int, widest: int) -> Iterator[list[int]]:
    most = max(1, _NUMBERS // (min(n_samples, _ROWS) * widest))
    for start in range(0, len(members), most):
        yield members[start : start + most]
