"""A training step, laid out once for a network, an optimizer and a backend, then run again and again.

`TrainingStep` and `Evaluation` are pure functions of their arguments, so that a backend may compile them. Nothing in
them waits for the device: losses and metrics are sums that add up there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

from mlpx._typing import Array, Namespace
from mlpx.backends import Backend, trees
from mlpx.metrics import Metric
from mlpx.network import Architecture
from mlpx.optimizers import Optimizer
from mlpx.precision import Scaling

__all__ = ["Batch", "Data", "Evaluation", "Finite", "Prediction", "State", "TrainingStep", "compiled", "rows"]


class Data(NamedTuple):
    """Features and targets on the device: (N, ...) shared by all members, or (S, N, ...).

    Attributes
    ----------
    x, y : array
        Features and targets.
    origin : array of shape (..., 1, K), optional
        One row of the targets, from which sums of values are taken; None for class indices.
    truth : array of the shape of `y`, optional
        Targets for metrics, where `y` is smoothed.
    """

    x: Array
    y: Array
    origin: Array | None = None
    truth: Array | None = None

    @property
    def by_member(self) -> tuple[bool, bool]:
        """Whether features and targets have an axis of members."""
        return self.x.ndim == 3, self.y.ndim == (2 if self.origin is None else 3)


class State(NamedTuple):
    """What a step changes: the parameters and the moments of the optimizer, each of shape (..., P), and the sums.

    Attributes
    ----------
    terms : array of shape (..., T), float64
        Sums of loss and metrics over the steps so far.
    scaling : Scaling or ()
        The loss scale, in float16; else nothing.
    """

    parameters: Array
    moments: tuple[Array, ...]
    terms: Array
    scaling: Scaling | tuple[()] = ()


class Batch(NamedTuple):
    """What differs from step to step. The batches of a run of steps have the axis of steps in front of all others.

    Attributes
    ----------
    index : integer array of shape (B,) or (S, B)
        The rows.
    weight : array of shape (B,) or (S, B), float64, optional
        Their weights with the sum 1; by default 1/B each.
    total : array of shape () or (S,), float64
        The sum of the weights before they were divided by it.
    numbers : array of shape (C,) or (C, S, 1)
        Lambda of the penalty, the bound on the gradient's norm, and the coefficients of the optimizer.
    draws : tuple
        What each layer draws: random arrays, or what the backend makes them from in the step.
    active : boolean array of shape (S, 1), optional
        Members whose batch has any weight; by default all.
    """

    index: Array
    weight: Array | None
    total: Array
    numbers: Array
    draws: tuple[Any, ...]
    active: Array | None


@dataclass(frozen=True)
class TrainingStep:
    """Forward, loss, backward, update: ``step(data, masks, state, batch) -> state``.

    Parameters
    ----------
    backend : Backend
        Where it runs.
    architecture : Architecture
        The network.
    optimizer : Optimizer
        The update.
    metrics : tuple of Metric
        What is added up beside the loss.
    frozen : bool
        Whether some parameters are not trained.
    penalized, clipped : bool
        Whether there is a penalty, and a bound on the gradient's norm.
    """

    backend: Backend
    architecture: Architecture
    optimizer: Optimizer
    metrics: tuple[Metric, ...]
    frozen: bool
    penalized: bool
    clipped: bool

    def __call__(self, data: Data, masks: tuple[Array, Array], state: State, batch: Batch) -> State:
        """Return the new state; its sums have those of the batch added."""
        ops = self.backend
        x, y, truth = rows(ops, data, batch.index)
        loss, y_hat, gradient, _ = self.gradient(x, y, masks[0], state, batch)
        new = self.update(state, gradient, masks, batch.numbers)
        if batch.active is not None:
            new = self._only_where(batch.active, new, state)
        weight = uniform_weight(ops, y_hat) if batch.weight is None else batch.weight
        own = sums(ops, self.architecture, self.metrics, loss, y_hat, truth, weight, batch.total, data.origin)
        return new._replace(terms=state.terms + own)

    def gradient(
        self, x: Array, y: Array, decay: Array, state: State, batch: Batch
    ) -> tuple[Array, Array, Array, tuple[Any, ...]]:
        """Return the risk, the outputs, the risk's gradient as a vector, and the data loss's gradients by layer.

        In float16 those by layer carry the loss scale.
        """
        ops, net, parameters = self.backend, self.architecture, state.parameters
        z, saved = net.forward(ops, parameters, x, training=True, draws=batch.draws)
        loss, delta, y_hat = ops.loss_and_delta(net.output, z, y, batch.weight)
        if state.scaling:
            delta = delta * state.scaling.scale[..., None]
        by_layer = net.backward(ops, parameters, saved, delta)
        gradient = ops.xp.astype(net.join(ops, by_layer), parameters.dtype, copy=False)
        if state.scaling:
            gradient = gradient / state.scaling.scale
        if self.penalized:
            l2 = batch.numbers[0, ...]
            loss = loss + net.penalty(ops, parameters, l2, decay)
            gradient = gradient + l2 * decay * parameters
        return loss, y_hat, gradient, by_layer

    def update(self, state: State, gradient: Array, masks: tuple[Array, Array], numbers: Array) -> State:
        """Return the state after the update.

        Frozen entries are zeroed, the norm of the gradient is bounded, the optimizer applied, and the norms of weights
        are bounded. In float16 the members whose gradient is not finite keep parameters and moments.
        """
        xp = self.backend.xp
        decay, trained = masks
        finite = xp.all(xp.abs(gradient) < xp.inf, axis=-1, keepdims=True) if state.scaling else None
        if self.frozen:
            gradient = gradient * trained
        if self.clipped:
            bound = numbers[1, ...]
            # scaled by its largest entry, since squares overflow first
            largest = xp.maximum(xp.max(xp.abs(gradient), axis=-1, keepdims=True), tiny(xp, gradient))
            scaled = gradient / largest
            norm = largest * xp.sqrt(xp.sum(scaled * scaled, axis=-1, keepdims=True))
            # min(1, c / norm) without a division by zero
            gradient = gradient * (bound / xp.maximum(norm, bound))
        coefficients = tuple(numbers[i, ...] for i in range(2, numbers.shape[0]))
        parameters, moments = self.backend.update(
            self.optimizer, state.parameters, gradient, state.moments, coefficients, decay
        )
        parameters = self.architecture.constrain(self.backend, parameters)
        new = State(parameters, moments, state.terms, state.scaling)
        if state.scaling:
            new = self._only_where(finite, new, state)._replace(scaling=state.scaling.after(finite, xp))
        return new

    def _only_where(self, condition: Array, new: State, old: State) -> State:
        """Return the new state of the members for which the condition, of shape (..., 1), holds; else the old one."""

        def chosen(new: Any, old: Any) -> Any:
            pairs = zip(trees.leaves(new), trees.leaves(old), strict=True)
            return trees.rebuilt(new, (self.backend.xp.where(condition, n, o) for n, o in pairs))

        parameters, moments = chosen(new[:2], old[:2])
        return State(parameters, moments, old.terms, chosen(new.scaling, old.scaling))

    @staticmethod
    def part(fixed: tuple[Any, ...], state: State, batches: Batch, members: slice | int) -> tuple[Any, ...]:
        """Return the arguments of some members of a stack, or of one, whose batches have the axis of steps in front."""
        data, masks = fixed
        own_x, own_y = data.by_member
        index, weight, total, numbers, draws, active = batches
        some = Data(
            data.x[members, ...] if own_x else data.x,
            data.y[members, ...] if own_y else data.y,
            data.origin[members, ...] if own_y and data.origin is not None else data.origin,
            data.truth[members, ...] if own_y and data.truth is not None else data.truth,
        )
        batches = Batch(
            index[:, members, ...] if index.ndim == 3 else index,
            weight[:, members, ...] if weight is not None and weight.ndim == 3 else weight,
            total[:, members] if total.ndim == 2 else total,
            numbers[:, :, members, ...] if numbers.ndim == 4 else numbers,
            trees.mapped(lambda leaf: leaf[:, members, ...], draws),
            None if active is None else active[:, members, ...],
        )
        moments = tuple(moment[members, ...] for moment in state.moments)
        scaling = trees.mapped(lambda leaf: leaf[members, ...], state.scaling)
        state = State(state.parameters[members, ...], moments, state.terms[members, ...], scaling)
        return (some, masks), state, batches


@dataclass(frozen=True)
class Evaluation:
    """Loss of the data and metrics, without training: ``evaluate(parameters, x, y, weight, total) -> terms, y_hat``."""

    backend: Backend
    architecture: Architecture
    metrics: tuple[Metric, ...]

    def __call__(
        self, parameters: Array, x: Array, y: Array, weight: Array, total: Array, first: Array | None
    ) -> tuple[Array, Array]:
        """Return the sums of loss and metrics, shape (..., T), and the outputs; `weight` (float64) has the sum 1."""
        ops, net = self.backend, self.architecture
        z, _ = net.forward(ops, parameters, x)
        loss, _, y_hat = ops.loss_and_delta(net.output, z, y, weight)
        return sums(ops, net, self.metrics, loss, y_hat, y, weight, total, first), y_hat


@dataclass(frozen=True)
class Prediction:
    """Outputs: ``predict(parameters, x) -> y_hat``."""

    backend: Backend
    architecture: Architecture

    def __call__(self, parameters: Array, x: Array) -> Array:
        """Return the outputs, shape (..., N, K)."""
        z, _ = self.architecture.forward(self.backend, parameters, x)
        return self.backend.evaluate(self.architecture.output, z)


@dataclass(frozen=True)
class Finite:
    """Whether all numbers of each member are finite: ``finite(arrays) -> (...)``."""

    backend: Backend

    def __call__(self, arrays: tuple[Array, ...]) -> Array:
        """Say so for arrays of shape (..., P)."""
        xp = self.backend.xp
        finite = [xp.all(xp.isfinite(array), axis=-1) for array in arrays]
        return reduce(xp.logical_and, finite)


def rows(ops: Backend, data: Data, index: Array) -> tuple[Array, Array, Array]:
    """Gather the rows of a batch: features, targets, and targets for metrics."""
    own_x, own_y = data.by_member
    take_y = ops.take_member_rows if own_y else ops.take_rows
    x = (ops.take_member_rows if own_x else ops.take_rows)(data.x, index)
    y = take_y(data.y, index)
    return x, y, (y if data.truth is None else take_y(data.truth, index))


def tiny(xp: Namespace, like: Array) -> float:
    """Return the smallest normal number of a type."""
    return float(xp.finfo(like.dtype).smallest_normal)


def uniform_weight(ops: Backend, y_hat: Array) -> Array:
    """Return equal weights with the sum 1, shape (N,)."""
    n = y_hat.shape[-2]
    return ops.xp.full((n,), 1 / n, dtype=ops.xp.float64, device=ops.device)


def sums(
    ops: Backend,
    net: Architecture,
    metrics: tuple[Metric, ...],
    loss: Array,
    y_hat: Array,
    y: Array,
    weight: Array,
    total: Array,
    first: Array | None,
) -> Array:
    """Return loss and metric terms of a batch, times the total weight, shape (..., T), float64.

    Metrics that are centered count values from `first`: sums of squares far from zero would lose their digits.
    """
    xp = ops.xp
    parts = [loss[..., None]]
    for metric in metrics:
        if metric.centered and first is not None:
            near, target = (xp.astype(a, xp.float64) - xp.astype(first, xp.float64) for a in (y_hat, y))
            parts.append(metric.terms(net.output, near, target, weight, xp))
        elif metric.additive:
            parts.append(metric.terms(net.output, y_hat, y, weight, xp))
    joined = xp.concat([xp.astype(part, xp.float64) for part in parts], axis=-1)
    return joined * total[..., None]


def compiled(function: Any) -> Callable[..., Any]:
    """Return a description of a pure function in its backend's fastest form."""
    fast: Callable[..., Any] = function.backend.compile(function)
    return fast
