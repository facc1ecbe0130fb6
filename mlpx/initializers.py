"""Initial values of weights, drawn on the host in float64 by the rules of `mlpx.backends.host`.

``fan_in`` and ``fan_out`` are the numbers of units before and after the weights. A member of a stack draws from its own
stream, so its values do not depend on how many members there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from mlpx._checks import check_number
from mlpx._typing import Array
from mlpx.backends.host import Stream
from mlpx.description import Description

__all__ = [
    "Initializer",
    "constant",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "orthogonal",
    "uniform",
    "zeros",
]


class Initializer(Description):
    """A rule for the initial values of a weight matrix.

    Examples
    --------
    >>> from mlpx.backends.host import Key, Stream
    >>> import mlpx
    >>> mlpx.initializers.he_normal()(Stream(Key(0), "weights"), (64, 100)).shape
    (64, 100)
    """

    family: ClassVar[str] = "initializer"

    def __call__(self, stream: Stream, shape: tuple[int, int]) -> Array:
        """Return values of the shape ``(fan_in, fan_out)`` in float64.

        Parameters
        ----------
        stream : mlpx.backends.host.Stream
            Where the random numbers come from.
        shape : tuple of int
            ``(fan_in, fan_out)``.

        Returns
        -------
        array of shape (fan_in, fan_out)
            Values in float64, NumPy's.
        """
        raise NotImplementedError


class _Uniform(Initializer):
    """Uniform within a bound."""

    def bound(self, fan_in: int, fan_out: int) -> float:
        """Return the bound of the uniform distribution.

        Parameters
        ----------
        fan_in, fan_out : int
            Units before and after the weights.

        Returns
        -------
        float
            Above 0, in the unit of the weights.
        """
        raise NotImplementedError

    def __call__(self, stream: Stream, shape: tuple[int, int]) -> Array:
        """Return values of the shape ``(fan_in, fan_out)``."""
        return self.bound(*shape) * (2 * stream.uniform(shape) - 1)


class _Normal(Initializer):
    """Normal of mean 0 and a standard deviation."""

    def deviation(self, fan_in: int, fan_out: int) -> float:
        """Return the standard deviation.

        Parameters
        ----------
        fan_in, fan_out : int
            Units before and after the weights.

        Returns
        -------
        float
            Above 0, in the unit of the weights.
        """
        raise NotImplementedError

    def __call__(self, stream: Stream, shape: tuple[int, int]) -> Array:
        """Return values of the shape ``(fan_in, fan_out)``."""
        return self.deviation(*shape) * stream.normal(shape)


@dataclass(frozen=True)
class glorot_uniform(_Uniform):
    """Uniform within ``±sqrt(6 / (fan_in + fan_out))``.

    Source: [1]_.

    References
    ----------
    .. [1] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
       AISTATS 2010.

    Examples
    --------
    >>> import mlpx
    >>> round(mlpx.initializers.glorot_uniform().bound(fan_in=64, fan_out=32), 6)
    0.25
    """

    def bound(self, fan_in: int, fan_out: int) -> float:
        """Return the bound."""
        return math.sqrt(6 / (fan_in + fan_out))


@dataclass(frozen=True)
class glorot_normal(_Normal):
    """Normal with variance ``2 / (fan_in + fan_out)``.

    Source: [1]_.

    References
    ----------
    .. [1] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
       AISTATS 2010.

    Examples
    --------
    >>> import mlpx
    >>> round(mlpx.initializers.glorot_normal().deviation(fan_in=64, fan_out=32), 6)
    0.144338
    """

    def deviation(self, fan_in: int, fan_out: int) -> float:
        """Return the standard deviation."""
        return math.sqrt(2 / (fan_in + fan_out))


@dataclass(frozen=True)
class he_uniform(_Uniform):
    """Uniform within ``±sqrt(6 / fan_in)``.

    Source: [1]_.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers", ICCV 2015.

    Examples
    --------
    >>> import mlpx
    >>> round(mlpx.initializers.he_uniform().bound(fan_in=64, fan_out=32), 6)
    0.306186
    """

    def bound(self, fan_in: int, fan_out: int) -> float:
        """Return the bound."""
        return math.sqrt(6 / fan_in)


@dataclass(frozen=True)
class he_normal(_Normal):
    """Normal with variance ``2 / fan_in``.

    Source: [1]_.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers", ICCV 2015.

    Examples
    --------
    >>> import mlpx
    >>> round(mlpx.initializers.he_normal().deviation(fan_in=64, fan_out=32), 6)
    0.176777
    """

    def deviation(self, fan_in: int, fan_out: int) -> float:
        """Return the standard deviation."""
        return math.sqrt(2 / fan_in)


@dataclass(frozen=True)
class lecun_uniform(_Uniform):
    """Uniform within ``±sqrt(3 / fan_in)``.

    Source: [1]_.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, G. B. Orr and K.-R. Müller, "Efficient backprop", Neural Networks: Tricks of the Trade,
       1998.

    Examples
    --------
    >>> import mlpx
    >>> round(mlpx.initializers.lecun_uniform().bound(fan_in=64, fan_out=32), 6)
    0.216506
    """

    def bound(self, fan_in: int, fan_out: int) -> float:
        """Return the bound."""
        return math.sqrt(3 / fan_in)


@dataclass(frozen=True)
class lecun_normal(_Normal):
    """Normal with variance ``1 / fan_in``, not truncated.

    Source: [1]_.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, G. B. Orr and K.-R. Müller, "Efficient backprop", Neural Networks: Tricks of the Trade,
       1998.

    Examples
    --------
    >>> import mlpx
    >>> mlpx.initializers.lecun_normal().deviation(fan_in=64, fan_out=32)
    0.125
    """

    def deviation(self, fan_in: int, fan_out: int) -> float:
        """Return the standard deviation."""
        return math.sqrt(1 / fan_in)


@dataclass(frozen=True)
class uniform(_Uniform):
    """Uniform within ``±limit``.

    Parameters
    ----------
    limit : float
        Above 0.

    Raises
    ------
    ValueError
        Where `limit` is not above 0.
    TypeError
        Where it is no number.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([64, 32, 10], initializer=mlpx.initializers.uniform(0.1))
    >>> bool(abs(net.weights[0]).max() <= 0.1)
    True
    """

    limit: float = 0.05

    def __post_init__(self) -> None:
        self._store("limit", check_number("limit", self.limit, above=0))

    def bound(self, fan_in: int, fan_out: int) -> float:
        """Return the bound."""
        return self.limit


@dataclass(frozen=True)
class normal(_Normal):
    """Normal with a given standard deviation.

    Parameters
    ----------
    standard_deviation : float
        Above 0.

    Raises
    ------
    ValueError
        Where `standard_deviation` is not above 0.
    TypeError
        Where it is no number.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([64, 32, 10], initializer=mlpx.initializers.normal(0.01))
    >>> round(float(net.weights[0].std()), 3)
    0.01
    """

    standard_deviation: float = 0.05

    def __post_init__(self) -> None:
        self._store("standard_deviation", check_number("standard_deviation", self.standard_deviation, above=0))

    def deviation(self, fan_in: int, fan_out: int) -> float:
        """Return the standard deviation."""
        return self.standard_deviation


@dataclass(frozen=True)
class orthogonal(Initializer):
    """Orthonormal columns (or rows, where there are fewer): the Q of a normal matrix, with R's diagonal positive.

    Source: [1]_.

    References
    ----------
    .. [1] A. M. Saxe, J. L. McClelland and S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep
       linear neural networks", ICLR 2014.

    Examples
    --------
    >>> import mlpx
    >>> W = mlpx.MLP([4, 2], initializer="orthogonal", dtype="float64").weights[0]
    >>> abs(W.T @ W).round(12)
    array([[1., 0.],
           [0., 1.]])
    """

    def __call__(self, stream: Stream, shape: tuple[int, int]) -> Array:
        """Return values of the shape ``(fan_in, fan_out)``."""
        xp = stream.xp
        wide = shape[0] < shape[1]
        q, r = xp.linalg.qr(stream.normal(shape[::-1] if wide else shape))
        q = q * xp.sign(xp.linalg.diagonal(r))  # the one choice of signs that makes Q unique
        return xp.matrix_transpose(q) if wide else q


@dataclass(frozen=True)
class constant(Initializer):
    """One value everywhere.

    Parameters
    ----------
    value : float
        Any finite number.

    Raises
    ------
    ValueError
        Where `value` is not finite.
    TypeError
        Where it is no number.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([2, 1], output="linear", initializer=mlpx.initializers.constant(0.5))
    >>> net.weights[0]
    array([[0.5],
           [0.5]], dtype=float32)
    """

    value: float = 0.0

    def __post_init__(self) -> None:
        self._store("value", check_number("value", self.value))

    def __call__(self, stream: Stream, shape: tuple[int, int]) -> Array:
        """Return values of the shape ``(fan_in, fan_out)``."""
        return stream.xp.full(shape, float(self.value))


@dataclass(frozen=True)
class zeros(Initializer):
    """Zero everywhere; for weights behind which another layer follows, nothing would be learned.

    Examples
    --------
    >>> import mlpx
    >>> net = mlpx.MLP([2, 1], output="linear", initializer="zeros")
    >>> net.weights[0]
    array([[0.],
           [0.]], dtype=float32)
    """

    def __call__(self, stream: Stream, shape: tuple[int, int]) -> Array:
        """Return values of the shape ``(fan_in, fan_out)``."""
        return stream.xp.zeros(shape)


_BEFORE = {
    "relu": he_normal(), "leaky_relu": he_normal(), "elu": he_normal(), "softplus": he_normal(), "swish": he_normal(),
    "gelu": he_normal(), "mish": he_normal(), "maxout": he_normal(), "PReLU": he_normal(), "selu": lecun_normal(),
}  # fmt: skip


def get(initializer: str | Initializer, activation: str = "identity") -> Initializer:
    """Return an initializer from its name, or as it is; ``"auto"`` chooses by the activation that follows.

    Parameters
    ----------
    initializer : str or Initializer
        A name of this module, or ``"auto"``: He normal before the ReLU family (relu, leaky_relu, elu, softplus, swish,
        gelu, mish, Maxout, PReLU), LeCun normal before selu, Glorot uniform otherwise and for the output.
    activation : str
        The name of the activation that follows; the output's layer is linear, so ``"identity"`` for it.

    Returns
    -------
    Initializer

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError
        For what is neither a name nor an initializer.

    Examples
    --------
    >>> get("auto", "relu")
    he_normal()
    """
    if isinstance(initializer, str) and initializer == "auto":
        return _BEFORE.get(activation, glorot_uniform())
    return Initializer.get(initializer)
