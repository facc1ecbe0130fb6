"""L-BFGS on the flat vector of parameters, by SciPy: all rows in each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
from sklearn.utils.optimize import _check_optimize_result

from mlpx import inputs
from mlpx._typing import Array, Namespace
from mlpx.backends import to_numpy
from mlpx.data import Rows, slices
from mlpx.evaluation import Sample
from mlpx.model import Network
from mlpx.optimizers import Optimizer
from mlpx.plan import Batch, State, TrainingStep
from mlpx.sklearn.problem import Problem
from mlpx.streaming import Feed

__all__ = ["minimize"]

_MOST = 2**25
"""Numbers in the activations of the rows that are taken at once."""


@dataclass(frozen=True)
class _Gradient(Optimizer):
    """No update: the gradients of the steps are added up beside parameters that stay."""

    learning_rate: float = 1.0
    moments = ("g",)

    def update(
        self, w: Array, g: Array, moments: tuple[Array, ...], coefficients: tuple[Any, ...], decay: Array, xp: Namespace
    ) -> tuple[Array, tuple[Array, ...]]:
        """Return the parameters as they are, and the sum."""
        return w, (moments[0] + g,)


class _Risk:
    """Risk and gradient of all rows, as a function of the parameters.

    Parameters
    ----------
    net : mlpx.Network
        The network.
    problem : Problem
        Its data.
    """

    def __init__(self, net: Network, problem: Problem) -> None:
        ops, source, rows = net.backend, problem.source, problem.stream.rows
        self._net, self._ops = net, ops
        y, smoothing = source.y, problem.estimator._smoothing
        if smoothing:
            y, _ = inputs.smooth(y, smoothing, ops, net.master_dtype, net.architecture.output)
        sample = Sample.of(ops, source.x, y, Rows(rows, np.asarray(rows.shape[0])), problem.weight)
        self._data, self._feed = sample.data, Feed(ops)
        l2 = np.asarray(net.l2)
        step = TrainingStep(ops, net.architecture, _Gradient(), (), frozen=False, penalized=bool(l2 > 0), clipped=False)
        self._fold = ops.fold(step)
        decay, trained = net.architecture.masks()
        self._masks = (ops.asarray(decay, dtype=net.master_dtype), ops.asarray(trained, dtype=net.master_dtype))
        size = max(1, min(rows.shape[0], _MOST // sum(net.architecture.widths)))
        pieces = list(slices(sample.rows, size, problem.weight))
        total = sum(float(np.sum(piece.total)) for piece in pieces)
        by_batch = problem.estimator.alpha_mode == "batch"
        penalty = float(l2) / total if by_batch else float(l2)
        self._batches = [self._batch(piece, total, penalty / sum(len(p.total) for p in pieces)) for piece in pieces]
        self._zero = np.zeros((1,)), np.zeros(net.n_parameters)

    def _batch(self, piece: Any, total: float, penalty: float) -> Batch:
        """Return rows whose mean loss is their share of the whole."""
        n, size = piece.index.shape
        share = piece.total / total
        weight = np.full((n, size), 1 / size) if piece.weight is None else piece.weight
        numbers = np.zeros((n, 2), dtype=self._net.master_dtype_name)
        numbers[:, 0] = penalty
        draws = (None,) * len(self._net.architecture.layers)
        return Batch(piece.index, weight * share[:, None], np.ones(n), numbers, draws, None)

    def __call__(self, vector: Array) -> tuple[float, Array]:
        """Return the risk and its gradient, on the host in float64."""
        ops, dtype = self._ops, self._net.master_dtype
        with ops.context():
            terms, zeros = self._zero
            state = State(
                ops.copy(ops.asarray(vector, dtype=dtype)), (ops.copy(ops.asarray(zeros, dtype=dtype)),),
                ops.copy(ops.asarray(terms)),
            )  # fmt: skip
            runs = ((batch, None, None) for batch in self._batches)
            for data, batch, *_ in self._feed(self._data, runs):
                state = self._fold((data, self._masks), state, batch, None)
            loss, gradient = to_numpy(state.terms)[0], to_numpy(state.moments[0])
        return float(loss), gradient.astype(np.float64)


def minimize(problem: Problem) -> None:
    """Fit an estimator's network by L-BFGS, and set its fitted attributes.

    Parameters
    ----------
    problem : Problem
        The network and its data.
    """
    estimator = problem.estimator
    net = Network(
        problem.layers, loss=problem.loss, l2=estimator.alpha, dtype=problem.dtype_name, backend=problem.backend
    )
    net.set_weights(problem.coefs, problem.intercepts)
    options = {"maxfun": estimator.max_fun, "maxiter": estimator.max_iter, "gtol": estimator.tol}
    with net.backend.context():
        risk = _Risk(net, problem)
    found = scipy.optimize.minimize(
        risk, to_numpy(net.vector), method="L-BFGS-B", jac=True, options=options, callback=_callback(problem, net)
    )
    estimator.n_iter_ = _check_optimize_result("lbfgs", found, estimator.max_iter)
    estimator.loss_ = float(found.fun)
    estimator.coefs_, estimator.intercepts_ = _parameters(net, found.x)


def _parameters(net: Network, vector: Array) -> tuple[list[Array], list[Array]]:
    """Return coefficients and intercepts from the flat vector."""
    coefs, intercepts = [], []
    for segment in net.architecture.segments:
        theta = vector[segment.start : segment.stop].reshape(segment.shape).astype(net.master_dtype_name)
        coefs.append(theta[:-1].copy())
        intercepts.append(theta[-1].copy())
    return coefs, intercepts


def _callback(problem: Problem, net: Network) -> Any:
    """Return what SciPy calls after each iteration; None where nobody listens."""
    task = problem.task
    if task is None or not task.watched:
        return None
    task.begin()

    def after(intermediate_result: Any) -> None:
        coefs, intercepts = _parameters(net, intermediate_result.x)
        if task.end(lambda: {"coefs_": coefs, "intercepts_": intercepts, "loss_": float(intermediate_result.fun)}):
            raise StopIteration
        task.begin()

    return after
