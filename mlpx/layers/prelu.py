"""The rectifier whose slope is learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mlpx._checks import check_count, check_number
from mlpx._typing import Array, Namespace
from mlpx.backends import Backend
from mlpx.backends.host import Stream
from mlpx.layers.base import Layer, Parameters

__all__ = ["PReLU"]


class PReLUSaved(NamedTuple):
    """What `PReLU` keeps for its backward pass: its input."""

    x: Array


class PReLUGradients(NamedTuple):
    """Derivatives of the loss by the slopes, and by the input (the error term)."""

    gamma: Array
    delta: Array


@dataclass(frozen=True)
class PReLU(Layer):
    """``Y = max(0, X) + gamma min(0, X)`` with a slope gamma for each unit, which is learned [1]_.

    It follows a linear `Dense` layer, whose weights then start as before ReLU. At 0 its derivative is gamma. Neither
    penalty nor weight decay acts on gamma.

    Parameters
    ----------
    units : int
        Number of units.
    gamma : float
        Initial slope of all units.

    Raises
    ------
    ValueError
        For an argument out of its range.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers: surpassing human-level performance on
       ImageNet classification", ICCV 2015.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.Network([mlpx.Dense(2, 3), mlpx.PReLU(3), mlpx.Dense(3, 1)])
    >>> net.parameters["1.gamma"]
    array([0.25, 0.25, 0.25], dtype=float32)
    """

    units: int
    gamma: float = 0.25

    def __post_init__(self) -> None:
        self._store("units", check_count("units", self.units))
        self._store("gamma", check_number("gamma", self.gamma))

    def width(self, fan_in: int) -> int:
        """Return `units`."""
        if fan_in != self.units:
            msg = f"`layers` do not fit: {fan_in} units go into PReLU({self.units})."
            raise ValueError(msg)
        return self.units

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of the slopes."""
        return {"gamma": (self.units,)}

    def initialize(self, stream: Stream) -> Parameters:
        """Return the initial slopes."""
        return {"gamma": stream.xp.full((self.units,), self.gamma)}

    def masks(self, xp: Namespace) -> dict[str, tuple[Array, Array]]:
        """Return the masks: no decay, all trained."""
        return {"gamma": (xp.zeros((self.units,)), xp.ones((self.units,)))}

    def forward(
        self, ops: Backend, params: Parameters, x: Array, *, training: bool, draw: None
    ) -> tuple[Array, PReLUSaved]:
        """Return ``Y``, shape ``(..., N, units)``, and what was saved."""
        return ops.evaluate(_rectified, x, params["gamma"][..., None, :]), PReLUSaved(x)

    def backward(
        self,
        ops: Backend,
        params: Parameters,
        saved: PReLUSaved,
        dy: Array,
        *,
        need_dx: bool = True,
        out: dict[str, Array] | None = None,
    ) -> tuple[Array | None, PReLUGradients]:
        """Return ``delta``: ``dy`` times the slope, and ``dgamma``: the sum over the rows of ``dy min(0, X)``."""
        gamma = ops.sum_of_rows(ops.evaluate(_below_zero, dy, saved.x))[..., 0, :]
        delta = ops.evaluate(_sloped, dy, saved.x, params["gamma"][..., None, :])
        return (delta if need_dx else None), PReLUGradients(gamma, delta)


def _rectified(x: Array, gamma: Array, xp: Namespace) -> Array:
    return xp.maximum(x, 0.0) + gamma * xp.minimum(x, 0.0)


def _below_zero(dy: Array, x: Array, xp: Namespace) -> Array:
    return dy * xp.minimum(x, 0.0)


def _sloped(dy: Array, x: Array, gamma: Array, xp: Namespace) -> Array:
    positive = xp.astype(x > 0, x.dtype)
    return dy * (positive + gamma * (1 - positive))
