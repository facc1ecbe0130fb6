"""JAX's steps on a device: a compiled step called again and again, and a compiled scan over many."""

from __future__ import annotations

from contextlib import AbstractContextManager
from itertools import cycle, islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mlpx._typing import Array
from mlpx.bench.gpu.steps import Steps
from mlpx.bench.gpu.work import Job, beginning
from mlpx.bench.peers.jax import State, step

#: JAX's names for how float32 products are computed.
PRODUCTS = {"tf32": "tensorfloat32"}


class Stepwise(Steps):
    """A compiled step, called for each batch; the rows of all batches lie on the device.

    Parameters
    ----------
    job : Job
        What is trained; a stack under `jax.vmap`.
    device : str
        Such as ``"cuda:0"`` or ``"cpu"``.
    """

    def __init__(self, job: Job, device: str) -> None:
        if job.precision == "float16":
            msg = "float16 needs a scaled loss, which this contender has not"
            raise ValueError(msg)
        fix_precision(job.precision)
        platform, _, number = device.partition(":")
        self.job, self.device = job, jax.devices(platform)[int(number or 0)]
        start = beginning(job)
        with self.mode():
            X = jnp.asarray(start.X, dtype=job.half or job.master)
            self.X, self.y = jax.device_put((X, start.y.astype(np.int32)), self.device)
            self.initial = jax.device_put(list(zip(start.weights, start.biases, strict=True)), self.device)
            self.order = self.orders(start.order.astype(np.int32))
        self.compile()
        self.restart()

    def mode(self) -> AbstractContextManager[Any]:
        """Return JAX's 64-bit mode where parameters are float64."""
        mode: AbstractContextManager[Any] = jax.enable_x64(self.job.master == "float64")
        return mode

    def orders(self, order: Array) -> list[Array]:
        """Return the rows of each step of an epoch, on the device."""
        return [jax.device_put(rows, self.device) for rows in order]

    def compile(self) -> None:
        """Make the compiled function."""
        self._step = jax.jit(self.batched(step), donate_argnums=0)

    def batched(self, function: Any) -> Any:
        """Return the function for all members of a stack."""
        return jax.vmap(function, in_axes=(0, None, None, 0)) if self.job.members else function

    def restart(self) -> None:
        """Begin again with the first parameters and zero moments."""
        with self.mode():
            zeros = jax.tree.map(jnp.zeros_like, self.initial)
            none = jnp.zeros((self.job.members,) if self.job.members else (), self.job.master)
            none = jax.device_put(none, self.device)
            copied = jax.tree.map(jnp.copy, (self.initial, zeros, zeros, none, none))
        self.state, self.made = State(*copied), 0

    def issue(self, count: int) -> None:
        """Make steps, each with the next rows."""
        state, order, X, y = self.state, self.order, self.X, self.y
        with self.mode():
            for i in range(self.made, self.made + count):
                state = self._step(state, X, y, order[i % len(order)])
        self.state = state
        self.made += count

    def wait(self) -> None:
        """Wait for the device."""
        jax.block_until_ready(self.state)

    def loss(self) -> float:
        """Return the mean loss since `restart`."""
        return float(np.mean(np.asarray(self.state.total))) / self.made

    def parameters(self) -> tuple[list[Array], list[Array]]:
        """Return weights and biases."""
        weights, biases = zip(*self.state.parameters, strict=True)
        return [np.asarray(W) for W in weights], [np.asarray(b) for b in biases]


class Scanned(Stepwise):
    """A compiled scan over a block of steps."""

    def orders(self, order: Array) -> list[Array]:
        """Return the rows of one step, and of a block of steps, on the device."""
        self.block = self.job.block
        block = np.stack(list(islice(cycle(order), self.block)), axis=1 if self.job.members else 0)
        one = block[:, :1] if self.job.members else block[:1]
        return [jax.device_put(rows, self.device) for rows in (one, block)]

    def compile(self) -> None:
        """Make the compiled function."""
        self._steps = jax.jit(self.batched(scan), donate_argnums=0)

    def issue(self, count: int) -> None:
        """Make one step, or block after block."""
        size = 1 if count == 1 else self.block
        with self.mode():
            for _ in range(count // size):
                self.state = self._steps(self.state, self.X, self.y, self.order[size > 1])
        self.made += count


def scan(state: State, X: Array, y: Array, order: Array) -> State:
    """Make a step for each row of `order`."""
    new: State = jax.lax.scan(lambda state, rows: (step(state, X, y, rows), None), state, order)[0]
    return new


def fix_precision(precision: str) -> None:
    """Let float32 products run in TF32, or not."""
    jax.config.update("jax_default_matmul_precision", PRODUCTS.get(precision, "highest"))


def release() -> None:
    """Forget what was compiled."""
    jax.clear_caches()


def describe() -> dict[str, str]:
    """Return the devices that JAX sees."""
    return {"jax devices": ", ".join(f"{device.platform} {device.device_kind}" for device in jax.devices())}
