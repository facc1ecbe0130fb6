"""Forward mode: dual numbers, which carry a derivative beside the value through a function, in one pass.

A dual number stands for ``a + a' e`` with ``e² = 0``. Each operation computes its value and, by the rules of
`mlpx.differentiation.rules`, the derivative of it: ``f(a + a' e) = f(a) + f'(a) a' e``.

From the first kink on, changes to the left and to the right are followed side by side. Where both agree in the end the
kinks have cancelled. Where they do not, the derivative is that from the left, as the package's own activations have it
(0 for ReLU at 0), or 0 where they have opposite signs, as for ``abs`` at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mlpx._typing import Array, Formula, Namespace
from mlpx.differentiation.calling import called, check_function
from mlpx.differentiation.edge import arrays_of, context_of
from mlpx.differentiation.operations import filled
from mlpx.differentiation.tracing import Level, Operation, Tracer

__all__ = ["Dual", "Forward", "derivative", "directional_derivative", "value_and_derivative"]


class Dual(Tracer):
    """A value and its change.

    Attributes
    ----------
    value : array
        The value.
    left, right : array or float
        Its derivatives from both sides, one object where no kink has been met; a Python number stands for an array
        full of it.
    """

    def __init__(self, value: Array, left: Any, right: Any, level: Forward) -> None:
        super().__init__(value, level)
        self.left = left
        self.right = right


class Forward(Level):
    """One run of forward mode."""

    def dual(self, value: Array, change: Any) -> Dual:
        """Return an argument with its change."""
        return Dual(value, change, change, self)

    def record(self, operation: Operation, inputs: tuple[Any, ...]) -> Dual:
        """Return value and changes of an operation."""
        values = [self.below(x) for x in inputs]
        y = operation.value(self.xp, *values)

        def pushed(side: int) -> Any:
            changes = [(x.left if side < 0 else x.right) if self.owns(x) else None for x in inputs]
            return operation.push(self.xp, values, y, changes, side)

        left = pushed(-1)
        smooth = not operation.has_kink and all(x.left is x.right for x in inputs if self.owns(x))
        return Dual(y, left, left if smooth else pushed(1), self)

    def change(self, y: Any, value: Array) -> Array:
        """Return the derivative of a result as an array; 0 where it does not depend on what was changed."""
        if not self.owns(y):
            return self.xp.zeros_like(value)
        left = filled(y.left, value, self.xp)
        if y.left is y.right:
            return left
        opposite = left * filled(y.right, value, self.xp) < 0
        return self.xp.where(opposite, self.xp.zeros_like(left), left)


def value_and_derivative(function: Formula) -> Callable[..., tuple[Array, Array]]:
    """Return a function that gives the value and the derivative of an element-wise function in one pass.

    Parameters
    ----------
    function : callable
        ``function(z, xp)`` returns ``f(z)``, element by element, written in functions of the standard.

    Returns
    -------
    callable
        ``both(z, xp=None)`` returns two arrays of the shape of `z`; the namespace is found by the array where it is
        not given.

    Raises
    ------
    TypeError
        By the returned function: where `function` leaves the functions of the standard, or the given array is none.
    ValueError
        By the returned function: where `function` changes the shape.

    Examples
    --------
    >>> import numpy as np
    >>> value, slope = value_and_derivative(lambda z, xp: z * xp.exp(z))(np.asarray([0.0, 1.0]))
    >>> slope.round(4)
    array([1.    , 5.4366])
    """
    check_function(function, "(z, xp)")

    def both(z: Array, xp: Namespace | None = None) -> tuple[Array, Array]:
        [z], xp = arrays_of([z], xp)
        with context_of([z]):
            level = Forward(xp)
            y = called(function, "(z, xp)", [level.dual(z, 1.0)], level.xp)
            value = level.below(y)
            _check_shape(value, z)
            value = filled(value, z, level.xp)
            return value, level.change(y, value)

    return both


def derivative(function: Formula) -> Callable[..., Array]:
    """Return the derivative of an element-wise function, by forward mode.

    Parameters
    ----------
    function : callable
        ``function(z, xp)`` returns ``f(z)``, element by element, written in functions of the standard.

    Returns
    -------
    callable
        ``slope(z, xp=None)`` returns ``f'(z)``. It is such a function itself: ``derivative(derivative(f))`` is the
        second derivative.

    Raises
    ------
    TypeError, ValueError
        As for `value_and_derivative`.

    Examples
    --------
    >>> import numpy as np
    >>> cube = lambda z, xp: z ** 3
    >>> derivative(cube)(np.asarray([1.0, 2.0]))
    array([ 3., 12.])
    >>> derivative(derivative(cube))(np.asarray([1.0, 2.0]))
    array([ 6., 12.])
    """
    both = value_and_derivative(function)

    def slope(z: Array, xp: Namespace | None = None) -> Array:
        return both(z, xp)[1]

    return slope


def directional_derivative(function: Formula) -> Callable[..., tuple[Any, Any]]:
    """Return a function that gives value and derivative of any function of arrays along a direction.

    Parameters
    ----------
    function : callable
        ``function(*arrays, xp)`` returns an array or a tuple of arrays.

    Returns
    -------
    callable
        ``along(arrays, directions, xp=None)``, with two sequences of arrays of equal shapes, returns the value and its
        derivative ``d/dt f(x + t v)`` at ``t = 0``: the product of the Jacobian with the direction.

    Raises
    ------
    TypeError, ValueError
        By ``along``: where `function` leaves the functions that have a rule, or a direction has another shape than its
        array.

    Examples
    --------
    >>> import numpy as np
    >>> x, v = np.asarray([3.0, 4.0]), np.asarray([1.0, 0.0])
    >>> value, slope = directional_derivative(lambda x, xp: xp.sqrt(xp.sum(x * x)))([x], [v])
    >>> float(value), round(float(slope), 12)
    (5.0, 0.6)
    """
    check_function(function, "(*arrays, xp)")

    def along(arrays: Sequence[Array], directions: Sequence[Array], xp: Namespace | None = None) -> tuple[Any, Any]:
        _check_lists(arrays, directions)
        found, xp = arrays_of([*arrays, *directions], xp)
        values, changes = found[: len(arrays)], found[len(arrays) :]
        for value, change in zip(values, changes, strict=True):
            if tuple(value.shape) != tuple(change.shape):
                msg = (
                    f"`directions` must have the shapes of `arrays`: {tuple(change.shape)} is not {tuple(value.shape)}."
                )
                raise ValueError(msg)
        with context_of(found):
            level = Forward(xp)
            y = called(function, "(*arrays, xp)", [*map(level.dual, values, changes)], level.xp)
            if not isinstance(y, (tuple, list)):
                value = level.below(y)
                return value, level.change(y, value)
            pairs = [(level.below(part), level.change(part, level.below(part))) for part in y]
            return tuple(v for v, _ in pairs), tuple(c for _, c in pairs)

    return along


def _check_lists(arrays: Any, directions: Any) -> None:
    for name, given in (("arrays", arrays), ("directions", directions)):
        if not isinstance(given, (list, tuple)):
            msg = f"`{name}` must be a list with one array for each argument, such as [x]; got {type(given).__name__}."
            raise TypeError(msg)
    if len(arrays) != len(directions):
        msg = f"`directions` must hold one array for each of `arrays`: {len(directions)} are not {len(arrays)}."
        raise ValueError(msg)


def _check_shape(value: Any, z: Array) -> None:
    shape = () if isinstance(value, (int, float)) else getattr(value, "shape", None)
    if shape is None:
        msg = f"`function` must return an array of the shape of its argument, got {type(value).__name__}."
        raise TypeError(msg)
    if tuple(shape) not in ((), tuple(z.shape)):
        msg = (
            f"`function` must work element by element: an argument of shape {tuple(z.shape)} gave {tuple(shape)}. "
            "For other functions take `gradient`."
        )
        raise ValueError(msg)
