"""Maxout units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from mlpx._checks import check_count
from mlpx._typing import Array, Namespace
from mlpx.backends import Backend
from mlpx.initializers import Initializer
from mlpx.layers.affine import Affine
from mlpx.layers.base import Parameters

__all__ = ["Maxout", "MaxoutGradients", "MaxoutSaved"]


class MaxoutSaved(NamedTuple):
    """What `Maxout` keeps for its backward pass: input, net inputs of all pieces, and output."""

    x: Array
    z: Array
    y: Array


class MaxoutGradients(NamedTuple):
    """Derivatives of the loss by the parameter block, and by the net inputs (the error terms)."""

    theta: Array
    delta: Array


@dataclass(frozen=True)
class Maxout(Affine):
    """Units that learn their activation: each takes the largest of `pieces` linear functions of the input.

    ``Z_k = X W_k + b_k`` and ``Y = max_k Z_k``, from [1]_. The gradient goes to the piece that won, and to the first
    of those that are equal. The parameters are one block `theta` of shape ``(pieces, fan_in + 1, fan_out)``: of each
    piece the weights, and the bias as the last row.

    Parameters
    ----------
    fan_in, fan_out : int
        Numbers of units before and after.
    pieces : int
        The number K of linear functions a unit.
    bias : bool or "frozen"
        Whether there is a bias; a frozen one keeps its initial value.
    initializer, bias_initializer : str or Initializer
        Initial values of each piece; see `mlpx.initializers`.
    max_norm : float, optional
        Bound on the norm of the weights that come into a unit, for each piece of its own, kept after each update.

    Raises
    ------
    ValueError
        For an argument out of its range.

    References
    ----------
    .. [1] I. Goodfellow, D. Warde-Farley, M. Mirza, A. Courville and Y. Bengio, "Maxout networks", ICML 2013.

    Examples
    --------
    >>> import mlpx
    >>> mlpx.Maxout(64, 10, pieces=3).shapes()
    {'theta': (3, 65, 10)}
    """

    fan_in: int
    fan_out: int
    pieces: int = 2
    bias: bool | Literal["frozen"] = True
    initializer: str | Initializer = "auto"
    bias_initializer: str | Initializer = "zeros"
    max_norm: float | None = None

    _before = "maxout"

    def __post_init__(self) -> None:
        self._check()
        self._store("pieces", check_count("pieces", self.pieces))

    @property
    def label(self) -> str:
        """Units and pieces."""
        return f"{self.fan_out} maxout({self.pieces})"

    def _blocks(self) -> tuple[int, ...]:
        return (self.pieces,)

    def forward(
        self, ops: Backend, params: Parameters, x: Array, *, training: bool, draw: None
    ) -> tuple[Array, MaxoutSaved]:
        """Return ``Y = max_k (X W_k + b_k)``, shape ``(..., N, fan_out)``, and what was saved."""
        W, b = self.split(params["theta"])
        z = ops.net_input(x[..., None, :, :], W, b)
        y = ops.evaluate(_largest, z)
        return y, MaxoutSaved(x, z, y)

    def backward(
        self,
        ops: Backend,
        params: Parameters,
        saved: MaxoutSaved,
        dy: Array,
        *,
        need_dx: bool = True,
        out: dict[str, Array] | None = None,
    ) -> tuple[Array | None, MaxoutGradients]:
        """Return ``sum_k delta_k W_kᵀ`` and the gradients, with ``delta_k = dy`` where piece k won, else 0."""
        W, b = self.split(params["theta"])
        delta = ops.evaluate(_to_winner, dy, saved.z)
        x = saved.x[..., None, :, :]
        theta = ops.weight_gradient(x, delta, bias=b is not None, out=out["theta"] if out else None)
        dx = ops.xp.sum(ops.error_term(delta, W), axis=-3) if need_dx else None
        return dx, MaxoutGradients(theta, delta)


def _largest(z: Array, xp: Namespace) -> Array:
    return xp.max(z, axis=-3)


def _to_winner(dy: Array, z: Array, xp: Namespace) -> Array:
    """Return `dy` at the first piece of the largest net input, 0 at the others, shape (..., K, N, M)."""
    count = z.shape[-3]
    before = [z[..., 0, :, :]]
    for k in range(1, count - 1):
        before.append(xp.maximum(before[-1], z[..., k, :, :]))
    pieces, left = [], dy
    # no comparison with the output for equality: a compiler may round the two differently
    for k in range(count - 1, 0, -1):
        own = left * xp.astype(z[..., k, :, :] > before[k - 1], dy.dtype)
        left = left - own
        pieces.append(own[..., None, :, :])
    return xp.concat([left[..., None, :, :], *reversed(pieces)], axis=-3)
