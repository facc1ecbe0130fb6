"""Layers: forward and backward of each, written by hand.

A layer is a frozen description; parameters live outside and come in as arguments. The one invariant: what comes out of
`backward` as ``dx`` has the shape and type of what went into `forward` as ``x``, and what goes into `backward` as
``dy`` has those of what came out of `forward` as ``y``. Arrays may carry leading stack axes throughout, and gain them
where the parameters of a stack meet features that all its members share.

`Dense`, the first layer on this page, explains all others: fields, parameters, `forward`, `backward`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

from mlpx import activations, initializers
from mlpx._checks import check_count, check_members, check_number, check_numbers, member_of
from mlpx._typing import Array, DType, Formula, Namespace, Numbers
from mlpx.activations import Activation
from mlpx.backends import Backend
from mlpx.backends.host import StepKeys, Stream
from mlpx.description import Description
from mlpx.initializers import Initializer

__all__ = ["Dense", "Dropout", "Layer"]

Parameters: TypeAlias = dict[str, Array]


class Layer(Description):
    """One layer: a description with a forward and a backward pass."""

    family: ClassVar[str] = "layer"
    random: ClassVar[bool] = False
    """Whether training needs random draws."""

    def width(self, fan_in: int) -> int:
        """Return the number of units that come out where `fan_in` go in; refuse what does not fit."""
        return fan_in

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the name and the shape of each parameter, without stack axes."""
        return {}

    def initialize(self, stream: Stream) -> Parameters:
        """Return initial parameters, as host arrays in float64."""
        return {}

    def masks(self, xp: Namespace) -> dict[str, tuple[Array, Array]]:
        """Return for each parameter, as host arrays of 0 and 1, where weight decay acts and what may be trained."""
        return {}

    def draw(
        self,
        ops: Backend,
        who: StepKeys,
        position: int,
        shape: tuple[int, int],
        dtype: DType,
    ) -> Array | None:
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
        array of shape (..., S, ...) or None
            One entry a member, also for a single network; in front the axis of steps, where `who` has one.
        """
        return None

    def forward(
        self, ops: Backend, params: Parameters, x: Array, *, training: bool, draw: Array | None
    ) -> tuple[Array, Any]:
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
        draw : array or None
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
        gradients : named tuple
            One field a parameter, of its name and shape.
        """
        raise NotImplementedError

    def check_stack(self, members: int | None) -> None:
        """Refuse numbers by member whose count is not the stack's."""

    def member(self, index: int) -> Layer:
        """Return the layer of one member of the stack."""
        return self


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
class Dense(Layer):
    """A fully-connected layer, ``Z = X W + b`` and ``Y = f(Z)``.

    Its parameters are one block `theta` of shape ``(fan_in + 1, fan_out)``: the weights, and the bias as the last row.

    Parameters
    ----------
    fan_in, fan_out : int
        Numbers of units before and after.
    activation : str or Activation
        The function f; see `mlpx.activations`.
    bias : bool or "frozen"
        Whether there is a bias; a frozen one keeps its initial value.
    initializer, bias_initializer : str or Initializer
        Initial values; see `mlpx.initializers`.

    Examples
    --------
    >>> import mlpx
    >>> mlpx.Dense(64, 10, "softmax").shapes()
    {'theta': (65, 10)}
    """

    fan_in: int
    fan_out: int
    activation: str | Activation | Formula = "identity"
    bias: bool | Literal["frozen"] = True
    initializer: str | Initializer = "auto"
    bias_initializer: str | Initializer = "zeros"

    def __post_init__(self) -> None:
        for name in ("fan_in", "fan_out"):
            self._store(name, check_count(name, getattr(self, name)))
        if not (self.bias is True or self.bias is False or self.bias == "frozen"):
            msg = f'`bias` must be True, False or "frozen", got {self.bias!r}.'
            raise ValueError(msg)
        self._store("activation", activations.get(self.activation))
        if self.initializer != "auto":  # which waits until it is known whether the layer is the output
            self._store("initializer", initializers.get(self.initializer))
        self._store("bias_initializer", initializers.get(self.bias_initializer))

    def width(self, fan_in: int) -> int:
        """Return `fan_out`."""
        if fan_in != self.fan_in:
            msg = f"`layers` do not fit: {fan_in} units go into Dense({self.fan_in}, {self.fan_out}, …)."
            raise ValueError(msg)
        return self.fan_out

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of the block."""
        return {"theta": (self.fan_in + bool(self.bias), self.fan_out)}

    def initialize(self, stream: Stream) -> Parameters:
        """Return the initial block."""
        initializer = initializers.get(self.initializer, self.activation.name)  # type: ignore[union-attr]
        rows = [initializer(stream, (self.fan_in, self.fan_out))]
        if self.bias:
            rows.append(self.bias_initializer(stream, (1, self.fan_out)))  # type: ignore[operator]
        return {"theta": stream.xp.concat(rows, axis=0)}

    def masks(self, xp: Namespace) -> dict[str, tuple[Array, Array]]:
        """Return the masks of decay (weights only) and training."""
        weights = xp.ones((self.fan_in, self.fan_out))
        if not self.bias:
            return {"theta": (weights, weights)}
        no, yes = xp.zeros((1, self.fan_out)), xp.ones((1, self.fan_out))
        trained = no if self.bias == "frozen" else yes
        return {"theta": (xp.concat([weights, no], axis=0), xp.concat([weights, trained], axis=0))}

    def split(self, theta: Array) -> tuple[Array, Array | None]:
        """Return weights and bias (or None), as parts of the block."""
        if not self.bias:
            return theta, None
        return theta[..., : self.fan_in, :], theta[..., self.fan_in, :]

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


MOST_DROPPED = 65535.5 / 65536
"""Rate from which on the threshold would drop everything."""


class DropoutSaved(NamedTuple):
    """What `Dropout` keeps for its backward pass: its factors, or None where it did nothing."""

    mask: Array | None


class DropoutGradients(NamedTuple):
    """Dropout has no parameters."""


@dataclass(frozen=True)
class Dropout(Layer):
    """In training, zero each element with some probability and scale the kept ones; else the identity.

    Source: [1]_.

    Parameters
    ----------
    rate : float or sequence of float
        The probability, from 0 to below 1, to the nearest 1/65536; with a stack also one number a member.
    scale : float, optional
        Factor of the kept elements; by default one over the probability of being kept (inverted dropout).

    References
    ----------
    .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: a simple way to prevent
       neural networks from overfitting", JMLR 15, 2014.

    Examples
    --------
    >>> import mlpx
    >>> mlpx.Dropout(0.5).shapes()
    {}
    """

    random = True
    rate: Numbers
    scale: float | None = None

    def __post_init__(self) -> None:
        self._store("rate", check_numbers("rate", self.rate, least=0, below=MOST_DROPPED))
        if self.scale is not None:
            self._store("scale", check_number("scale", self.scale, above=0))

    def draw(
        self,
        ops: Backend,
        who: StepKeys,
        position: int,
        shape: tuple[int, int],
        dtype: DType,
    ) -> Array | None:
        """Return what the backend makes 0 for each dropped element and the scale for each kept one from."""
        rates = [member_of(self.rate, member) for member in who.members]  # type: ignore[arg-type]
        thresholds = [round(65536 * rate) for rate in rates]
        scales = [self.scale or 65536 / (65536 - threshold) for threshold in thresholds]
        if not any(thresholds) and self.scale is None:
            return None
        return ops.dropout_draws(who.keys, position, who.steps, shape, thresholds, scales, dtype)

    def forward(
        self, ops: Backend, params: Parameters, x: Array, *, training: bool, draw: Array | None
    ) -> tuple[Array, DropoutSaved]:
        """Return ``x * mask`` in training, else `x`."""
        mask = ops.dropout_factors(draw, x.shape[-2:], x.dtype) if training and draw is not None else None
        return (x if mask is None else ops.evaluate(_product, x, mask)), DropoutSaved(mask)

    def backward(
        self,
        ops: Backend,
        params: Parameters,
        saved: DropoutSaved,
        dy: Array,
        *,
        need_dx: bool = True,
        out: dict[str, Array] | None = None,
    ) -> tuple[Array | None, DropoutGradients]:
        """Return ``dy * mask``."""
        dx = dy if saved.mask is None else ops.evaluate(_product, dy, saved.mask)
        return dx, DropoutGradients()

    def check_stack(self, members: int | None) -> None:
        """Refuse rates by member whose count is not the stack's."""
        check_members("rate", self.rate, members)  # type: ignore[arg-type]

    def member(self, index: int) -> Dropout:
        """Return the layer of one member of the stack."""
        return replace(self, rate=member_of(self.rate, index))  # type: ignore[arg-type]


def _product(a: Array, b: Array, xp: Namespace) -> Array:
    return a * b
