"""Layers that are made of other layers; a chain of them is a network without its output."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mlpx import activations, initializers
from mlpx._typing import Array, DType, Namespace
from mlpx.backends import Backend
from mlpx.backends.host import StepKeys, Stream
from mlpx.layers.base import Layer, Parameters, joined
from mlpx.layers.dense import Dense
from mlpx.layers.prelu import PReLU

__all__ = ["Chain", "Composite"]


class Composite(Layer, abstract=True):
    """A layer that consists of its `parts`: their parameters are its own, by path."""

    @property
    def positions(self) -> int:
        """The sum of those of its parts."""
        return sum(part.positions for part in self.parts().values())

    @cached_property
    def random(self) -> bool:  # type: ignore[override]
        """Whether some part draws random numbers."""
        return any(part.random for part in self.parts().values())

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return those of all parts."""
        return self._gathered(lambda part: part.shapes())

    def initialize(self, stream: Stream) -> Parameters:
        """Return those of all parts, each drawn at its own position."""
        found, position = {}, 0
        for name, part in self.parts().items():
            own = part.initialize(stream.at(position))
            found.update({joined(name, key): value for key, value in own.items()})
            position += part.positions
        return found

    def masks(self, xp: Namespace) -> dict[str, tuple[Array, Array]]:
        """Return those of all parts."""
        return self._gathered(lambda part: part.masks(xp))

    def connections(self, xp: Namespace) -> dict[str, Array]:
        """Return those of all parts."""
        return self._gathered(lambda part: part.connections(xp))

    def constrain(self, ops: Backend, params: Parameters) -> Parameters:
        """Return those of all parts."""
        found = {}
        for name, part in self.parts().items():
            own = part.constrain(ops, params.get(name, {}))
            found.update({joined(name, key): value for key, value in own.items()})
        return found

    def check_stack(self, members: int | None) -> None:
        """Refuse numbers by member whose count is not the stack's."""
        for part in self.parts().values():
            part.check_stack(members)

    def check_dtype(self, dtype: str) -> None:
        """Refuse a type that some part cannot compute in."""
        for part in self.parts().values():
            part.check_dtype(dtype)

    def _gathered(self, of: Any) -> dict[str, Any]:
        return {joined(name, key): value for name, part in self.parts().items() for key, value in of(part).items()}


@dataclass(frozen=True)
class Chain(Composite, abstract=True):
    """Layers one after the other.

    Parameters
    ----------
    layers : tuple of Layer
        The first is the one that the input goes into.
    """

    layers: tuple[Layer, ...]

    def parts(self) -> dict[str, Layer]:
        """Return the layers by their positions."""
        return self._parts

    @cached_property
    def _parts(self) -> dict[str, Layer]:
        return {str(i): layer for i, layer in enumerate(self.layers)}

    @cached_property
    def first(self) -> int:
        """Position of the first layer that has parameters; the number of layers where none has."""
        return next((i for i, layer in enumerate(self.layers) if layer.shapes()), len(self.layers))

    def widths(self, fan_in: int) -> tuple[int, ...]:
        """Return the number of units that go into each layer, and those that come out of the last."""
        widths = [fan_in]
        for layer in self.layers:
            widths.append(layer.width(widths[-1]))
        return tuple(widths)

    def width(self, fan_in: int) -> int:
        """Return the number of units that come out of the last layer."""
        return self.widths(fan_in)[-1]

    def initialize(self, stream: Stream) -> Parameters:
        """Return the initial parameters; what stands before `PReLU` starts as before its relatives."""
        layers = tuple(map(_before, self.layers, (*self.layers[1:], None)))
        return super().initialize(stream) if layers == self.layers else Chain(layers).initialize(stream)

    def draw(self, ops: Backend, who: StepKeys, position: int, shape: tuple[int, int], dtype: DType) -> tuple[Any, ...]:
        """Return what each layer draws."""
        drawn = []
        for layer, width in zip(self.layers, self.widths(shape[1]), strict=False):
            drawn.append(layer.draw(ops, who, position, (shape[0], width), dtype))
            position += layer.positions
        return tuple(drawn)

    def forward(
        self, ops: Backend, params: Parameters, x: Array, *, training: bool, draw: Any
    ) -> tuple[Array, tuple[Any, ...]]:
        """Return the output of the last layer, and what each saved."""
        saved = []
        for i, (name, layer) in enumerate(self._parts.items()):
            own = params.get(name, {})
            x, kept = layer.forward(ops, own, x, training=training, draw=None if draw is None else draw[i])
            saved.append(kept)
        return x, tuple(saved)

    def backward(
        self,
        ops: Backend,
        params: Parameters,
        saved: Any,
        dy: Array,
        *,
        need_dx: bool = True,
        out: dict[str, Array] | None = None,
    ) -> tuple[Array | None, tuple[Any, ...]]:
        """Return the gradient by the input, and the gradients of each layer: None where nobody asks for any."""
        dx: Array | None = dy
        gradients: list[Any] = [None] * len(self.layers)
        for i in reversed(range(0 if need_dx else self.first, len(self.layers))):
            own = params.get(str(i), {})
            dx, gradients[i] = self.layers[i].backward(ops, own, saved[i], dx, need_dx=need_dx or i > self.first)
        return (dx if need_dx else None), tuple(gradients)

    def member(self, index: int) -> Chain:
        """Return the layers of one member of the stack."""
        return Chain(tuple(layer.member(index) for layer in self.layers))


def _before(layer: Layer, following: Layer | None) -> Layer:
    """Return a linear layer whose activation is the layer that follows, with the initializer that belongs to it."""
    chosen = isinstance(layer, Dense) and (layer.initializer != "auto" or layer.activation != activations.identity())
    if isinstance(following, PReLU) and isinstance(layer, Dense) and not chosen:
        return replace(layer, initializer=initializers.get("auto", following.name))
    return layer
