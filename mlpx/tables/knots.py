"""Knots of a column of numbers: where its piecewise-linear inputs begin and end."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: No value weighs more in the choice than this share of a step: one that fills half of the rows leaves knots to others.
MOST_OF_STEP = 0.25


def choose_knots(values: NDArray[np.float64], bins: int) -> tuple[float, ...]:
    """Give ascending numbers from the least to the greatest value, with about equally many rows between them.

    They are the quantiles at equal steps, where a value that comes often counts as a quarter of a step at most. A
    column of one or two different values has none: a line already tells them apart.

    Parameters
    ----------
    values : array of shape (n,)
        The values that are there, all finite.
    bins : int
        Number of steps; 0 for no knots.

    Returns
    -------
    tuple of float
        At most ``bins + 1`` knots, or none.

    Examples
    --------
    >>> import numpy as np
    >>> from mlpx.tables.knots import choose_knots
    >>> choose_knots(np.asarray([0.0, 1.0, 2.0, 10.0, 100.0]), 2)
    (0.0, 2.0, 100.0)
    """
    if bins < 2:
        return ()
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) < 3:
        return ()
    reached = np.cumsum(np.minimum(counts, MOST_OF_STEP * len(values) / bins))
    share = (reached - reached[0]) / (reached[-1] - reached[0])
    knots = np.unique(np.interp(np.linspace(0, 1, bins + 1), share, distinct))
    return tuple(knots.tolist())


def encode_pieces(values: NDArray[np.float64], knots: tuple[float, ...], out: NDArray[Any]) -> None:
    """Write how far each value has come from one knot to the next: 0 before the first, 1 behind the second.

    Parameters
    ----------
    values : array of shape (n,)
        Finite numbers.
    knots : tuple of float
        Ascending.
    out : array of shape (n, len(knots) - 1)
        Where the inputs are written.
    """
    for i, (low, high) in enumerate(pairwise(knots)):
        out[:, i] = np.clip((values - low) / (high - low), 0, 1)
