"""The loss of a network along two directions of its parameter space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mlpx.backends import to_numpy
from mlpx.model import Network, in_double
from mlpx.plots import data

__all__ = ["Plane", "given_directions", "losses", "parameter_plane", "random_directions"]

_ELEMENTS = 4_000_000
"""About so many numbers are held at once while a surface is computed."""
_Vector = np.ndarray[Any, Any]


class Plane(NamedTuple):
    """Where a surface is computed: at ``origin + a first + b second``.

    Attributes
    ----------
    origin, first, second : array of shape (P,)
        Points and directions of the parameter space, as ``net.vector``.
    center : (float, float)
        The a and b of the network itself.
    names : (str, str)
        What a and b are called.
    """

    origin: _Vector
    first: _Vector
    second: _Vector
    center: tuple[float, float]
    names: tuple[str, str]


def random_directions(net: Network, seed: int) -> Plane:
    """Return two random directions in which each unit's incoming weights have the length that they have in the network.

    Biases stay, and so do weights that are exactly 0, such as those that a mask takes out.
    """
    rng = np.random.default_rng(seed)
    theta = np.asarray(to_numpy(net.vector), dtype=np.float64)
    first, second = (_in_vector(net, [_like(W, rng) for W in net.weights]) for _ in range(2))
    return Plane(theta, first, second, (0.0, 0.0), ("random direction 1", "random direction 2"))


def _like(weights: Any, rng: np.random.Generator) -> _Vector:
    W = np.asarray(to_numpy(weights), dtype=np.float64)
    drawn = np.where(W == 0, 0.0, rng.normal(size=W.shape))
    length = np.linalg.norm(drawn, axis=0)
    return np.asarray(drawn * np.divide(np.linalg.norm(W, axis=0), length, out=np.zeros_like(length), where=length > 0))


def given_directions(net: Network, directions: Sequence[Any]) -> Plane:
    """Return the plane of two vectors as ``net.vector``."""
    if isinstance(directions, str) or not hasattr(directions, "__len__") or len(directions) != 2:
        msg = f"`directions` must be two arrays of shape ({net.n_parameters},), as `net.vector`; got {directions!r}."
        raise ValueError(msg)
    vectors = [
        data.finite(f"directions[{i}]", data.numbers(f"directions[{i}]", d, 1)) for i, d in enumerate(directions)
    ]
    for i, vector in enumerate(vectors):
        if vector.shape != (net.n_parameters,):
            msg = f"`directions[{i}]` must have the shape ({net.n_parameters},), as `net.vector`; got {vector.shape}."
            raise ValueError(msg)
    theta = np.asarray(to_numpy(net.vector), dtype=np.float64)
    return Plane(theta, vectors[0], vectors[1], (0.0, 0.0), ("direction 1", "direction 2"))


def parameter_plane(net: Network, parameters: Sequence[Any]) -> Plane:
    """Return the plane of two single parameters, such as ``("weights", 0, 2, 1)`` or ``("biases", 0, 1)``."""
    if isinstance(parameters, str) or not hasattr(parameters, "__len__") or len(parameters) != 2:
        msg = f"`parameters` must be two, such as ('weights', 0, 0, 1) and ('biases', 1, 0); got {parameters!r}."
        raise ValueError(msg)
    places = [_place(net, parameter, f"parameters[{i}]") for i, parameter in enumerate(parameters)]
    if places[0] == places[1]:
        msg = f"`parameters` must be two different ones, got {parameters[0]!r} twice."
        raise ValueError(msg)
    theta = np.asarray(to_numpy(net.vector), dtype=np.float64)
    axes = [_axis(net, *place) for place in places]
    center = [float(theta @ axis) for axis in axes]
    origin = theta - center[0] * axes[0] - center[1] * axes[1]
    names = [f"{kind}[{layer}][{', '.join(map(str, index))}]" for kind, layer, index in places]
    return Plane(origin, axes[0], axes[1], (center[0], center[1]), (names[0], names[1]))


def _place(net: Network, parameter: Any, name: str) -> tuple[str, int, tuple[int, ...]]:
    """Return the kind, the layer and the index of a single parameter, checked."""
    rule = "('weights', layer, input, unit) or ('biases', layer, unit)"
    if not isinstance(parameter, (tuple, list)) or not parameter or parameter[0] not in ("weights", "biases"):
        msg = f"`{name}` must be {rule}, got {parameter!r}."
        raise ValueError(msg)
    kind, *index = parameter
    blocks: Any = net.weights if kind == "weights" else net.biases
    numbers = all(hasattr(i, "__index__") and not isinstance(i, bool) for i in index)
    if len(index) != (3 if kind == "weights" else 2) or not numbers:
        msg = f"`{name}` must be {rule}, each a whole number; got {parameter!r}."
        raise ValueError(msg)
    shape = (
        (len(blocks),) if not 0 <= index[0] < len(blocks) else (len(blocks), *getattr(blocks[index[0]], "shape", ()))
    )
    if len(shape) != len(index) or not all(0 <= i < size for i, size in zip(index, shape, strict=True)):
        msg = f"`{name}` must be a parameter of the network, got {parameter!r}; there are {len(blocks)} dense layers."
        raise IndexError(msg)
    return kind, int(index[0]), tuple(int(i) for i in index[1:])


def _axis(net: Network, kind: str, layer: int, index: tuple[int, ...]) -> _Vector:
    W = [np.zeros(w.shape) for w in net.weights]
    b = [None if bias is None else np.zeros(bias.shape) for bias in net.biases]
    block: Any = (W if kind == "weights" else b)[layer]
    block[index] = 1.0
    return _in_vector(net, W, b)


def _in_vector(net: Network, weights: Sequence[_Vector], biases: Sequence[Any] | None = None) -> _Vector:
    """Return the vector of parameters in which the dense layers have these, and all else is 0."""
    one = in_double(net, np.zeros(net.n_parameters))
    zeros = [None if bias is None else np.zeros(bias.shape) for bias in net.biases]
    one.set_weights(weights, zeros if biases is None else biases)
    return np.asarray(to_numpy(one.vector), dtype=np.float64)


def losses(net: Network, X: Any, y: Any, plane: Plane, first: _Vector, second: _Vector) -> _Vector:
    """Return the loss of the data at all pairs, shape (len(second), len(first)); many points as one stack."""
    a, b = (part.ravel() for part in np.meshgrid(first, second))
    rows = data.host("X", X).shape[0]
    at_once = max(1, _ELEMENTS // max(rows * max(net.sizes), net.n_parameters))
    found = []
    for start in range(0, len(a), at_once):
        some = slice(start, start + at_once)
        vectors = plane.origin + a[some, None] * plane.first + b[some, None] * plane.second
        stack = in_double(net, vectors)
        with np.errstate(over="ignore", invalid="ignore"):
            found.append(to_numpy(stack.evaluate(X, y, metrics=())["loss"]))
    return np.concatenate(found).reshape(len(second), len(first))
