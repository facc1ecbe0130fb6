"""JAX: a compiled step, a compiled epoch, and many networks at once."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mlpx._typing import Array
from mlpx.bench.networks import Start


class State(NamedTuple):
    """What a step changes: parameters and moments by layer, the count of steps, the sum of losses."""

    parameters: Any
    m: Any
    v: Any
    t: Array
    total: Array


class Stepwise:
    """A compiled step, called for each batch.

    Parameters
    ----------
    start : Start
        Data and initial weights.
    batch_size : int
        Rows a step.
    shuffle : bool
        Whether each epoch has a new order.
    device : str
        Such as ``"cpu"``, or ``"cuda:0"``.
    """

    def __init__(self, start: Start, batch_size: int, *, shuffle: bool = True, device: str = "cpu") -> None:
        platform, _, number = device.partition(":")
        self.device = jax.devices(platform)[int(number or 0)]
        self.dtype = start.X.dtype
        self.shape = start.y.shape[0] // batch_size, batch_size
        self.shuffle, self.rng = shuffle, np.random.default_rng(0)
        with self.precision():
            self.X, self.y = jax.device_put((start.X, start.y.astype(np.int32)), self.device)
            self.initial = jax.device_put(list(zip(start.weights, start.biases, strict=True)), self.device)
        self.compile()

    def compile(self) -> None:
        """Make the compiled function."""
        self._step = jax.jit(step, donate_argnums=0)

    def precision(self) -> AbstractContextManager[Any]:
        """Return JAX's 64-bit mode where the data is float64."""
        mode: AbstractContextManager[Any] = jax.enable_x64(self.dtype == np.float64)
        return mode

    def fit(self, epochs: int) -> list[float]:
        """Train from the initial weights; return the mean loss of each epoch."""
        with self.precision():
            self.state = self.fresh()
            losses = [self.epoch() for _ in range(epochs)]
            jax.block_until_ready(self.state)
            return [np.asarray(loss).tolist() for loss in losses]

    def fresh(self) -> State:
        """Return the state before the first step."""
        zeros = partial(jax.tree.map, jnp.zeros_like)
        none = jnp.zeros((), self.dtype)
        return State(jax.tree.map(jnp.copy, self.initial), zeros(self.initial), zeros(self.initial), none, none + 0)

    def epoch(self) -> Array:
        """Make the steps of an epoch; return the mean of their losses."""
        state = self.state._replace(total=jnp.zeros((), self.dtype))
        for rows in self.order():
            state = self._step(state, self.X, self.y, rows)
        self.state = state
        return state.total / self.shape[0]

    def order(self) -> Array:
        """Return the rows of each batch, shape (steps, B)."""
        n = self.y.shape[0]
        order = self.rng.permutation(n) if self.shuffle else np.arange(n)
        return order[: self.shape[0] * self.shape[1]].astype(np.int32).reshape(self.shape)

    def parameters(self) -> tuple[list[Array], list[Array]]:
        """Return weights and biases."""
        weights, biases = zip(*self.state.parameters, strict=True)
        return [np.asarray(W) for W in weights], [np.asarray(b) for b in biases]


class Scanned(Stepwise):
    """A compiled epoch.

    Parameters
    ----------
    start, batch_size, shuffle, device
        As for `Stepwise`.
    """

    def compile(self) -> None:
        """Make the compiled function."""
        self._epoch = jax.jit(scan, donate_argnums=0)

    def epoch(self) -> Array:
        """Make the steps of an epoch; return the mean of their losses."""
        self.state, loss = self._epoch(self.state, self.X, self.y, self.order())
        return loss


class Stacked(Scanned):
    """Many networks on the same data, each with an order of its own.

    Parameters
    ----------
    start, batch_size, shuffle, device
        As for `Stepwise`.
    members : int
        Networks; all begin with the same weights.
    """

    def __init__(
        self, start: Start, batch_size: int, *, members: int, shuffle: bool = True, device: str = "cpu"
    ) -> None:
        self.members = members
        super().__init__(start, batch_size, shuffle=shuffle, device=device)

    def compile(self) -> None:
        """Make the compiled function."""
        self._epoch = jax.jit(jax.vmap(scan, in_axes=(0, None, None, 0)), donate_argnums=0)

    def fresh(self) -> State:
        """Return the state before the first step, every part with the axis of members in front."""
        state: State = jax.tree.map(lambda x: jnp.tile(x, (self.members,) + (1,) * x.ndim), super().fresh())
        return state

    def order(self) -> Array:
        """Return the rows of each member's batches, shape (S, steps, B)."""
        return np.stack([super(Stacked, self).order() for _ in range(self.members)])


def scan(state: State, X: Array, y: Array, order: Array) -> tuple[State, Array]:
    """Make the steps of an epoch; return the new state and the mean loss."""

    def body(state: State, rows: Array) -> tuple[State, None]:
        return step(state, X, y, rows), None

    state = state._replace(total=jnp.zeros_like(state.total))
    state, _ = jax.lax.scan(body, state, order)
    return state, state.total / order.shape[0]


def step(state: State, X: Array, y: Array, rows: Array) -> State:
    """Make one step of Adam on the loss of a batch."""
    loss, gradient = jax.value_and_grad(cross_entropy)(state.parameters, X[rows], y[rows])
    t = state.t + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state.m, gradient)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, state.v, gradient)
    first, second = 1 / (1 - 0.9**t), 1 / (1 - 0.999**t)
    update = partial(jax.tree.map, lambda w, m, v: w - 1e-3 * (m * first) / (jnp.sqrt(v * second) + 1e-8))
    return State(update(state.parameters, m, v), m, v, t, state.total + loss)


def cross_entropy(parameters: Any, x: Array, y: Array) -> Array:
    """Return the mean cross-entropy of a batch, with products and activations of the type of `x`."""
    *hidden, (W, b) = jax.tree.map(lambda p: p.astype(x.dtype), parameters)
    for V, c in hidden:
        x = jax.nn.relu(x @ V + c)
    z = x @ W + b
    log_p = jax.nn.log_softmax(z.astype(parameters[-1][0].dtype))
    return -jnp.mean(jnp.sum(jax.nn.one_hot(y, log_p.shape[-1], dtype=log_p.dtype) * log_p, axis=-1))
