"""A look into a network: norms of what runs forward and backward, and which units have gone quiet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from mlpx._typing import Array
from mlpx.activations import Activation
from mlpx.backends import Backend
from mlpx.backends.host import xp as hxp
from mlpx.layers.affine import Affine
from mlpx.layers.base import at
from mlpx.network import Architecture

__all__ = ["QUANTITIES", "SATURATED", "Look", "Seen", "functions", "largest_slope", "seen"]

QUANTITIES = ("delta_norm", "gradient_norm", "activation_norm", "dead", "saturated")
"""What a look gives of each layer, in this order."""

SATURATED = 0.05
"""Share of the largest ``|f'|`` below which a unit counts as saturated."""

_FAR, _GROWTH = 20.0, 1.01


class Seen(NamedTuple):
    """What a forward and a backward pass give of one layer with weights.

    Attributes
    ----------
    activation : Activation or None
        f, that of the output for the last layer; None where there is no such function of the net input.
    z, y : array of shape (..., N, M)
        Net input and value; the net input of `mlpx.Maxout` has the shape (..., K, N, M).
    delta : array of shape (..., N, M)
        Error term; of `mlpx.Maxout` those of the pieces, one below the other.
    theta : array of shape (..., M_in + 1, M)
        Derivative of the data loss by the block of weights and bias, the same way.
    """

    activation: Activation | None
    z: Array
    y: Array
    delta: Array
    theta: Array


def seen(ops: Backend, net: Architecture, parameters: Array, x: Array, y: Array, weight: Array | None) -> list[Seen]:
    """Run forward and backward, without dropout, and return what each layer with weights has to show."""
    z, saved = net.forward(ops, parameters, ops.xp.astype(x, parameters.dtype, copy=False))
    _, delta, y_hat = ops.loss_and_delta(net.output, z, y, weight)
    by_layer = net.backward(ops, parameters, saved, delta)
    found = []
    for path, f in functions(net).items():
        own, gradients, last = at(saved, path), at(by_layer, path), path == [*net.weighted][-1]
        delta, theta = (_below_another(net.weighted[path], array, ops) for array in (gradients.delta, gradients.theta))
        found.append(Seen(f, own.z, y_hat if last else own.y, delta, theta))
    return found


def functions(net: Architecture) -> dict[str, Activation | None]:
    """Return the activation of each layer with weights, by path; None where it is no function of the net input."""
    found = {path: getattr(layer, "activation", None) for path, layer in net.weighted.items()}
    return {**found, [*found][-1]: net.output.activation}


def _below_another(layer: Affine, array: Array, ops: Backend) -> Array:
    """Return the arrays of a layer's pieces as one."""
    pieces = len(layer.shapes()["theta"]) - 2
    return ops.xp.reshape(array, (*array.shape[: array.ndim - 2 - pieces], -1, array.shape[-1])) if pieces else array


@dataclass(frozen=True)
class Look:
    """The quantities of all layers, as one array: ``look(parameters, x, y, weight) -> (..., 5, L)``.

    A pure function, so that a backend may compile it. It computes in the type of the parameters, which is float32 where
    the network's layers compute in half precision: what is too small for those is measured, and not lost.
    """

    backend: Backend
    architecture: Architecture

    def __call__(self, parameters: Array, x: Array, y: Array, weight: Array | None) -> Array:
        """Return the numbers that `QUANTITIES` names, of each layer with weights; `weight` has the sum 1."""
        xp = self.backend.xp
        layers = seen(self.backend, self.architecture, parameters, x, y, weight)
        columns = [self._quantities(layer, weight) for layer in layers]
        return xp.stack([xp.stack(column, axis=-1) for column in columns], axis=-1)

    def _quantities(self, layer: Seen, weight: Array | None) -> list[Array]:
        norms = [self._norm(array) for array in (layer.delta, layer.theta, layer.y)]
        return [*norms, *self._shares(layer, weight, norms[0])]

    def _norm(self, array: Array) -> Array:
        """Return the square root of the sum of squares, which in float64 neither overflow nor vanish."""
        xp = self.backend.xp
        wide = xp.astype(array, xp.float64, copy=False)
        return xp.sqrt(xp.sum(wide * wide, axis=(-2, -1)))

    def _shares(self, layer: Seen, weight: Array | None, like: Array) -> tuple[Array, Array]:
        """Return the shares of dead and of saturated units."""
        xp, f = self.backend.xp, layer.activation
        unknown = xp.full_like(like, hxp.nan)
        largest = None if f is None else largest_slope(f)
        if f is None or largest is None:
            return unknown, unknown
        slope = xp.abs(self.backend.evaluate(f.derivative, layer.z if f.uses == "z" else layer.y))
        dead = self._share(xp.max(slope, axis=-2) == 0)
        if largest == hxp.inf:
            return dead, unknown
        mean = xp.mean(slope, axis=-2) if weight is None else xp.sum(slope * weight[..., None], axis=-2)
        return dead, self._share(mean < SATURATED * largest)

    def _share(self, units: Array) -> Array:
        xp = self.backend.xp
        return xp.mean(xp.astype(units, xp.float64), axis=-1)


@cache
def largest_slope(activation: Activation) -> float | None:
    """Return the largest ``|f'|``; infinity where it has no bound, None where there is no element-wise derivative.

    It is looked for among net inputs from -20 to 20; where it still grows in their outer half, it has no bound.

    Examples
    --------
    >>> from mlpx import activations
    >>> largest_slope(activations.logistic()), largest_slope(activations.exp()), largest_slope(activations.softmax())
    (0.25, inf, None)
    """
    z = hxp.linspace(-_FAR, _FAR, 8001)[:, None]
    with hxp.errstate(all="ignore"):
        try:
            slope = hxp.abs(activation.derivative(z if activation.uses == "z" else activation(z, hxp), hxp))
        except ValueError:
            return None
        largest, near = (float(hxp.max(slope[hxp.abs(z) <= far])) for far in (_FAR, _FAR / 2))
    return largest if largest <= _GROWTH * near else float("inf")
