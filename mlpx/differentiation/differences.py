"""Central differences beside exact derivatives: what they can tell, and what a kink does to them.

The error of ``(L(t + h) - L(t - h)) / 2h`` has two parts: the truncation ``h² L''' / 6``, and the rounding of both
values, about ``eps |L| / h``. In float64 their sum is least near ``h = eps^(1/3) = 6e-6``, where each is about 1e-11
times the size of L and of its derivatives. Smaller steps lose digits to rounding, and they cross fewer kinks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from mlpx._typing import Array
from mlpx.backends.host import xp

__all__ = ["NEARBY", "STEP", "TOLERANCE", "Compared", "Point", "compare"]

STEP = 6e-6
TOLERANCE = 1e-5
NEARBY = 1e-4
"""How far the point next door lies: hundreds of the shorter steps, so that it is on no kink."""

_EPS = 2.0**-52
_ROUNDINGS = 16  # of a value, in units of its last place: a bound for sums of some thousand terms
_SHORTER = 0.1, 0.01
_LOOSE = 1e-3  # relative error that rounding leaves undecided at the shortest step


@dataclass(frozen=True)
class Point:
    """A point, the derivatives that are to be checked there, and the function around it.

    Attributes
    ----------
    exact : array
        Derivatives to be checked.
    middle : array
        Value at the point itself; broadcasts against `exact`.
    ends : callable
        From a step to the values above and below, and the distance of the two points, which `exact` broadcasts with.
    scale : array
        Size of the numbers whose rounding enters a value.
    moved : callable, optional
        Returns the point next door.
    """

    exact: Array
    middle: Array
    ends: Callable[[float], tuple[Array, Array, Array]]
    scale: Array
    moved: Callable[[], Point] | None = None


class Compared(NamedTuple):
    """Exact derivatives beside differences, entry by entry.

    Attributes
    ----------
    exact, numerical : array
        The derivatives.
    error : array
        Relative error.
    kink : array of bool
        Whether a kink lies within the step, so that shorter steps, or differences next door, decided.
    passed : array of bool
        Whether both agree.
    """

    exact: Array
    numerical: Array
    error: Array
    kink: Array
    passed: Array


def compare(point: Point, step: float, tolerance: float) -> Compared:
    """Compare exact derivatives with central differences.

    Parameters
    ----------
    point : Point
        What is compared.
    step, tolerance : float
        The longest step; the largest relative error that passes.

    Notes
    -----
    The relative error is ``|a - d| / max(|a|, |d|, floor)``, with the floor at which rounding alone makes the error
    equal to the tolerance. An entry that fails is looked at again with a tenth and a hundredth of the step: it passes
    as a kink where the disagreement shrinks to a tenth or less, which none does that comes from a wrong derivative of
    a smooth function. Where even the shortest differences from the left and from the right stay apart, the point lies
    on a kink, and the derivative next door decides.
    """
    exact = point.exact
    up, down, width = point.ends(step)
    numerical = (up - down) / width
    error = _relative(exact, numerical, _rounding(point.scale, step), tolerance)
    passed, kink = error <= tolerance, xp.zeros(exact.shape, dtype=bool)
    for factor in _SHORTER:
        if xp.all(passed):
            return Compared(exact, numerical, error, kink, passed)
        up, down, width = point.ends(step * factor)
        shorter, rounding = (up - down) / width, _rounding(point.scale, step * factor)
        gone = xp.abs(exact - shorter) <= 0.1 * xp.abs(exact - numerical)
        kink = kink | ~passed & gone & (_relative(exact, shorter, rounding, _LOOSE) <= _LOOSE)
        passed = passed | kink
    sides = xp.abs((up - point.middle) - (point.middle - down)) * 2 / width
    on_kink = ~passed & (sides > 8 * rounding)
    if point.moved is not None and xp.any(on_kink):
        kink = kink | on_kink & compare(point.moved(), step * _SHORTER[0], tolerance).passed
    return Compared(exact, numerical, error, kink, passed | kink)


def _rounding(scale: Array, step: float) -> Array:
    """Return a bound on the rounding of a difference."""
    return _ROUNDINGS * _EPS * scale / step


def _relative(exact: Array, numerical: Array, rounding: Array, tolerance: float) -> Array:
    size = xp.maximum(xp.maximum(xp.abs(exact), xp.abs(numerical)), rounding / tolerance)
    return xp.abs(exact - numerical) / xp.where(size > 0, size, 1.0)  # a NaN stays one
