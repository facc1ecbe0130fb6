"""Reverse mode: a tape of the operations, along which the derivative of one number goes back to all arguments.

Forward the function runs as it stands, and each result remembers the operation and the inputs that it came from. Back
from the result, each operation hands the derivative by its result on to its inputs, and what arrives there by several
ways adds up: back-propagation, for any function.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mlpx._typing import Array, Formula, Namespace
from mlpx.differentiation.calling import called, check_function
from mlpx.differentiation.edge import arrays_of, context_of, split
from mlpx.differentiation.forward import directional_derivative
from mlpx.differentiation.tracing import Level, Operation, Tracer, constant

__all__ = ["Reverse", "Taped", "check_scalar", "gradient", "hessian_product", "value_and_gradient"]


class Taped(Tracer):
    """A value, and how it was made.

    Attributes
    ----------
    operation : Operation or None
        What made it; None for an argument.
    inputs : tuple
        What the operation was applied to: taped arrays, others and numbers.
    position : int
        Its place on the tape.
    """

    def __init__(
        self, value: Array, level: Reverse, operation: Operation | None = None, inputs: tuple[Any, ...] = ()
    ) -> None:
        super().__init__(value, level)
        self.operation = operation
        self.inputs = inputs
        self.position = next(level.positions)


class Reverse(Level):
    """One run of reverse mode."""

    def __init__(self, xp: Namespace) -> None:
        super().__init__(xp)
        self.positions = itertools.count()

    def record(self, operation: Operation, inputs: tuple[Any, ...]) -> Taped:
        """Return the result with a note of how it was made."""
        return Taped(operation.value(self.xp, *(self.below(x) for x in inputs)), self, operation, inputs)

    def tape(self, result: Any) -> list[Taped]:
        """Return what a result was made from, the result first and each before its inputs."""
        found: dict[int, Taped] = {}
        waiting = [result] if self.owns(result) else []
        while waiting:
            node = waiting.pop()
            if node.position not in found:
                found[node.position] = node
                waiting.extend(x for x in node.inputs if self.owns(x))
        return [found[position] for position in sorted(found, reverse=True)]

    def derivatives(self, result: Any, seed: Array) -> dict[int, Array]:
        """Return the derivative by every array on the tape, by its position, from that by the result."""
        found = {result.position: seed} if self.owns(result) else {}
        for node in self.tape(result):
            dy = found.get(node.position)
            if dy is None:
                continue
            for parent, d in self._pulled(node, dy):
                known = found.get(parent.position)
                found[parent.position] = d if known is None else self.xp.add(known, d)
        return found

    def _pulled(self, node: Taped, dy: Array) -> Iterator[tuple[Taped, Array]]:
        """Yield the inputs of an array and what its derivative adds to theirs."""
        if node.operation is None:
            return
        values = [self.below(x) for x in node.inputs]
        for i, x in enumerate(node.inputs):
            if self.owns(x):
                yield x, node.operation.pull(self.xp, values, node.value, dy, i)


def value_and_gradient(function: Formula, wrt: int | Sequence[int] | None = None) -> Callable[..., tuple[Array, Any]]:
    """Return a function that gives the value and the gradient of a scalar function of arrays.

    Parameters
    ----------
    function : callable
        ``function(*arrays, xp)`` returns one number, an array of shape ``()``, written in functions of the standard.
    wrt : int or sequence of int, optional
        Positions of the arguments to differentiate by; by default all of floating type.

    Returns
    -------
    callable
        ``both(*arrays, xp=None)`` returns the value and the gradient: an array of the argument's shape, or a tuple of
        these where there are several arguments or `wrt` is a sequence. The namespace may also stand behind the
        arrays; where it is not given, the arrays tell it.

    Raises
    ------
    TypeError
        By the returned function: where `function` leaves the functions that have a rule, or an argument to
        differentiate by is no array of floating type.
    ValueError
        By the returned function: where the result is not one number, or `wrt` names no argument.

    Examples
    --------
    >>> import numpy as np
    >>> value, slope = value_and_gradient(lambda w, xp: xp.sum(w * w))(np.asarray([1.0, 3.0]))
    >>> float(value), slope
    (10.0, array([2., 6.]))
    """
    check_function(function, "(*arrays, xp)")
    positions = _positions(wrt)

    def both(*arguments: Any, xp: Namespace | None = None) -> tuple[Array, Any]:
        arrays, xp = arrays_of(*split(arguments, xp))
        with context_of(arrays):
            level = Reverse(xp)
            chosen = _chosen(arrays, positions, level.xp)
            inputs = [Taped(x, level) if i in chosen else constant(x, level.xp) for i, x in enumerate(arrays)]
            result = called(function, "(*arrays, xp)", inputs, level.xp)
            value = level.below(result)
            check_scalar(value)
            found = level.derivatives(result, level.xp.ones_like(value)) if level.owns(result) else {}
            slopes = tuple(_slope(found, inputs[i], level) for i in chosen)
        single = len(arrays) == 1 if wrt is None else hasattr(wrt, "__index__")
        return value, slopes[0] if single else slopes

    return both


def gradient(function: Formula, wrt: int | Sequence[int] | None = None) -> Callable[..., Any]:
    """Return the gradient of a scalar function of arrays, by reverse mode.

    Parameters
    ----------
    function, wrt
        As for `value_and_gradient`.

    Returns
    -------
    callable
        ``slope(*arrays, xp=None)`` returns the gradient: an array of the argument's shape, or a tuple of these.

    Raises
    ------
    TypeError, ValueError
        As for `value_and_gradient`.

    Examples
    --------
    >>> import numpy as np
    >>> def error(w, x, y, xp):
    ...     r = xp.matmul(x, w) - y
    ...     return xp.sum(r * r) / 2
    >>> x, y = np.asarray([[1.0, 2.0], [0.0, 1.0]]), np.asarray([1.0, 1.0])
    >>> gradient(error, wrt=0)(np.zeros(2), x, y)
    array([-1., -3.])
    """
    both = value_and_gradient(function, wrt)

    def slope(*arguments: Any, xp: Namespace | None = None) -> Any:
        return both(*arguments, xp=xp)[1]

    return slope


def hessian_product(function: Formula) -> Callable[..., Any]:
    """Return a function that gives the Hessian of a scalar function times a direction, without the Hessian itself.

    It is the change of the gradient along the direction: the tape, run on dual numbers.

    Parameters
    ----------
    function : callable
        ``function(*arrays, xp)`` returns one number.

    Returns
    -------
    callable
        ``product(arrays, directions, xp=None)``, with two sequences of arrays of equal shapes, returns the product: an
        array, or a tuple of arrays where there are several arguments.

    Examples
    --------
    >>> import numpy as np
    >>> x, v = np.asarray([1.0, 2.0]), np.asarray([1.0, 0.0])
    >>> hessian_product(lambda x, xp: xp.prod(x) + xp.sum(x ** 3))([x], [v])
    array([6., 1.])
    """
    along = directional_derivative(gradient(function))

    def product(arrays: Sequence[Array], directions: Sequence[Array], xp: Namespace | None = None) -> Any:
        return along(arrays, directions, xp)[1]

    return product


def _positions(wrt: Any) -> tuple[int, ...] | None:
    """Return the positions that `wrt` names; None for all."""
    if wrt is None:
        return None
    try:
        if isinstance(wrt, (str, bytes)):
            raise TypeError
        return tuple(operator.index(i) for i in ([wrt] if hasattr(wrt, "__index__") else wrt))
    except TypeError as error:
        msg = f"`wrt` must be a position of an argument, such as 0, or a list such as [0, 1]; got {wrt!r}."
        raise TypeError(msg) from error


def _chosen(arrays: Sequence[Array], wrt: tuple[int, ...] | None, xp: Namespace) -> tuple[int, ...]:
    """Return the positions of the arguments to differentiate by."""
    floating = [xp.isdtype(x.dtype, "real floating") for x in arrays]
    chosen = tuple(i for i, is_floating in enumerate(floating) if is_floating) if wrt is None else wrt
    for i in chosen:
        if not 0 <= i < len(arrays):
            msg = f"`wrt` must name positions of the {len(arrays)} arguments, counted from 0; got {i}."
            raise ValueError(msg)
    if not chosen or not all(floating[i] for i in chosen):
        types = ", ".join(str(x.dtype) for x in arrays)
        msg = f"A gradient needs arguments of floating type; they are of {types or 'none'}."
        raise TypeError(msg)
    return chosen


def _slope(found: dict[int, Array], x: Taped, level: Reverse) -> Array:
    d = found.get(x.position)
    return level.xp.zeros_like(x.value) if d is None else d


def check_scalar(value: Any) -> None:
    """Refuse a result that is not one number."""
    shape = getattr(value, "shape", None)
    if shape is None and not isinstance(value, (int, float)):
        msg = f"`function` must return one number, an array of shape (), got {type(value).__name__}."
        raise TypeError(msg)
    if shape:
        msg = f"`function` must return one number, got an array of shape {tuple(shape)}; add it up with xp.sum."
        raise ValueError(msg)
