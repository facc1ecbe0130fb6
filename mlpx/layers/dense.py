"""The fully-connected layer."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple

from mlpx import activations
from mlpx._typing import Array, Formula, Namespace
from mlpx.activations import Activation
from mlpx.backends import Backend, to_numpy
from mlpx.backends.host import xp as hxp
from mlpx.initializers import Initializer
from mlpx.layers.affine import Affine
from mlpx.layers.base import Parameters

__all__ = ["Dense", "DenseGradients", "DenseSaved"]


class DenseSaved(NamedTuple):
    """What `Dense` keeps for its backward pass: input, net input and output."""

    x: Array
    z: Array
    y: Array


class DenseGradients(NamedTuple):
    """Derivatives of the loss by the parameter block, and by the net input (the error term)."""

    theta: Array
    delta: Array


@dataclass(frozen=True)
class Dense(Affine):
    """A fully-connected layer, ``Z = X W + b`` and ``Y = f(Z)``; with a mask, a sparsely connected one.

    Its parameters are one block `theta` of shape ``(fan_in + 1, fan_out)``: the weights, and the bias as the last row.

    Parameters
    ----------
    fan_in, fan_out : int
        Numbers of units before and after.
    activation : str, Activation or callable
        The function f; see `mlpx.activations`.
    bias : bool or "frozen"
        Whether there is a bias; a frozen one keeps its initial value.
    initializer, bias_initializer : str or Initializer
        Initial values; see `mlpx.initializers`.
    mask : array of shape (fan_in, fan_out), optional
        1 where there is a connection and 0 where there is none, and its weight is and stays 0; by default all are
        there. Kept as one text of zeros and ones a row.
    max_norm : float, optional
        Bound on the norm of the weights that come into a unit, kept after each update.

    Raises
    ------
    ValueError
        For an argument out of its range, such as a mask of another shape.

    Examples
    --------
    >>> import mlpx
    >>> mlpx.Dense(64, 10, "softmax").shapes()
    {'theta': (65, 10)}
    >>> mlpx.Dense(2, 2, mask=[[1, 0], [0, 1]]).mask
    ('10', '01')
    """

    fan_in: int
    fan_out: int
    activation: str | Activation | Formula = "identity"
    bias: bool | Literal["frozen"] = True
    initializer: str | Initializer = "auto"
    bias_initializer: str | Initializer = "zeros"
    mask: Any = field(default=None, repr=False)
    max_norm: float | None = None

    def __post_init__(self) -> None:
        self._check()
        self._store("activation", activations.get(self.activation))
        if self.mask is not None:
            self._store("mask", _as_texts(self.mask, (self.fan_in, self.fan_out)))

    @property
    def label(self) -> str:
        """Units and activation, and how many of the connections there are."""
        there = "" if self.mask is None else f" ({self._share} of connections)"
        return f"{self.fan_out} {self.activation.label}{there}"  # type: ignore[union-attr]

    def __repr__(self) -> str:
        shown = [f"{field.name}={getattr(self, field.name)!r}" for field in fields(self) if field.repr]
        mask = [] if self.mask is None else [f"mask=<{self._share} of {self.fan_in * self.fan_out} connections>"]
        return f"{self.name}({', '.join([*shown, *mask])})"

    @property
    def _share(self) -> str:
        """Share of the connections that the mask leaves."""
        return f"{100 * sum(row.count('1') for row in self.mask) / (self.fan_in * self.fan_out):.3g} %"

    @property
    def _before(self) -> str:
        return self.activation.name  # type: ignore[union-attr]

    def _present(self, xp: Namespace) -> Array:
        if self.mask is None:
            return super()._present(xp)
        return xp.asarray([[float(entry) for entry in row] for row in self.mask])

    def connections(self, xp: Namespace) -> dict[str, Array]:
        """Return the mask, with ones for the bias."""
        if self.mask is None:
            return {}
        rows = [self._present(xp), *([xp.ones((1, self.fan_out))] if self.bias else [])]
        return {"theta": xp.concat(rows, axis=0)}

    def forward(
        self, ops: Backend, params: Parameters, x: Array, *, training: bool, draw: Array | None
    ) -> tuple[Array, DenseSaved]:
        """Return ``Y = f(X W + b)``, shape ``(..., N, fan_out)``, and what was saved."""
        W, b = self.split(params["theta"])
        z = ops.net_input(x, W, b)
        y = ops.evaluate(self.activation, z)  # type: ignore[arg-type]
        return y, DenseSaved(x, z, y)

    def backward(
        self,
        ops: Backend,
        params: Parameters,
        saved: DenseSaved,
        dy: Array,
        *,
        need_dx: bool = True,
        out: dict[str, Array] | None = None,
    ) -> tuple[Array | None, DenseGradients]:
        """Return ``delta Wᵀ`` and the gradients, with ``delta = f'(Z) * dy`` and ``dtheta = [Xᵀ delta; 1ᵀ delta]``."""
        W, b = self.split(params["theta"])
        delta = ops.evaluate(self.activation.backward, dy, saved.z, saved.y)  # type: ignore[union-attr]
        theta = ops.weight_gradient(saved.x, delta, bias=b is not None, out=out["theta"] if out else None)
        return (ops.error_term(delta, W) if need_dx else None), DenseGradients(theta, delta)


def _as_texts(mask: Any, shape: tuple[int, int]) -> tuple[str, ...]:
    """Return a mask as a text of zeros and ones for each row, which a description can hold."""
    if isinstance(mask, tuple) and all(isinstance(row, str) for row in mask):
        mask = [[{"0": 0, "1": 1}.get(entry, entry) for entry in row] for row in mask]
    try:
        rows = hxp.asarray(to_numpy(mask) if hasattr(mask, "shape") else mask)
        fits = rows.shape == shape and bool(hxp.all((rows == 0) | (rows == 1)))
    except (TypeError, ValueError):  # rows of different lengths, or no numbers
        fits = False
    if not fits:
        came = f"an array of shape {tuple(mask.shape)}" if hasattr(mask, "shape") else f"{str(mask)[:60]}"
        msg = f"`mask` must be of zeros and ones, of the shape {shape} (fan_in, fan_out); got {came}."
        raise ValueError(msg)
    return tuple("".join("1" if entry else "0" for entry in row) for row in rows.tolist())
