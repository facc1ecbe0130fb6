"""A look into a network: norms of what runs forward and backward, and which units have gone quiet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from mlpx._typing import Array
from mlpx.activations import Activation
from mlpx.backends import Backend
from mlpx.backends.host import xp as hxp
from mlpx.layers import Layer, PReLU, Skip
from mlpx.layers.affine import Affine
from mlpx.layers.base import at, joined
from mlpx.network import Architecture

__all__ = ["QUANTITIES", "SATURATED", "Look", "Seen", "functions", "largest_slope", "seen"]

QUANTITIES = ("delta_norm", "gradient_norm", "activation_norm", "dead", "saturated")
"""What a look gives of each layer, in this order."""

SATURATED = 0.05
"""Share of the largest ``|f'|`` below which a unit counts as saturated."""

_FAR, _GROWTH = 20.0, 1.01


class Seen(NamedTuple):
    """What a forward and a backward pass give of one layer, or of a block that ends with a function.

    Attributes
    ----------
    slope : array of shape (..., N, M) or None
        ``|f'|`` at each net input; None where there is no such function of the net input.
    largest : float, or array of shape (..., M)
        The largest that ``|f'|`` can be.
    y : array of shape (..., N, M)
        The value.
    delta : array of shape (..., N, M)
        Error term; of `mlpx.Maxout` those of the pieces, one below the other.
    theta : array of shape (..., M_in + 1, M) or None
        Derivative of the data loss by the block of weights and bias, the same way; of `mlpx.PReLU` by its slopes, of a
        `mlpx.Skip` None.
    """

    slope: Array | None
    largest: Any
    y: Array
    delta: Array
    theta: Array | None


def seen(ops: Backend, net: Architecture, parameters: Array, x: Array, y: Array, weight: Array | None) -> list[Seen]:
    """Run forward and backward, without dropout, and return what each of the `functions` has to show."""
    z, saved = net.forward(ops, parameters, ops.xp.astype(x, parameters.dtype, copy=False))
    _, delta, y_hat = ops.loss_and_delta(net.output, z, y, weight)
    by_layer = net.backward(ops, parameters, saved, delta)
    params, found = net.split(ops, parameters), []
    for path, f in functions(net).items():
        own, gradients, node = at(saved, path), at(by_layer, path), net.nodes[path]
        if isinstance(node, PReLU):
            found.append(_seen_slopes(ops, at(params, path)["gamma"], own.x, gradients))
            continue
        value = y_hat if path == [*net.weighted][-1] else own.y
        delta, theta = (_below_another(node, array, ops) for array in (gradients.delta, _theta(gradients)))
        found.append(Seen(*_slope(ops, f, own.z, value), value, delta, theta))
    return found


def functions(net: Architecture) -> dict[str, Activation | None]:
    """Return the activations by path, in the order in which they act; None where one has parameters of its own.

    They are those of the layers with weights, of `mlpx.PReLU`, and of `mlpx.Skip` where it is not the identity.
    """
    found = {path: getattr(layer, "activation", None) for path, layer in _acting(net.chain)}
    return {**found, [*found][-1]: net.output.activation}


def _acting(layer: Layer, path: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield the layers that have a function, each behind its parts."""
    for name, part in layer.parts().items():
        yield from _acting(part, joined(path, name))
    of_a_sum = isinstance(layer, Skip) and layer.activation.name != "identity"  # type: ignore[union-attr]
    if of_a_sum or isinstance(layer, (Affine, PReLU)):
        yield path, layer


def _seen_slopes(ops: Backend, gamma: Array, x: Array, gradients: Any) -> Seen:
    """Return what `mlpx.PReLU` has to show."""
    xp = ops.xp
    positive, gamma = xp.astype(x > 0, x.dtype), gamma[..., None, :]
    slope = positive + xp.abs(gamma) * (1 - positive)
    y = xp.maximum(x, 0.0) + gamma * xp.minimum(x, 0.0)
    largest = xp.maximum(xp.abs(gamma), 1.0)[..., 0, :]
    return Seen(slope, largest, y, gradients.delta, gradients.gamma[..., None, :])


def _slope(ops: Backend, f: Activation | None, z: Array, y: Array) -> tuple[Array | None, float]:
    """Return ``|f'|`` and the largest that it can be, where there is such a function of the net input."""
    largest = None if f is None else largest_slope(f)
    if f is None or largest is None:
        return None, hxp.nan
    return ops.xp.abs(ops.evaluate(f.derivative, z if f.uses == "z" else y)), largest


def _theta(gradients: Any) -> Array | None:
    return getattr(gradients, "theta", None)


def _below_another(layer: Layer, array: Array | None, ops: Backend) -> Any:
    """Return the arrays of a layer's pieces as one."""
    pieces = len(layer.shapes()["theta"]) - 2 if isinstance(layer, Affine) else 0
    if array is None or not pieces:
        return array
    return ops.xp.reshape(array, (*array.shape[: array.ndim - 2 - pieces], -1, array.shape[-1]))


@dataclass(frozen=True)
class Look:
    """The quantities of all layers, as one array: ``look(parameters, x, y, weight) -> (..., 5, L)``.

    A pure function, so that a backend may compile it. It computes in the type of the parameters, which is float32 where
    the network's layers compute in half precision: what is too small for those is measured, and not lost.
    """

    backend: Backend
    architecture: Architecture

    def __call__(self, parameters: Array, x: Array, y: Array, weight: Array | None) -> Array:
        """Return the numbers that `QUANTITIES` names, of each of the `functions`; `weight` has the sum 1."""
        xp = self.backend.xp
        layers = seen(self.backend, self.architecture, parameters, x, y, weight)
        columns = [self._quantities(layer, weight) for layer in layers]
        return xp.stack([xp.stack(column, axis=-1) for column in columns], axis=-1)

    def _quantities(self, layer: Seen, weight: Array | None) -> list[Array]:
        delta, y = self._norm(layer.delta), self._norm(layer.y)
        theta = self.backend.xp.full_like(delta, hxp.nan) if layer.theta is None else self._norm(layer.theta)
        norms = [delta, theta, y]
        return [*norms, *self._shares(layer, weight, norms[0])]

    def _norm(self, array: Array) -> Array:
        """Return the square root of the sum of squares, which in float64 neither overflow nor vanish."""
        xp = self.backend.xp
        wide = xp.astype(array, xp.float64, copy=False)
        return xp.sqrt(xp.sum(wide * wide, axis=(-2, -1)))

    def _shares(self, layer: Seen, weight: Array | None, like: Array) -> tuple[Array, Array]:
        """Return the shares of dead and of saturated units."""
        xp, slope = self.backend.xp, layer.slope
        unknown = xp.full_like(like, hxp.nan)
        if slope is None:
            return unknown, unknown
        dead = self._share(xp.max(slope, axis=-2) == 0)
        if isinstance(layer.largest, float) and layer.largest == hxp.inf:
            return dead, unknown
        mean = xp.mean(slope, axis=-2) if weight is None else xp.sum(slope * weight[..., None], axis=-2)
        return dead, self._share(mean < SATURATED * layer.largest)

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
