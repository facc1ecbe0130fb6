"""The network as a description: parameters as one vector, forward, backward.

All parameters of a network lie in one vector (with a stack: one row a member), in which every layer's block is a named
segment. Gradients and each moment of the optimizer are such vectors too, so that penalty, clipping and update are one
operation each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from mlpx._typing import Array, DType
from mlpx.backends import Backend, host
from mlpx.backends.host import Key, StepKeys, Stream
from mlpx.layers import Dense, Layer, Parameters
from mlpx.output import Output, pair

__all__ = ["Architecture", "Gradients", "Segment", "Trace"]


class Segment(NamedTuple):
    """Where one parameter lies in the vector."""

    layer: int
    name: str
    shape: tuple[int, ...]
    start: int
    stop: int


class Trace(NamedTuple):
    """What a forward pass saw.

    Attributes
    ----------
    layers : tuple
        What each layer saved, in the order of ``net.layers``; for `Dense` the fields ``x``, ``z``, ``y``.
    a : list of array
        ``a[0]`` is the input, ``a[i + 1]`` the activation of the i-th dense layer, ``a[-1]`` the outputs. Where dropout
        acts these are the values before it; what went into a dense layer is its ``x`` in `layers`.
    z : list of array
        ``z[i]`` is the net input of the i-th dense layer.
    """

    layers: tuple[Any, ...]
    a: list[Array]
    z: list[Array]


class Gradients(NamedTuple):
    """What a backward pass gives. With a stack every array has one entry a member in front.

    Attributes
    ----------
    loss, data_loss : array of shape (...)
        The risk whose gradient this is, and its part without the penalty: means over the batch.
    delta : list of array of shape (..., N, M_l)
        Error terms ``dL/dz`` of the dense layers; each row carries its sample's share of the mean.
    weights, biases : list of array
        Derivatives of `loss`, shaped as ``net.weights`` and ``net.biases``; None where there is no bias.
    """

    loss: Array
    data_loss: Array
    delta: list[Array]
    weights: list[Array]
    biases: list[Array | None]


@dataclass(frozen=True)
class Architecture:
    """Layers and output of a network, with the pure functions that need nothing else.

    Parameters
    ----------
    layers : tuple of Layer
        The last one is linear: its activation has gone into `output`.
    output : Output
        Activation and loss.
    """

    layers: tuple[Layer, ...]
    output: Output

    @classmethod
    def from_layers(cls, layers: Sequence[Layer], loss: Any) -> Architecture:
        """Return the architecture of a list of layers, the last of which is split into a linear one and the output."""
        if isinstance(layers, str) or not isinstance(layers, Iterable):
            msg = f"`layers` must be a list of layers such as Dense(64, 10), got {layers!r}."
            raise TypeError(msg)
        layers = tuple(layers)
        _check_layers(layers)
        last = layers[-1]
        assert isinstance(last, Dense)
        linear = Dense(last.fan_in, last.fan_out, "identity", last.bias, last.initializer, last.bias_initializer)
        made = cls((*layers[:-1], linear), pair(last.activation, loss, last.fan_out))  # type: ignore[arg-type]
        _ = made.widths  # refuses layers that do not fit
        return made

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Number of units that go into each layer, and those that come out of the last."""
        first = next(layer for layer in self.layers if isinstance(layer, Dense))
        widths = [first.fan_in]
        for layer in self.layers:
            widths.append(layer.width(widths[-1]))
        return tuple(widths)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """Where each parameter lies in the vector."""
        segments, start = [], 0
        for position, layer in enumerate(self.layers):
            for name, shape in layer.shapes().items():
                stop = start + math.prod(shape)
                segments.append(Segment(position, name, shape, start, stop))
                start = stop
        return tuple(segments)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.segments[-1].stop

    @property
    def dense(self) -> list[int]:
        """Positions of the dense layers."""
        return [i for i, layer in enumerate(self.layers) if isinstance(layer, Dense)]

    @property
    def random(self) -> bool:
        """Whether some layer draws random numbers in training."""
        return any(layer.random for layer in self.layers)

    @property
    def untrainable(self) -> str | None:
        """Name of an activation whose derivative is needed but does not exist, if there is one."""
        used = [layer.activation for layer in self.layers if isinstance(layer, Dense)]
        last = [self.output.activation] if self.output.loss.output is None else []
        names = [f.name for f in (*used, *last) if not f.differentiable]  # type: ignore[union-attr]
        return names[0] if names else None

    def member(self, index: int) -> Architecture:
        """Return the architecture of one member of the stack."""
        return Architecture(tuple(layer.member(index) for layer in self.layers), self.output)

    # Parameters.

    def initialize(self, key: Key) -> Array:
        """Return the initial parameters of one network, a host vector in float64."""
        blocks = [layer.initialize(Stream(key, "weights", i)) for i, layer in enumerate(self.layers)]
        return host.xp.concat([host.xp.reshape(blocks[s.layer][s.name], (-1,)) for s in self.segments])

    def masks(self) -> tuple[Array, Array]:
        """Return host vectors of 0 and 1: where weight decay acts, and what may be trained."""
        blocks = [layer.masks(host.xp) for layer in self.layers]
        pairs = [blocks[s.layer][s.name] for s in self.segments]
        decay, trained = (
            host.xp.concat([host.xp.reshape(m, (-1,)) for m in each]) for each in zip(*pairs, strict=True)
        )
        return decay, trained

    def split(self, ops: Backend, vector: Array) -> list[Parameters]:
        """Return the parameters of each layer, as parts of the vector."""
        parameters: list[Parameters] = [{} for _ in self.layers]
        for s in self.segments:
            part = vector[..., s.start : s.stop]
            parameters[s.layer][s.name] = ops.xp.reshape(part, (*vector.shape[:-1], *s.shape))
        return parameters

    def join(self, ops: Backend, parameters: Sequence[Any]) -> Array:
        """Return the vector of parameters (or gradients) that are given by layer, as attributes."""
        blocks = [getattr(parameters[s.layer], s.name) for s in self.segments]
        stack = [block.shape[: block.ndim - len(s.shape)] for block, s in zip(blocks, self.segments, strict=True)]
        flat = [ops.xp.reshape(block, (*axes, -1)) for block, axes in zip(blocks, stack, strict=True)]
        return flat[0] if len(flat) == 1 else ops.concat(flat, axis=-1)

    # The algorithm.

    def draw(self, ops: Backend, who: StepKeys, rows: int, dtype: DType, *, stack: bool) -> tuple[Array | None, ...]:
        """Return the random arrays of a training step, or of a run of them, one for each layer or None."""
        drawn = [layer.draw(ops, who, i, (rows, self.widths[i]), dtype) for i, layer in enumerate(self.layers)]
        first = (0, ...) if host.xp.asarray(who.steps).ndim == 1 else (slice(None), 0, ...)
        return tuple(d if d is None or stack else d[first] for d in drawn)

    def forward(
        self,
        ops: Backend,
        vector: Array,
        x: Array,
        *,
        training: bool = False,
        draws: Sequence[Array | None] | None = None,
    ) -> tuple[Array, tuple[Any, ...]]:
        """Return the net input of the output, and what each layer saved.

        The layers compute in the type of `x`; the net input is returned in that of the parameters.
        """
        saved, working = [], ops.xp.astype(vector, x.dtype, copy=False)
        for i, (layer, params) in enumerate(zip(self.layers, self.split(ops, working), strict=True)):
            x, kept = layer.forward(ops, params, x, training=training, draw=draws[i] if draws else None)
            saved.append(kept)
        return ops.xp.astype(x, vector.dtype, copy=False), tuple(saved)

    def backward(self, ops: Backend, vector: Array, saved: Sequence[Any], delta: Array) -> tuple[Any, ...]:
        """Return each layer's gradients, from the error term of the output; the layers compute as in `forward`."""
        vector, dy = (ops.xp.astype(array, saved[-1].z.dtype, copy=False) for array in (vector, delta))
        params, gradients = self.split(ops, vector), []
        first = self.segments[0].layer
        for i in reversed(range(len(self.layers))):
            dy, layer_gradients = self.layers[i].backward(ops, params[i], saved[i], dy, need_dx=i > first)
            gradients.append(layer_gradients)
            if i == first:
                break
        # layers before the first one with parameters: nobody asks for the gradient by the input
        return (*([None] * first), *reversed(gradients))

    def penalty(self, ops: Backend, vector: Array, l2: Any, decay: Array) -> Array:
        """Return ``lambda / 2`` times the sum of the squared weights, shape (...)."""
        return 0.5 * ops.xp.sum(l2 * decay * vector * vector, axis=-1)


def _check_layers(layers: tuple[Any, ...]) -> None:
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            msg = f"`layers[{i}]` must be a layer such as Dense(64, 10), got {layer!r}."
            raise TypeError(msg)
    if not layers or not isinstance(layers[-1], Dense):
        came = repr(layers[-1]) if layers else "no layer"
        msg = f"`layers` must end with a Dense layer, whose activation is the output; got {came}."
        raise ValueError(msg)
    for layer in layers[:-1]:
        if isinstance(layer, Dense) and layer.activation.name == "softmax":  # type: ignore[union-attr]
            msg = "`activation` 'softmax' is for the output alone; use it in the last layer."
            raise ValueError(msg)
