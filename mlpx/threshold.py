"""Threshold units: the neuron of McCulloch and Pitts, the logic that it can do, and the proof of what it cannot.

A unit puts out 1 where ``x w + b >= 0``, else 0. `conjunction` (AND), `disjunction` (OR) and `negation` (NOT) are
such units, as networks with the output ``"step"``; `exclusive_or` (XOR) needs two layers. `represent` searches all
weights that can matter, so that finding none is a proof. A unit learns by the rule of `mlpx.losses.perceptron`.

A truth table lists the values for the rows of `rows`: the inputs count up in binary, the last one changes fastest.

Why the search is exact: write the inputs ``v_i`` with entries ±1, and let ``s_i = ±1`` be the sign that the net
input should have. Where some weights and bias give all signs, some give ``s_i (v_i w + b) >= 1`` for all i, and the set
of these has a corner, in which ``n + 1`` of the inequalities are equations. By Cramer's rule each coordinate of the
corner is a quotient of determinants of order ``n + 1`` with entries ±1, all with the same denominator. Such a
determinant is a multiple of ``2^n``, and by Hadamard at most ``(n + 1)^((n + 1) / 2)`` in size. So the corner times its
denominator over ``2^n`` is whole, of size at most ``(n + 1)^((n + 1) / 2) / 2^n``, and it gives all signs as well. With
inputs 0 and 1 in place of ±1 the same weights do, with another bias.

>>> from mlpx import threshold
>>> threshold.represent([0, 0, 0, 1]).predict_labels(threshold.rows(2))  # AND
array([0, 0, 0, 1])
>>> threshold.represent([0, 1, 1, 0]) is None  # XOR
True
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mlpx._checks import check_count
from mlpx._typing import Array
from mlpx.backends import to_numpy
from mlpx.backends.host import xp as hxp
from mlpx.layers import Dense
from mlpx.model import Network

__all__ = [
    "conjunction",
    "count",
    "disjunction",
    "exclusive_or",
    "largest_weight",
    "negation",
    "represent",
    "rows",
    "unit",
]

MOST_INPUTS = 5
"""Inputs of a search: one more, and the weights to try are 24 million."""


def unit(weights: Sequence[float], bias: float) -> Network:
    """Return one threshold unit, ``step(x w + b)``, after [1]_.

    Parameters
    ----------
    weights : sequence of float
        One for each input.
    bias : float
        Minus the threshold that the weighted sum must reach.

    Returns
    -------
    Network
        With one step unit, on the present backend. It may be trained like any other.

    References
    ----------
    .. [1] W. S. McCulloch and W. Pitts, "A logical calculus of the ideas immanent in nervous activity", Bulletin of
       Mathematical Biophysics 5, 1943.

    Examples
    --------
    >>> majority = unit([1, 1, 1], -2)
    >>> majority.predict_labels([[1, 0, 1], [1, 0, 0]])
    array([1, 0])
    """
    net = Network([Dense(len(weights), 1, "step")])
    net.set_weights([[[w] for w in weights]], [[bias]])
    return net


def conjunction(n: int = 2) -> Network:
    """Return AND: 1 where all `n` inputs are 1.

    Parameters
    ----------
    n : int
        Number of inputs.

    Returns
    -------
    Network
        One unit with the weights 1 and the threshold halfway between n - 1 and n.

    Raises
    ------
    ValueError
        Where `n` is below 1.
    TypeError
        Where it is no whole number.

    Examples
    --------
    >>> conjunction().predict_labels(rows(2))
    array([0, 0, 0, 1])
    """
    return unit([1] * check_count("n", n), 0.5 - n)


def disjunction(n: int = 2) -> Network:
    """Return OR: 1 where any of `n` inputs is 1.

    Parameters
    ----------
    n : int
        Number of inputs.

    Returns
    -------
    Network
        One unit with the weights 1 and the threshold 1/2.

    Raises
    ------
    ValueError
        Where `n` is below 1.
    TypeError
        Where it is no whole number.

    Examples
    --------
    >>> disjunction().predict_labels(rows(2))
    array([0, 1, 1, 1])
    """
    return unit([1] * check_count("n", n), -0.5)


def negation() -> Network:
    """Return NOT: 1 where the one input is 0.

    Returns
    -------
    Network
        One unit with the weight -1 and the threshold -1/2.

    Examples
    --------
    >>> negation().predict_labels(rows(1))
    array([1, 0])
    """
    return unit([-1], 0.5)


def exclusive_or() -> Network:
    """Return XOR of two inputs: (x1 OR x2) AND NOT (x1 AND x2), in two layers.

    No single unit can. It would need ``b < 0`` for the input (0, 0), ``w1 + b >= 0`` for (1, 0), ``w2 + b >= 0`` for
    (0, 1) and ``w1 + w2 + b < 0`` for (1, 1). The two in the middle add up to ``w1 + w2 + 2 b >= 0``, the other two to
    ``w1 + w2 + 2 b < 0``.

    Returns
    -------
    Network
        Two hidden units, OR and AND, and the output unit.

    Examples
    --------
    >>> net = exclusive_or()
    >>> net.predict_labels(rows(2))
    array([0, 1, 1, 0])
    >>> net.forward(rows(2)).a[1]  # OR and AND of each row
    array([[0., 0.],
           [1., 0.],
           [1., 0.],
           [1., 1.]], dtype=float32)
    """
    net = Network([Dense(2, 2, "step"), Dense(2, 1, "step")])
    net.set_weights([[[1, 1], [1, 1]], [[1], [-1]]], [[-0.5, -1.5], [-0.5]])
    return net


def rows(n: int) -> Array:
    """Return all inputs of a Boolean function, in the order of a truth table.

    Parameters
    ----------
    n : int
        Number of inputs.

    Returns
    -------
    array of shape (2**n, n)
        Integers 0 and 1, of NumPy.

    Raises
    ------
    ValueError
        Where `n` is below 1.
    TypeError
        Where it is no whole number.

    Examples
    --------
    >>> rows(2)
    array([[0, 0],
           [0, 1],
           [1, 0],
           [1, 1]])
    """
    shifts = hxp.arange(check_count("n", n) - 1, -1, -1)
    return (hxp.arange(2**n)[:, None] >> shifts) & 1


def largest_weight(n: int) -> int:
    """Return the size that whole weights need at most, ``(n + 1)^((n + 1) / 2) / 2^n`` rounded down [1]_.

    Parameters
    ----------
    n : int
        Number of inputs.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        Where `n` is below 1.
    TypeError
        Where it is no whole number.

    References
    ----------
    .. [1] S. Muroga, I. Toda and S. Takasu, "Theory of majority decision elements", Journal of the Franklin Institute
       271, 1961.

    Examples
    --------
    >>> [largest_weight(n) for n in (1, 2, 3, 4, 5)]
    [1, 1, 2, 3, 6]
    """
    size: int = math.isqrt((check_count("n", n) + 1) ** (n + 1)) // 2**n
    return size


def represent(truth_table: Sequence[Any]) -> Network | None:
    """Return a threshold unit that computes a Boolean function, or None, which proves that there is none.

    All whole weights up to `largest_weight` are tried. For each there is a threshold where the least weighted sum among
    the rows of value 1 is above the greatest among the rows of value 0.

    Parameters
    ----------
    truth_table : sequence of 2**n numbers 0 and 1, or booleans
        The value for each of the `rows`; n is from 1 to 5.

    Returns
    -------
    Network or None
        One unit of least total weight, with its threshold halfway between the two sums.

    Raises
    ------
    ValueError
        For another length, or values other than 0 and 1.

    Examples
    --------
    >>> implies = represent([1, 1, 0, 1])
    >>> implies.weights[0][:, 0], implies.biases[0]
    (array([-1.,  1.], dtype=float32), array([0.5], dtype=float32))
    """
    table, n = _check_table(truth_table)
    weights, sums = _weighted_sums(n)
    # beyond every sum where there is no row of the value
    least = hxp.min(hxp.where(table, sums, hxp.max(sums) + 1), axis=-1)
    greatest = hxp.max(hxp.where(table, hxp.min(sums) - 1, sums), axis=-1)
    size = hxp.where(least > greatest, hxp.sum(hxp.abs(weights), axis=-1), hxp.iinfo(weights.dtype).max)
    best = int(hxp.argmin(size))
    if least[best] <= greatest[best]:
        return None
    if hxp.all(table == table[0]):  # no input matters
        return unit([0] * n, 0.5 if table[0] else -0.5)
    return unit([int(w) for w in weights[best, :]], -(int(least[best]) + int(greatest[best])) / 2)


def count(n: int) -> int:
    """Return how many Boolean functions of `n` inputs a single threshold unit can represent.

    Parameters
    ----------
    n : int
        From 1 to 5.

    Returns
    -------
    int
        Of the ``2^(2^n)`` functions those that come up among all weights up to `largest_weight` and all thresholds.

    Raises
    ------
    ValueError
        Where `n` is below 1 or above 5.
    TypeError
        Where it is no whole number.

    Examples
    --------
    >>> count(2)  # of 16: all but XOR and its negation
    14
    """
    _check_inputs("n", check_count("n", n))
    _, sums = _weighted_sums(n)
    places = 2.0 ** hxp.arange(2**n)  # a table is one number, exact in float64
    found = hxp.asarray([0.0])
    for least in range(int(hxp.min(sums)), int(hxp.max(sums)) + 1):
        tables = hxp.unique_values(hxp.astype(sums >= least, hxp.float64) @ places)
        found = hxp.unique_values(hxp.concat([found, tables]))
    return int(found.shape[0])


def _weighted_sums(n: int) -> tuple[Array, Array]:
    """Return all weights that can matter, shape (T, n), and their sums for all rows, shape (T, 2**n)."""
    size = hxp.arange(-largest_weight(n), largest_weight(n) + 1, dtype=hxp.int16)
    grid = hxp.meshgrid(*[size] * n, indexing="ij")
    weights = hxp.stack([hxp.reshape(axis, (-1,)) for axis in grid], axis=-1)
    return weights, weights @ hxp.astype(rows(n).T, hxp.int16)


def _check_table(truth_table: Sequence[Any]) -> tuple[Array, int]:
    table = to_numpy(truth_table)
    length = table.shape[0] if table.ndim == 1 else 0
    n = length.bit_length() - 1
    if n < 1 or length != 2**n:
        msg = f"`truth_table` must list 2**n values, one for each of `rows(n)`, got the shape {tuple(table.shape)}."
        raise ValueError(msg)
    _check_inputs("truth_table", n)
    if table.dtype.kind not in "biuf" or not hxp.all((table == 0) | (table == 1)):
        msg = f"`truth_table` must hold nothing but 0 and 1, or booleans, got {table[:8].tolist()}."
        raise ValueError(msg)
    return table == 1, n


def _check_inputs(name: str, n: int) -> None:
    if n > MOST_INPUTS:
        msg = f"`{name}` must mean at most {MOST_INPUTS} inputs, got {n}; beyond, there are too many weights to try."
        raise ValueError(msg)
