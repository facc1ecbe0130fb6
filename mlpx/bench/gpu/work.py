"""The networks whose steps are measured, and what everybody begins with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

import mlpx
from mlpx._typing import Array

#: How each precision is asked for from mlpx.
PRECISIONS: dict[str, dict[str, str]] = {
    "float64": {"dtype": "float64"},
    "float32": {"dtype": "float32"},
    "tf32": {"dtype": "float32", "precision": "tf32"},
    "float16": {"dtype": "float16"},
    "bfloat16": {"dtype": "bfloat16"},
}


@dataclass(frozen=True)
class Job:
    """Training of a classifier (ReLU, softmax, cross-entropy, Adam), or of a stack of them.

    Attributes
    ----------
    sizes : tuple of int
        Units of each layer.
    batch : int
        Rows a step.
    epoch : int
        Steps an epoch; their rows lie on the device.
    precision : str
        ``"float32"`` is true float32; ``"tf32"`` multiplies float32 numbers on the matrix units; with ``"float16"`` and
        ``"bfloat16"`` the products and activations have this type, and parameters and optimizer float32.
    members : int or None
        Networks of a stack.
    block : int
        Steps that are handed over at once where a library can take many.

    Examples
    --------
    >>> Job((256, 256, 256, 256), 256, 32, "float32").name
    '256-256-256-256, batch 256, float32'
    """

    sizes: tuple[int, ...]
    batch: int
    epoch: int
    precision: str = "float32"
    members: int | None = None
    block: int = 1

    @property
    def name(self) -> str:
        """Network, batch and precision in a few words."""
        stack = f", {self.members} members" if self.members else ""
        return f"{'-'.join(map(str, self.sizes))}, batch {self.batch}{stack}, {self.precision}"

    @property
    def flop(self) -> float:
        """Operations of the products of a step; the first layer needs no error term."""
        layers = [2.0 * self.batch * fan_in * fan_out for fan_in, fan_out in pairwise(self.sizes)]
        return (self.members or 1) * (3 * sum(layers) - layers[0])

    @property
    def master(self) -> str:
        """The type of parameters and moments."""
        return "float64" if self.precision == "float64" else "float32"

    @property
    def half(self) -> str | None:
        """The type of products and activations where that is another."""
        return self.precision if self.precision in ("float16", "bfloat16") else None


class Beginning(NamedTuple):
    """What a training run begins with, on the host, the same for whoever trains.

    Attributes
    ----------
    X : array of shape (N, M_0)
        Features.
    y : integer array of shape (N,)
        Classes.
    weights, biases : tuple of array
        Parameters of each layer, of shapes (..., M_{l-1}, M_l) and (..., M_l), a stack's with the axis of members.
    order : integer array of shape (E, B) or (E, S, B)
        The rows of each step of an epoch, the same in every epoch.
    """

    X: Array
    y: Array
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    order: Array


@lru_cache(maxsize=1)
def beginning(job: Job) -> Beginning:
    """Draw data, parameters and orders; always the same, and kept until another job asks."""
    rng, rows = np.random.default_rng(0), job.epoch * job.batch
    X = rng.standard_normal((rows, job.sizes[0]), dtype=np.dtype(job.master))
    y = rng.integers(0, job.sizes[-1], rows)
    net = mlpx.MLP(list(job.sizes), dtype=job.master, members=job.members, backend="numpy")
    orders = [rng.permutation(rows).reshape(job.epoch, job.batch) for _ in range(job.members or 1)]
    order = np.stack(orders, axis=1) if job.members else orders[0]
    biases = tuple(b.copy() for b in net.biases if b is not None)
    return Beginning(X, y, tuple(W.copy() for W in net.weights), biases, order)
