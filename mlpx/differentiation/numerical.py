"""The numerical road: central differences against the derivatives that a network or a formula gives."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

from mlpx import activations
from mlpx._checks import check_count, check_flag, check_number
from mlpx._typing import Array
from mlpx.backends import to_numpy
from mlpx.backends.host import Key, Stream, xp
from mlpx.differentiation.differences import NEARBY, STEP, TOLERANCE, Compared, Point, compare
from mlpx.differentiation.report import BlockCheck, Entry, GradientReport
from mlpx.model import check_network, in_double

__all__ = ["check_derivative", "check_gradients"]


def check_gradients(
    net: Any,
    X: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    step: float = STEP,
    sample: int | None = 50,
    seed: int = 0,
    tolerance: float = TOLERANCE,
    training: bool = False,
) -> GradientReport:
    """Compare back-propagation with central differences of the risk, block by block of the parameters.

    The network is not changed: a copy of it computes in float64, on the same backend.

    Parameters
    ----------
    net : Network
        Any network, also a stack, whose members are all checked at once; with any layers, activations and losses.
    X : array of shape (N, M_0), with a stack also (S, N, M_0)
        Features. Some rows do: the cost is that of a few forward passes for each entry.
    y : array of shape (N, K) or (N,), with a stack also (S, N, K) or (S, N)
        Targets, as for `mlpx.Network.backward`.
    sample_weight : array of shape (N,) or (S, N), optional
        Weight of each sample in the mean.
    step : float
        The step of a parameter t is ``step * max(1, |t|)``.
    sample : int, optional
        The most entries of each block, drawn at random; None for all.
    seed : int
        Of the entries that are drawn and of the random direction.
    tolerance : float
        The largest relative error that passes.
    training : bool
        Whether dropout acts, on both sides with the draws of the next training step.

    Returns
    -------
    GradientReport
        True where all agrees; ``print`` shows the table, and ``assert_passed()`` is for tests.

    Raises
    ------
    ValueError, TypeError
        For what is no network, for one with an activation without a derivative, and as `mlpx.Network.backward`.

    Notes
    -----
    The derivative along one random direction over all parameters is always checked too, so that a sample misses
    nothing large. The relative error of an entry is ``|a - d| / max(|a|, |d|, floor)``, with the exact value a and the
    difference d. The floor is where rounding alone would reach the tolerance: ``16 eps s / (step * tolerance)``, s
    being the larger of the loss and of the largest difference.

    A kink (of relu, of the absolute error) within the step makes a right gradient look wrong. An entry that disagrees
    is looked at again with shorter steps; it passes as a kink where the disagreement goes with them. Where the
    parameters lie on a kink, as with biases of zero and a row of zeros, the gradient next door decides: every parameter
    is moved by 1e-4 of its size, at random. A derivative that is wrong where the function is smooth disagrees there as
    much as before, so neither hides it. Which one-sided derivative a formula takes on a kink itself is not checked.

    Examples
    --------
    >>> import mlpx
    >>> from mlpx.differentiation import check_gradients
    >>> net = mlpx.MLP([2, 3, 1], activation="tanh", output="sigmoid")
    >>> report = check_gradients(net, [[0.0, 1.0], [1.0, 1.0]], [1, 0])
    >>> report.passed
    True
    >>> [(block.name, block.checked) for block in report.blocks]
    [('0.Dense.theta', 9), ('1.Dense.theta', 4), ('random direction', 1)]
    """
    step = check_number("step", step, above=0, most=0.1)
    tolerance = check_number("tolerance", tolerance, above=0, below=1)
    risk = _Risk(net, X, y, sample_weight, check_flag("training", training))
    count = None if sample is None else check_count("sample", sample)
    key = Key(check_count("seed", seed, least=0))
    segments = net.architecture.segments
    chosen = [_choose(risk.present[s.start : s.stop], count, Stream(key, "split", i)) for i, s in enumerate(segments)]
    entries = xp.concat([s.start + own for s, own in zip(segments, chosen, strict=True)])
    compared = compare(risk.entries(entries), step, tolerance)
    blocks, start = [], 0
    for segment, own in zip(segments, chosen, strict=True):
        part = Compared(*(values[start : start + own.shape[0]] for values in compared))
        places = [tuple(int(i) for i in place) for place in zip(*_unravel(own, segment.shape), strict=True)]
        blocks.append(_summary(_label(net, segment), segment.shape, places, part))
        start += own.shape[0]
    along = compare(risk.direction(Stream(key, "weights").normal(risk.vector.shape)), step, tolerance)
    return GradientReport((*blocks, _summary("random direction", (), [()], along)), tolerance)


class _Risk:
    """The risk of a network as a function of its parameters, in float64."""

    def __init__(self, net: Any, X: Any, y: Any, sample_weight: Any, training: bool) -> None:
        self.net = in_double(check_network(net), to_numpy(net.vector))
        self.net._require_derivatives()
        self.training = training
        ops = self.net.backend
        with ops.context():
            self.x = ops.copy(self.net._features(X))
            self.draws = self.net._draws(self.x) if training else None
            self.y, self.weight = self.net._wanted(self.x, y, sample_weight)
        self.vector = to_numpy(self.net.vector)
        connections = self.net.architecture.connections()
        self.present = xp.ones(self.vector.shape[-1]) if connections is None else connections
        self.middle, self.gradient = self._risk_and_gradient()

    def _forward(self, vector: Array) -> tuple[Array, tuple[Any, ...]]:
        architecture, ops = self.net.architecture, self.net.backend
        self.net._set_vector(vector)
        net_input, saved = architecture.forward(ops, self.net.vector, self.x, training=self.training, draws=self.draws)
        return net_input, saved

    def _risk_and_gradient(self) -> tuple[Array, Array]:
        ops = self.net.backend
        with ops.context():
            z, saved = self._forward(self.vector)
            loss, _, delta = self.net._risk(z, self.y, self.weight)
            by_layer = self.net.architecture.backward(ops, self.net.vector, saved, delta)
            return to_numpy(loss), to_numpy(self.net._gradient(by_layer))

    def __call__(self, vector: Array) -> Array:
        with self.net.backend.context():
            return to_numpy(self.net._risk(self._forward(vector)[0], self.y, self.weight)[0])

    def moved(self) -> _Risk:
        """Return the risk next door: every parameter is moved a little, each by a number of its own."""
        other = copy.copy(self)
        shift = 2 * Stream(Key(0), "weights", 1).uniform(self.vector.shape) - 1
        other.vector = self.vector + NEARBY * xp.maximum(1.0, xp.abs(self.vector)) * shift * self.present
        other.middle, other.gradient = other._risk_and_gradient()
        return other

    def entries(self, entries: Array) -> Point:
        """Return the derivatives by some parameters, of shape (entries, ...)."""

        def ends(step: float) -> tuple[Array, Array, Array]:
            found = [self._entry_ends(int(entry), step) for entry in entries]
            up, down, width = (xp.stack(values) for values in zip(*found, strict=True))
            return up, down, width

        exact = xp.moveaxis(xp.take(self.gradient, entries, axis=-1), -1, 0)
        return self._point(exact, ends, lambda: self.moved().entries(entries))

    def _entry_ends(self, entry: int, step: float) -> tuple[Array, Array, Array]:
        above, below = self.vector.copy(), self.vector.copy()
        h = step * xp.maximum(1.0, xp.abs(self.vector[..., entry]))
        above[..., entry] += h
        below[..., entry] -= h
        return self(above), self(below), above[..., entry] - below[..., entry]  # as rounded

    def direction(self, direction: Array) -> Point:
        """Return the derivative along a direction, which is made one of length 1, of shape (1, ...)."""
        direction = direction * self.present
        unit = direction / xp.sqrt(xp.sum(direction * direction, axis=-1, keepdims=True))

        def ends(step: float) -> tuple[Array, Array, Array]:
            up, down = self(self.vector + step * unit), self(self.vector - step * unit)
            return up[None], down[None], xp.asarray(2 * step)

        exact = xp.sum(self.gradient * unit, axis=-1)[None]
        return self._point(exact, ends, lambda: self.moved().direction(direction))

    def _point(self, exact: Array, ends: Any, moved: Any) -> Point:
        scale = xp.maximum(xp.abs(self.middle), xp.max(xp.abs(exact), axis=0))
        return Point(exact, self.middle, ends, scale, moved)


def _choose(present: Array, count: int | None, stream: Stream) -> Array:
    """Return the numbers of the entries of a block to look at, in order; those that a mask left out are none."""
    (entries,) = xp.nonzero(present)
    if count is None or count >= entries.shape[0]:
        return entries
    return xp.sort(xp.take(entries, xp.argsort(stream.uniform(entries.shape))[:count]))


def _unravel(entries: Array, shape: Sequence[int]) -> list[Array]:
    """Return the index of each entry, an array for each axis."""
    strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    return [entries // stride % size for stride, size in zip(strides, shape, strict=True)]


def _label(net: Any, segment: Any) -> str:
    path, _, parameter = segment.name.rpartition(".")
    return f"{path}.{net.architecture.nodes[path].name}.{parameter}"


def _summary(name: str, shape: tuple[int, ...], places: Sequence[tuple[int, ...]], part: Compared) -> BlockCheck:
    """Return the check of a block from its entries, of shape (entries, ...)."""
    order = xp.where(part.kink, -1.0, xp.where(xp.isnan(part.error), math.inf, part.error))
    flat = int(xp.argmax(order))
    members = math.prod(part.exact.shape[1:])
    member = (flat % members,) if part.exact.ndim > 1 else ()
    values = (float(xp.reshape(array, (-1,))[flat]) for array in part[:3])
    worst = Entry((*member, *places[flat // members]), *values)
    kinks, failed = int(xp.sum(part.kink)), int(xp.sum(~part.passed))
    return BlockCheck(name, shape, math.prod(part.exact.shape), kinks, failed, worst)


def check_derivative(
    activation: Any, points: Any = None, *, step: float = STEP, tolerance: float = TOLERANCE
) -> GradientReport:
    """Compare the derivative of an activation with central differences, in float64 on NumPy.

    Parameters
    ----------
    activation : str or Activation
        An element-wise activation, by name or as an object.
    points : array of shape (...), optional
        Where to look; by default 201 points from -8 to 8, none of them a whole number.
    step, tolerance : float
        As for `check_gradients`.

    Returns
    -------
    GradientReport
        With one block.

    Raises
    ------
    ValueError, TypeError
        For an unknown name, a function without a derivative, or a `step` or `tolerance` out of its range.

    Examples
    --------
    >>> import mlpx
    >>> from mlpx.differentiation import check_derivative
    >>> bool(check_derivative("gelu"))
    True
    >>> wrong = mlpx.activations.custom(lambda z, xp: z * z, lambda z, xp: 3 * z)
    >>> print(check_derivative(wrong, [1.0, 2.0]).blocks[0].worst)
    at [0]: exact 3, differences 2
    """
    step = check_number("step", step, above=0, most=0.1)
    tolerance = check_number("tolerance", tolerance, above=0, below=1)
    chosen = activations.get(activation)
    z = xp.linspace(-8.0, 8.0, 201) + 0.0123 if points is None else to_numpy(points)
    z = xp.reshape(xp.astype(z, xp.float64), (-1,))
    part = compare(_element_wise(chosen, z), step, tolerance)
    places = [(i,) for i in range(z.shape[0])]
    return GradientReport((_summary(chosen.name, (z.shape[0],), places, part),), tolerance)


def _element_wise(activation: activations.Activation, z: Array) -> Point:
    value = activation(z, xp)
    exact = activation.backward(xp.ones_like(z), z, value, xp)

    def ends(step: float) -> tuple[Array, Array, Array]:
        h = step * xp.maximum(1.0, xp.abs(z))
        return activation(z + h, xp), activation(z - h, xp), (z + h) - (z - h)

    # within most formulas stand numbers of the size of 1 and of z
    scale = xp.maximum(xp.maximum(xp.abs(value), xp.abs(exact)), xp.maximum(1.0, xp.abs(z)))
    shift = NEARBY * xp.maximum(1.0, xp.abs(z))
    return Point(exact, value, ends, scale, lambda: _element_wise(activation, z + shift))
