"""What all layers have in common."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TypeAlias

from mlpx._typing import Array, DType, Namespace
from mlpx.backends import Backend
from mlpx.backends.host import StepKeys, Stream
from mlpx.description import Description

__all__ = ["Layer", "Parameters", "at", "first_width", "joined", "named", "nested", "shortened"]

Parameters: TypeAlias = dict[str, Any]
"""Arrays by parameter; of layers that are made of others, such dicts by part."""


class Layer(Description, abstract=True):
    """One layer: a description with a forward and a backward pass.

    The page "A layer" of the documentation shows how to write one.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.Network([mlpx.Dense(4, 8, "relu"), mlpx.Dropout(0.5), mlpx.Dense(8, 3, "softmax")])
    >>> [isinstance(layer, mlpx.Layer) for layer in net.layers]
    [True, True, True]
    >>> [layer.name for layer in net.layers]
    ['Dense', 'Dropout', 'Dense']
    """

    family: ClassVar[str] = "layer"
    random: bool = False
    """Whether training needs random draws."""

    @property
    def positions(self) -> int:
        """How many positions of a network it takes: as many as it has layers that may draw random numbers."""
        return 1

    def parts(self) -> dict[str, Layer]:
        """Return the layers that it is made of, by name; none for most.

        Returns
        -------
        dict of Layer
            By name, in the order of the parameter vector.
        """
        return {}

    def width(self, fan_in: int) -> int:
        """Return the number of units that come out.

        Parameters
        ----------
        fan_in : int
            Number of units that go in.

        Returns
        -------
        int

        Raises
        ------
        ValueError
            Where so many units do not fit.
        """
        return fan_in

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter.

        Returns
        -------
        dict of tuple of int
            By name, without stack axes.
        """
        return {}

    def initialize(self, stream: Stream) -> Parameters:
        """Return initial parameters.

        Parameters
        ----------
        stream : mlpx.backends.host.Stream
            Where the random numbers come from.

        Returns
        -------
        dict of array
            By name, as `shapes` says; host arrays in float64.
        """
        return {}

    def masks(self, xp: Namespace) -> dict[str, tuple[Array, Array]]:
        """Return where weight decay acts, and what may be trained.

        Parameters
        ----------
        xp : namespace
            The host's functions.

        Returns
        -------
        dict of (array, array)
            For each parameter, in its shape, host arrays of 1 and 0: decay, training.
        """
        return {}

    def connections(self, xp: Namespace) -> dict[str, Array]:
        """Return which entries are parameters, for those of which some are none.

        Parameters
        ----------
        xp : namespace
            The host's functions.

        Returns
        -------
        dict of array
            By name, in the parameter's shape: host arrays, 0 where there is no connection, else 1.
        """
        return {}

    def constrain(self, ops: Backend, params: Parameters) -> Parameters:
        """Return the parameters that are bounded after each update, as they then are.

        Parameters
        ----------
        ops : Backend
            Where it runs.
        params : dict of array
            Parameters by name, each of shape ``(..., *shapes()[name])``.

        Returns
        -------
        dict of array
            By name; others may be left out.
        """
        return {}

    def draw(
        self,
        ops: Backend,
        who: StepKeys,
        position: int,
        shape: tuple[int, int],
        dtype: DType,
    ) -> Any:
        """Return what `forward` needs of random numbers in training, or None.

        Parameters
        ----------
        ops : Backend
            Where it runs.
        who : StepKeys
            Members, keys and steps: what names the random numbers.
        position : int
            Position of the layer in the network, from 0.
        shape : tuple of int
            Rows of the batch and units that go in.
        dtype : dtype
            The network's type.

        Returns
        -------
        array of shape (..., S, ...), tuple of such, or None
            One entry a member, also for a single network; in front the axis of steps, where `who` has one.
        """
        return None

    def forward(self, ops: Backend, params: Parameters, x: Array, *, training: bool, draw: Any) -> tuple[Array, Any]:
        """Return the output and what `backward` needs.

        Parameters
        ----------
        ops : Backend
            Where it runs; ``ops.xp`` are the functions to compute with.
        params : dict of array
            Parameters by name, each of shape ``(..., *shapes()[name])``.
        x : array of shape (..., N, M_in)
            Input.
        training : bool
            Whether what acts in training alone, such as dropout, does so.
        draw : array of shape (S, ...), tuple of such, or None
            What `draw` gave for this step.

        Returns
        -------
        y : array of shape (..., N, M_out)
            Output.
        saved : named tuple
            What `backward` needs, in arrays that nobody changes.
        """
        raise NotImplementedError

    def backward(
        self,
        ops: Backend,
        params: Parameters,
        saved: Any,
        dy: Array,
        *,
        need_dx: bool = True,
        out: dict[str, Array] | None = None,
    ) -> tuple[Array | None, Any]:
        """Return the gradients by the input and by the parameters.

        Parameters
        ----------
        ops, params
            As for `forward`.
        saved : named tuple
            What `forward` gave.
        dy : array of shape (..., N, M_out)
            Derivative of the loss by the output.
        need_dx : bool
            Whether the derivative by the input is asked for.
        out : dict of array, optional
            Arrays, by parameter, that the gradients may be written into; a hint.

        Returns
        -------
        dx : array of shape (..., N, M_in) or None
            Derivative by the input; None unless `need_dx`.
        gradients : named tuple or dict
            One field a parameter, of its name and shape.
        """
        raise NotImplementedError

    def check_stack(self, members: int | None) -> None:
        """Refuse numbers by member whose count is not the stack's.

        Parameters
        ----------
        members : int or None
            Number of networks in the stack; None for a single network.

        Raises
        ------
        ValueError
            Where there is another count of numbers.
        """

    def check_dtype(self, dtype: str) -> None:
        """Refuse a type of the network that the layer cannot compute in.

        Parameters
        ----------
        dtype : str
            Such as ``"float16"``.

        Raises
        ------
        ValueError
            For such a type.
        """

    def member(self, index: int) -> Layer:
        """Return the layer of one member of the stack.

        Parameters
        ----------
        index : int
            Of the member, from 0.

        Returns
        -------
        Layer
        """
        return self

    def nodes(self, path: str = "") -> Iterator[tuple[str, Layer]]:
        """Yield the layer and all that it is made of.

        Parameters
        ----------
        path : str
            That of the layer itself.

        Yields
        ------
        path : str
            Such as ``"1.layers.0"``.
        layer : Layer
        """
        yield path, self
        for name, part in self.parts().items():
            yield from part.nodes(joined(path, name))


