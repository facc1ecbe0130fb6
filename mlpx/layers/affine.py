"""Layers with weights and a bias: one block ``theta``, the weights and the bias as the last row."""

from __future__ import annotations

import math
from typing import Any, Literal

from mlpx import initializers
from mlpx._checks import check_count, check_number
from mlpx._typing import Array, Namespace
from mlpx.backends import Backend
from mlpx.backends.host import Stream
from mlpx.initializers import Initializer
from mlpx.layers.base import Layer, Parameters

__all__ = ["Affine", "bounded"]


class Affine(Layer, abstract=True):
    """A layer with ``X W + b`` in it; `fan_in`, `fan_out`, `bias`, initializers and `max_norm` are its fields."""

    fan_in: int
    fan_out: int
    bias: bool | Literal["frozen"]
    initializer: str | Initializer
    bias_initializer: str | Initializer
    max_norm: float | None

    def _check(self) -> None:
        """Check and complete the common fields."""
        for name in ("fan_in", "fan_out"):
            self._store(name, check_count(name, getattr(self, name)))
        if not (self.bias is True or self.bias is False or (isinstance(self.bias, str) and self.bias == "frozen")):
            msg = f'`bias` must be True, False or "frozen", got {self.bias!r}.'
            raise ValueError(msg)
        waits = isinstance(self.initializer, str) and self.initializer == "auto"
        if not waits:  # until it is known whether the layer is the output
            self._store("initializer", initializers.get(self.initializer))
        self._store("bias_initializer", initializers.get(self.bias_initializer))
        if self.max_norm is not None:
            self._store("max_norm", check_number("max_norm", self.max_norm, above=0))

    @property
    def _before(self) -> str:
        """Name of the activation that the initial weights are for."""
        raise NotImplementedError

    def _blocks(self) -> tuple[int, ...]:
        """Return the axes in front of the block's two."""
        return ()

    def _present(self, xp: Namespace) -> Array:
        """Return which weights there are: a host array of 1 and 0."""
        return xp.ones((*self._blocks(), self.fan_in, self.fan_out))

    def width(self, fan_in: int) -> int:
        """Return `fan_out`."""
        if fan_in != self.fan_in:
            msg = f"`layers` do not fit: {fan_in} units go into {self.name}({self.fan_in}, {self.fan_out}, …)."
            raise ValueError(msg)
        return self.fan_out

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of the block."""
        return {"theta": (*self._blocks(), self.fan_in + bool(self.bias), self.fan_out)}

    def initialize(self, stream: Stream) -> Parameters:
        """Return the initial block."""
        xp, initializer = stream.xp, initializers.get(self.initializer, self._before)

        def drawn(choice: Any, rows: int) -> Array:
            each = [choice(stream, (rows, self.fan_out)) for _ in range(math.prod(self._blocks()))]
            return xp.reshape(xp.stack(each), (*self._blocks(), rows, self.fan_out))

        weights = drawn(initializer, self.fan_in) * self._present(xp)
        return {"theta": xp.concat([weights, drawn(self.bias_initializer, 1)], axis=-2) if self.bias else weights}

    def masks(self, xp: Namespace) -> dict[str, tuple[Array, Array]]:
        """Return the masks of decay (weights only) and training."""
        weights = self._present(xp)
        if not self.bias:
            return {"theta": (weights, weights)}
        no, yes = (make((*self._blocks(), 1, self.fan_out)) for make in (xp.zeros, xp.ones))
        trained = no if self.bias == "frozen" else yes
        return {"theta": (xp.concat([weights, no], axis=-2), xp.concat([weights, trained], axis=-2))}

    def constrain(self, ops: Backend, params: Parameters) -> Parameters:
        """Return the block with the norm of each column of weights bounded by `max_norm`, where that is given."""
        if self.max_norm is None:
            return {}
        W, b = self.split(params["theta"])
        W = bounded(W, self.max_norm, ops.xp)
        return {"theta": W if b is None else ops.concat([W, b[..., None, :]], axis=-2)}

    def split(self, theta: Array) -> tuple[Array, Array | None]:
        """Return weights and bias as parts of the block.

        Parameters
        ----------
        theta : array of shape (..., M_in + 1, M_out), without bias (..., M_in, M_out)
            The block.

        Returns
        -------
        weights : array of shape (..., M_in, M_out)
        bias : array of shape (..., M_out) or None
        """
        if not self.bias:
            return theta, None
        return theta[..., : self.fan_in, :], theta[..., self.fan_in, :]


def bounded(W: Array, bound: Any, xp: Namespace) -> Array:
    """Return each column w of weights times ``min(1, bound / |w|)``.

    Source: [1]_.

    Parameters
    ----------
    W : array of shape (..., M_in, M_out)
        Weights; a column holds what comes into a unit.
    bound : float
        The largest norm.
    xp : namespace
        The functions to compute with.

    References
    ----------
    .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: a simple way to prevent
       neural networks from overfitting", JMLR 15, 2014, section 5.1.

    Examples
    --------
    >>> import numpy as np
    >>> bounded(np.asarray([[3.0, 0.3], [4.0, 0.4]]), 1.0, np)
    array([[0.6, 0.3],
           [0.8, 0.4]])
    """
    unit = xp.maximum(xp.max(xp.abs(W), axis=-2, keepdims=True), bound)  # the square of a large weight would overflow
    u = W / unit
    norm = unit * xp.sqrt(xp.sum(u * u, axis=-2, keepdims=True))
    # min(1, c / norm) without a division by zero
    return W * (bound / xp.maximum(norm, bound))
