"""Skip connections."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from mlpx import activations
from mlpx._typing import Array, DType, Formula, Namespace
from mlpx.activations import Activation
from mlpx.backends import Backend
from mlpx.backends.host import StepKeys
from mlpx.layers.base import Layer, Parameters, first_width
from mlpx.layers.composite import Chain, Composite
from mlpx.layers.dense import Dense

__all__ = ["Skip"]


class SkipSaved(NamedTuple):
    """What `Skip` keeps for its backward pass: what both paths saved, their sum and the output."""

    layers: tuple[Any, ...]
    projection: Any
    z: Array
    y: Array


class SkipGradients(NamedTuple):
    """Gradients of the layers, of the projection (None without), and by the sum."""

    layers: tuple[Any, ...]
    projection: Any
    delta: Array


@dataclass(frozen=True)
class Skip(Composite):
    """Layers and a connection that skips them, ``Y = f(F(X) + P X)``; gradients add where the paths meet [1]_.

    P is the identity, or a projection without a bias where the widths differ. A block may hold other blocks.

    Parameters
    ----------
    *layers : Layer
        The path F, one layer after the other.
    projection : bool or Dense, optional
        Whether there is a projection, or the layer that is one; by default there is one where the numbers of units
        before and after the layers differ.
    activation : str, Activation or callable
        The function f of the sum; by default the identity.

    Raises
    ------
    ValueError
        Where widths do not fit.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", CVPR 2016.

    Examples
    --------
    >>> import mlpx
    >>> block = mlpx.Skip(mlpx.Dense(8, 8, "relu"), mlpx.Dense(8, 8), activation="relu")
    >>> net = mlpx.Network([mlpx.Dense(4, 8, "relu"), block, mlpx.Dense(8, 3, "softmax")])
    >>> net.n_parameters
    211
    >>> list(net.parameters)
    ['0.theta', '1.layers.0.theta', '1.layers.1.theta', '2.theta']
    """

    layers: tuple[Layer, ...]
    projection: Dense | bool | None = None
    activation: str | Activation | Formula = "identity"

    def __init__(
        self,
        *layers: Layer,
        projection: Dense | bool | None = None,
        activation: str | Activation | Formula = "identity",
    ) -> None:
        _check_layers(layers)
        self._store("layers", layers)
        self._store("activation", activations.get(activation))
        self._store("projection", self._projected(projection))

    def __repr__(self) -> str:
        layers = "".join(f"{layer!r}, " for layer in self.layers)
        return f"Skip({layers}projection={self.projection!r}, activation={self.activation!r})"

    @classmethod
    def _from_fields(cls, fields: dict[str, Any]) -> Skip:
        layers = fields.pop("layers", ())
        return cls(*layers, **fields)

    def _projected(self, projection: Any) -> Dense | None:
        """Return the projection, or None where the input itself is added."""
        fan_in = self.fan_in
        fan_out = self.path.width(fan_in)
        if projection is None:
            projection = fan_in != fan_out
        if projection is True:
            return Dense(fan_in, fan_out, bias=False)
        if projection is False and fan_in == fan_out:
            return None
        if not (isinstance(projection, Dense) and (projection.fan_in, projection.fan_out) == (fan_in, fan_out)):
            came = "False" if projection is False else repr(projection)
            msg = f"`projection` must be None, True or a Dense({fan_in}, {fan_out}), as the layers have it; got {came}."
            raise ValueError(msg)
        return projection

    @cached_property
    def path(self) -> Chain:
        """The layers as one."""
        return Chain(self.layers)

    @cached_property
    def fan_in(self) -> int:
        """Number of units that go in."""
        width: int = first_width(self.path)
        return width

    @property
    def label(self) -> str:
        """The layers and what follows their sum."""
        name = self.activation.label  # type: ignore[union-attr]
        layers = " - ".join(layer.label for layer in self.layers)
        return f"Skip({layers}){'' if name == 'identity' else ' ' + name}"

    def parts(self) -> dict[str, Layer]:
        """Return both paths."""
        return self._parts

    @cached_property
    def _parts(self) -> dict[str, Layer]:
        projection = {} if self.projection is None else {"projection": self.projection}
        return {"layers": self.path, **projection}  # type: ignore[dict-item]

    def width(self, fan_in: int) -> int:
        """Return the number of units of the sum."""
        if fan_in != self.fan_in:
            msg = f"`layers` do not fit: {fan_in} units go into a Skip of layers that take {self.fan_in}."
            raise ValueError(msg)
        return self._fan_out

    @cached_property
    def _fan_out(self) -> int:
        return self.path.width(self.fan_in)

    def draw(self, ops: Backend, who: StepKeys, position: int, shape: tuple[int, int], dtype: DType) -> Any:
        """Return what the layers draw."""
        return self.path.draw(ops, who, position, shape, dtype) if self.random else None

    def forward(
        self, ops: Backend, params: Parameters, x: Array, *, training: bool, draw: Any
    ) -> tuple[Array, SkipSaved]:
        """Return ``Y = f(F(X) + P X)``, and what was saved."""
        through, layers = self.path.forward(ops, params.get("layers", {}), x, training=training, draw=draw)
        beside, projection = x, None
        if isinstance(self.projection, Dense):
            own = params["projection"]
            beside, projection = self.projection.forward(ops, own, x, training=training, draw=None)
        z = ops.evaluate(_sum, through, beside)
        y = ops.evaluate(self.activation, z)  # type: ignore[arg-type]
        return y, SkipSaved(layers, projection, z, y)

    def backward(
        self,
        ops: Backend,
        params: Parameters,
        saved: SkipSaved,
        dy: Array,
        *,
        need_dx: bool = True,
        out: dict[str, Array] | None = None,
    ) -> tuple[Array | None, SkipGradients]:
        """Return the sum of both paths' gradients by the input, and the gradients, with ``delta = f'(Z) * dy``."""
        delta = ops.evaluate(self.activation.backward, dy, saved.z, saved.y)  # type: ignore[union-attr]
        own = params.get("layers", {})
        dx, layers = self.path.backward(ops, own, saved.layers, delta, need_dx=need_dx)
        beside, projection = delta, None
        if isinstance(self.projection, Dense):
            own = params["projection"]
            beside, projection = self.projection.backward(ops, own, saved.projection, delta, need_dx=need_dx)
        return (ops.evaluate(_sum, dx, beside) if need_dx else None), SkipGradients(layers, projection, delta)

    def member(self, index: int) -> Skip:
        """Return the block of one member of the stack."""
        layers = self.path.member(index).layers
        return Skip(*layers, projection=self.projection, activation=self.activation)


def _check_layers(layers: tuple[Any, ...]) -> None:
    for i, layer in enumerate(layers):
        if isinstance(layer, (list, tuple)):
            msg = "`layers` of Skip must be given one by one: Skip(a, b) or Skip(*layers), not Skip([a, b])."
            raise TypeError(msg)
        if not isinstance(layer, Layer):
            msg = f"`layers[{i}]` of Skip must be a layer such as Dense(64, 64), got {layer!r}."
            raise TypeError(msg)
    if first_width(Chain(layers)) is None:
        msg = "`layers` of Skip must hold a layer with units, such as Dense(64, 64)."
        raise ValueError(msg)


def _sum(a: Array, b: Array, xp: Namespace) -> Array:
    return a + b