def joined(path: str, name: str) -> str:
    """Return the path of something that lies within another path."""
    return f"{path}.{name}" if path else name


def nested(blocks: Mapping[str, Any]) -> Parameters:
    """Return parameters by path as layers take them: dicts in dicts.

    Examples
    --------
    >>> nested({"0.theta": 1, "1.layers.0.theta": 2})
    {'0': {'theta': 1}, '1': {'layers': {'0': {'theta': 2}}}}
    """
    parameters: Parameters = {}
    for name, block in blocks.items():
        *path, last = name.split(".")
        within = parameters
        for part in path:
            within = within.setdefault(part, {})
        within[last] = block
    return parameters


def at(tree: Any, path: str) -> Any:
    """Return what lies at a path in nested dicts, tuples and named tuples, as layers save and return them."""
    for name in path.split("."):
        if isinstance(tree, dict):
            tree = tree[name]
        else:
            tree = getattr(tree, name) if hasattr(tree, "_fields") else tree[int(name)]
    return tree


def named(path: str) -> str:
    """Return a path as it stands in Python.

    Examples
    --------
    >>> named("1.layers.0")
    'layers[1].layers[0]'
    """
    return re.sub(r"\.(\d+)", r"[\1]", f"layers.{path}")


def shortened(text: str, width: int) -> str:
    """Return a path with words before or behind it in at most `width` letters: the middle is left out.

    Examples
    --------
    >>> shortened("layers[1].layers[0].layers[0] (identity)", 25)
    'layers[1…rs[0] (identity)'
    """
    left = (width - 1) // 3
    return text if len(text) <= width else f"{text[:left]}…{text[len(text) - (width - 1 - left) :]}"


def first_width(layer: Layer) -> Any:
    """Return the number of units that go into the first layer that knows it; None where none does."""
    for name in ("fan_in", "units"):
        if name in getattr(layer, "__dataclass_fields__", ()) or hasattr(type(layer), name):
            return getattr(layer, name)
    found = (first_width(part) for part in layer.parts().values())
    return next((width for width in found if width is not None), None)
