"""The networks whose training is measured, their random data, and the matrix products that a step cannot do without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

import mlpx
from mlpx._typing import Array

__all__ = ["DIGITS", "NETWORKS", "TINY", "Start", "Workload", "random_products"]


class Start(NamedTuple):
    """What a training run begins with, the same for whoever trains.

    Attributes
    ----------
    X : array of shape (N, M_0)
        Features.
    y : integer array of shape (N,)
        Classes.
    weights, biases : list of array
        Initial parameters of each layer, of shapes (M_{l-1}, M_l) and (M_l,).
    """

    X: Array
    y: Array
    weights: list[Array]
    biases: list[Array]


@dataclass(frozen=True)
class Workload:
    """A classifier (ReLU, softmax, cross-entropy, Adam) and a training run of it.

    Attributes
    ----------
    sizes : tuple of int
        Units of each layer, from the features to the classes.
    batch_size, rows, epochs : int
        Rows a step, rows an epoch (a multiple of `batch_size`), and epochs of a run.
    dtype : str
        ``"float32"`` or ``"float64"``.

    Examples
    --------
    >>> work = Workload((20, 32, 32, 2), batch_size=32, rows=2048, epochs=10)
    >>> work.name, work.steps
    ('20-32-32-2, batch 32', 640)
    """

    sizes: tuple[int, ...]
    batch_size: int
    rows: int
    epochs: int
    dtype: str = "float32"

    @property
    def network(self) -> str:
        """The layers in a word, such as ``"784-256-128-10"``."""
        return "-".join(map(str, self.sizes))

    @property
    def name(self) -> str:
        """Network and batch size in a few words."""
        return f"{self.network}, batch {self.batch_size}" + ("" if self.dtype == "float32" else f", {self.dtype}")

    @property
    def steps(self) -> int:
        """Steps of a run."""
        return self.rows // self.batch_size * self.epochs

    @property
    def n_parameters(self) -> int:
        """Weights and biases."""
        return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(self.sizes))

    @property
    def flop(self) -> float:
        """Floating-point operations of the matrix products of a step; the first layer needs no error term."""
        layers = [2.0 * self.batch_size * fan_in * fan_out for fan_in, fan_out in pairwise(self.sizes)]
        return 3 * sum(layers) - layers[0]

    def start(self) -> Start:
        """Draw the data, and the weights that mlpx begins with; always the same."""
        rng = np.random.default_rng(0)
        X = rng.standard_normal((self.rows, self.sizes[0]), dtype=np.dtype(self.dtype))
        y = rng.integers(0, self.sizes[-1], self.rows)
        net = mlpx.MLP(self.sizes, dtype=self.dtype, backend="numpy")
        return Start(X, y, [W.copy() for W in net.weights], [b.copy() for b in net.biases if b is not None])


TINY = Workload((20, 32, 32, 2), batch_size=32, rows=2048, epochs=10)
DIGITS = Workload((64, 100, 10), batch_size=200, rows=2000, epochs=10)
#: From one that is all overhead to one that is nearly all products.
NETWORKS = (
    TINY,
    DIGITS,
    Workload((30, 256, 256, 2), batch_size=256, rows=8192, epochs=1),
    Workload((784, 256, 128, 10), batch_size=256, rows=8192, epochs=1),
    Workload((784, 1024, 1024, 10), batch_size=1024, rows=4096, epochs=1),
)


def random_products(work: Workload) -> Callable[[], None]:
    """Return a run of the products of as many steps as the workload has, on random matrices in buffers of their own."""
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> Array:
        return rng.standard_normal(shape, dtype=np.dtype(work.dtype))

    # activations and error terms by layer
    a = [draw(work.batch_size, size) for size in work.sizes]
    delta = [draw(work.batch_size, size) for size in work.sizes]
    calls = []
    for i, (fan_in, fan_out) in enumerate(pairwise(work.sizes)):
        W, gradient, z = draw(fan_in, fan_out), draw(fan_in, fan_out), draw(work.batch_size, fan_out)
        calls += [partial(np.dot, a[i], W, out=z), partial(np.dot, a[i].T, delta[i + 1], out=gradient)]
        if i:
            calls.append(partial(np.dot, delta[i + 1], W.T, out=draw(work.batch_size, fan_in)))

    def run() -> None:
        for _ in range(work.steps):
            for call in calls:
                call()

    return run
