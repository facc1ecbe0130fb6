"""The network as a description: parameters as one vector, forward, backward.

All parameters of a network lie in one vector (with a stack: one row a member), in which every layer's block is a named
segment. Gradients and each moment of the optimizer are such vectors too, so that penalty, clipping and update are one
operation each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from mlpx._typing import Array, DType
from mlpx.activations import Activation
from mlpx.backends import Backend, host, trees
from mlpx.backends.host import Key, StepKeys, Stream
from mlpx.layers import Dense, Embedding, Layer
from mlpx.layers.affine import Affine
from mlpx.layers.base import Parameters, at, first_width, named, nested
from mlpx.layers.composite import Chain
from mlpx.output import Output, pair

__all__ = ["Architecture", "Gradients", "Segment", "Trace"]


class Segment(NamedTuple):
    """Where one parameter lies in the vector; its name is the path to it, such as ``"2.theta"``."""

    name: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def layer(self) -> str:
        """Path of the layer whose parameter it is, such as ``"2"`` or, within a block, ``"1.layers.0"``."""
        return self.name.rpartition(".")[0]


class Trace(NamedTuple):
    """What a forward pass saw.

    Attributes
    ----------
    layers : tuple
        What each layer saved, in the order of ``net.layers``; for `Dense` the fields ``x``, ``z``, ``y``.
    a : list of array
        ``a[0]`` is the input, ``a[i + 1]`` the activation of the i-th layer with weights, ``a[-1]`` the outputs. Where
        dropout, PReLU or the sum of a `Skip` comes next these are the values before it; what went into a layer is the
        ``x`` that it saved, in `layers`, and its gradient is ``x.T @ delta``.
    z : list of array
        ``z[i]`` is the net input of the i-th layer with weights; of `Maxout` that of all pieces.

    Examples
    --------
    >>> import mlpx
    >>> trace = mlpx.MLP([2, 3, 1], output="linear").forward([[0.5, 1.0]])
    >>> [z.shape for z in trace.z]
    [(1, 3), (1, 1)]
    >>> trace.layers[0].x is trace.a[0]
    True
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
        Error terms ``dL/dz`` of the layers with weights; each row carries its sample's share of the mean.
    weights, biases : list of array
        Derivatives of `loss`, shaped as ``net.weights`` and ``net.biases``; None where there is no bias. They are 0
        where a mask has left a connection out.
    parameters : dict of array
        The same for all parameters, by name as in ``net.parameters``.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([2, 3, 1], output="linear", l2=0.1)
    >>> grads = net.backward(net.forward([[0.5, 1.0]]), [[1.0]])
    >>> bool(grads.loss > grads.data_loss)
    True
    >>> [d.shape for d in grads.delta]
    [(1, 3), (1, 1)]
    """

    loss: Array
    data_loss: Array
    delta: list[Array]
    weights: list[Array]
    biases: list[Array | None]
    parameters: dict[str, Array]


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
        linear = replace(last, activation="identity")
        made = cls((*layers[:-1], linear), pair(last.activation, loss, last.fan_out))  # type: ignore[arg-type]
        _ = made.widths  # refuses layers that do not fit
        return made

    @cached_property
    def chain(self) -> Chain:
        """The layers as one."""
        return Chain(self.layers)

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Number of units that go into each layer, and those that come out of the last."""
        return self.chain.widths(first_width(self.chain))

    @cached_property
    def nodes(self) -> dict[str, Layer]:
        """All layers by path, also those within blocks."""
        return {path: node for path, node in self.chain.nodes() if path}

    @cached_property
    def weighted(self) -> dict[str, Affine]:
        """The layers with weights by path, in the order in which they act."""
        return {path: node for path, node in self.nodes.items() if isinstance(node, Affine)}

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """Where each parameter lies in the vector."""
        segments, start = [], 0
        for name, shape in self.chain.shapes().items():
            stop = start + math.prod(shape)
            segments.append(Segment(name, shape, start, stop))
            start = stop
        return tuple(segments)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.segments[-1].stop

    @property
    def random(self) -> bool:
        """Whether some layer draws random numbers in training."""
        return self.chain.random

    @property
    def untrainable(self) -> str | None:
        """Name of an activation whose derivative is needed but does not exist, if there is one."""
        used = [getattr(node, "activation", None) for node in self.nodes.values()]
        last = [self.output.activation] if self.output.loss.output is None else []
        names = [f.name for f in (*used, *last) if isinstance(f, Activation) and not f.differentiable]
        return names[0] if names else None

    def member(self, index: int) -> Architecture:
        """Return the architecture of one member of the stack."""
        return Architecture(tuple(layer.member(index) for layer in self.layers), self.output)

    # Parameters.

    def initialize(self, key: Key) -> Array:
        """Return the initial parameters of one network, a host vector in float64."""
        return self._vector(self.chain.initialize(Stream(key, "weights")))

    def masks(self) -> tuple[Array, Array]:
        """Return host vectors of 0 and 1: where weight decay acts, and what may be trained."""
        masks = self.chain.masks(host.xp)
        decay, trained = (self._vector({name: pair[i] for name, pair in masks.items()}) for i in range(2))
        return decay, trained

    def connections(self) -> Array | None:
        """Return a host vector of 0 where a mask has left a connection out, else 1; None where there is no mask."""
        found = self.chain.connections(host.xp)
        return (
            self._vector({s.name: found.get(s.name, host.xp.ones(s.shape)) for s in self.segments}) if found else None
        )

    def check_connections(self, vector: Array) -> None:
        """Refuse parameters, a host vector, that are not 0 where a mask has left the connection out."""
        connections = self.connections()
        if connections is not None and bool(host.xp.any((vector != 0) & (connections == 0))):
            msg = "Weights must be 0 where a `mask` has left the connection out, and some are not."
            raise ValueError(msg)

    def _vector(self, blocks: dict[str, Array]) -> Array:
        """Return host arrays by parameter as one vector."""
        return host.xp.concat([host.xp.reshape(blocks[s.name], (-1,)) for s in self.segments])

    def blocks(self, ops: Backend, vector: Array) -> dict[str, Array]:
        """Return all parameters by name, as parts of the vector."""
        return {
            s.name: ops.xp.reshape(vector[..., s.start : s.stop], (*vector.shape[:-1], *s.shape)) for s in self.segments
        }

    def split(self, ops: Backend, vector: Array) -> Parameters:
        """Return all parameters as the layers take them: nested by path."""
        return nested(self.blocks(ops, vector))

    def join(self, ops: Backend, gradients: Sequence[Any]) -> Array:
        """Return the vector of the gradients that the layers gave."""
        return self._joined(ops, [self._gradient(gradients, s) for s in self.segments])

    def _gradient(self, gradients: Sequence[Any], segment: Segment) -> Array:
        """Return the gradient by one parameter; refuse what a layer of a user's own gave, where it is not there."""
        try:
            return at(gradients, segment.name)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            parameter, came = segment.name.rpartition(".")[2], at(gradients, segment.layer)
            msg = (
                f"`backward` of {self.nodes[segment.layer].name} must return a named tuple of gradients with the field "
                f"{parameter!r}, one a parameter; got a {type(came).__name__}."
            )
            raise TypeError(msg) from error

    def constrain(self, ops: Backend, vector: Array) -> Array:
        """Return the parameters with those norms bounded that have a bound."""
        bounded = self.chain.constrain(ops, self.split(ops, vector))
        if not bounded:
            return vector
        blocks = {**self.blocks(ops, vector), **bounded}
        return self._joined(ops, [blocks[s.name] for s in self.segments])

    def _joined(self, ops: Backend, blocks: list[Array]) -> Array:
        stack = [block.shape[: block.ndim - len(s.shape)] for block, s in zip(blocks, self.segments, strict=True)]
        flat = [ops.xp.reshape(block, (*axes, -1)) for block, axes in zip(blocks, stack, strict=True)]
        return flat[0] if len(flat) == 1 else ops.concat(flat, axis=-1)

    # The algorithm.

    def draw(self, ops: Backend, who: StepKeys, rows: int, dtype: DType, *, stack: bool) -> tuple[Any, ...]:
        """Return the random arrays of a training step, or of a run of them, one for each layer or None."""
        drawn: tuple[Any, ...] = self.chain.draw(ops, who, 0, (rows, self.widths[0]), dtype)
        first = (0, ...) if host.xp.asarray(who.steps).ndim == 1 else (slice(None), 0, ...)
        return drawn if stack else trees.mapped(lambda leaf: leaf[first], drawn)

    def forward(
        self,
        ops: Backend,
        vector: Array,
        x: Array,
        *,
        training: bool = False,
        draws: Sequence[Any] | None = None,
    ) -> tuple[Array, tuple[Any, ...]]:
        """Return the net input of the output, and what each layer saved.

        The layers compute in the type of `x`; the net input is returned in that of the parameters.
        """
        params = self.split(ops, ops.xp.astype(vector, x.dtype, copy=False))
        y, saved = self.chain.forward(ops, params, x, training=training, draw=draws)
        return ops.xp.astype(y, vector.dtype, copy=False), saved

    def backward(self, ops: Backend, vector: Array, saved: Sequence[Any], delta: Array) -> tuple[Any, ...]:
        """Return each layer's gradients, from the error term of the output; the layers compute as in `forward`."""
        vector, dy = (ops.xp.astype(array, saved[-1].z.dtype, copy=False) for array in (vector, delta))
        _, gradients = self.chain.backward(ops, self.split(ops, vector), saved, dy, need_dx=False)
        return gradients

    def penalty(self, ops: Backend, vector: Array, l2: Any, decay: Array) -> Array:
        """Return ``lambda / 2`` times the sum of the squared weights, shape (...)."""
        return 0.5 * ops.xp.sum(l2 * decay * vector * vector, axis=-1)


def _check_layers(layers: tuple[Any, ...]) -> None:
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            msg = f"`layers[{i}]` must be a layer such as Dense(64, 10), got {layer!r}."
            raise TypeError(msg)
    for path, node in Chain(layers).nodes():
        if isinstance(node, Embedding) and path != "0":
            msg = f"`{named(path)}` is an Embedding, which reads codes of the input; it must be the first layer."
            raise ValueError(msg)
    if not layers or not isinstance(layers[-1], Dense):
        came = repr(layers[-1]) if layers else "no layer"
        msg = f"`layers` must end with a Dense layer, whose activation is the output; got {came}."
        raise ValueError(msg)
    for _, node in Chain(layers[:-1]).nodes():
        if getattr(getattr(node, "activation", None), "name", "") == "softmax":
            msg = "`activation` 'softmax' is for the output alone; use it in the last layer."
            raise ValueError(msg)
